"""What commands print: whole where there is no terminal, and never with somebody else's control characters."""

import json

import pytest

from streams.cli import output
from streams.core.text import printable

EVIL = "\x1b[31mred\x07\nnext\x9b\u2028\u202e[bold]"


def test_control_characters_are_written_and_not_sent() -> None:
    assert printable(EVIL) == r"\x1b[31mred\x07\nnext\x9b\u2028\u202e[bold]"
    assert printable("Grüße, 王 – ½") == "Grüße, 王 – ½"
    assert printable("\ud800") == r"\ud800"


def test_a_table_shows_cells_as_they_are_and_cuts_none(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 500
    output.print_table(("name", "value"), [(EVIL, long), ("list", ["a", "b"]), ("none", None)])
    shown = capsys.readouterr().out
    assert printable(EVIL) in shown
    assert long in shown
    assert "\x1b" not in shown


def test_lines_and_warnings_are_clean_too(capsys: pytest.CaptureFixture[str]) -> None:
    output.line("a\x1bb\nc")
    output.warn("d\x1be")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("a\\x1bb\nc\n", "warning: d\\x1be\n")


def test_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"text": EVIL})
    output.print_json({"text": EVIL}, compact=True)
    first, second = capsys.readouterr().out.rsplit("\n", 2)[:2]
    assert json.loads(first) == json.loads(second) == {"text": EVIL}


def test_what_is_done_soon_shows_no_progress_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("Working") as show, output.counting("entries", 3) as count:
        show("more")
        count(1)
    assert capsys.readouterr() == ("", "")


def test_what_takes_long_shows_a_line_now_and_then_with_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 0.0
    monkeypatch.setattr(output, "monotonic", lambda: seconds)
    with output.progress("Working") as show, output.counting("entries", 300) as count:
        for step in range(31):
            seconds = float(step)
            show(f"step {step}")
            count(step)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        line
        for step, left in ((2, "5 min"), (12, "5 min"), (22, "5 min"))
        for line in (f"step {step}", f"entries: {step} of 300, about {left} left")
    ]
