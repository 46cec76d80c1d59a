"""The log: each line has one form, whoever wrote it, and text of a record can neither forge a line nor steer a terminal."""

import json
import logging
import subprocess
import sys

import pytest

from streams.observability.logs import Repeats

SCRIPT = """
import logging, threading, warnings, structlog
from streams.observability.logs import configure
configure("info", as_json={as_json})
structlog.get_logger("streams.engine").error("record dead-lettered", reason="id\\x1b[2J\\r\\nerror forged")
structlog.get_logger("streams.engine").debug("not shown")
logging.getLogger("library").error("key %s", "a\\x1b[2J")
logging.getLogger("library").info("not shown")
warnings.warn("an old call")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise RuntimeError("the end\\x1b[2J")
"""


def logged(*, as_json: bool) -> str:
    script = SCRIPT.format(as_json=as_json)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_control_characters_are_written_as_escapes(as_json: bool) -> None:
    text = logged(as_json=as_json)
    assert "\x1b" not in text
    assert text.count("[2J") >= 3
    assert "\nerror forged" not in text


def test_every_line_of_a_json_log_is_json_whoever_wrote_it() -> None:
    events = [json.loads(line) for line in logged(as_json=True).splitlines()]
    assert [(event["event"].partition("\n")[0], event["level"]) for event in events[:2]] == [
        ("record dead-lettered", "error"),
        (r"key a\x1b[2J", "error"),
    ]
    assert [event["level"] for event in events[2:]] == ["warning", "critical", "critical"]
    assert "an old call" in events[2]["event"]
    assert "ZeroDivisionError" in events[3]["exception"]
    assert r"RuntimeError: the end\x1b[2J" in events[4]["exception"]
    assert all("timestamp" in event for event in events)


def test_without_json_a_line_says_level_event_and_fields() -> None:
    lines = logged(as_json=False).splitlines()
    assert "[error" in lines[0]
    assert "record dead-lettered" in lines[0]
    assert r"reason='id\\x1b[2J\\r\\nerror forged'" in lines[0] or r"reason=id\x1b[2J\r\nerror forged" in lines[0]


def record(text: str, *values: object, of: str = "aiokafka", level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord(of, level, "", 0, text, values, None)


def test_a_librarys_message_comes_once_in_a_while_and_says_how_often_it_was() -> None:
    now = 1000.0
    repeats = Repeats(lambda: now)
    assert repeats.filter(record("no node %s", 1))
    assert not any(repeats.filter(record("no node %s", number)) for number in range(500))
    assert repeats.filter(record("no node %s", 1, of="faust"))
    assert repeats.filter(record("no node %s", 1, level=logging.ERROR))
    assert repeats.filter(record("another"))
    now += 30
    last = record("no node %s", "100%")
    assert repeats.filter(last)
    assert last.getMessage() == "no node 100% (500 more like it before)"
    assert not repeats.filter(record("no node %s", 1))


def test_nothing_of_ours_is_kept_back() -> None:
    repeats = Repeats()
    assert all(repeats.filter(record("record dead-lettered", of="streams.engine.stage")) for _ in range(5))


def test_texts_that_never_come_again_do_not_pile_up() -> None:
    repeats = Repeats()
    for number in range(5000):
        assert repeats.filter(record(f"text {number}"))
    assert len(repeats._kept_back) == 1000
