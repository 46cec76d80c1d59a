"""The document of log events is that of the code, and every event has a name that does not change with what happens."""

import ast
from pathlib import Path

import pytest

from testkit.log_events import NotAName, document, events, events_in

DOCUMENT = Path(__file__).parents[2] / "docs" / "log-events.md"


def test_the_document_is_that_of_the_code() -> None:
    assert DOCUMENT.read_text("utf-8") == document(), "run 'make docs'"


def test_one_name_is_one_event() -> None:
    """Wherever it is logged it has one level and the same fields."""
    shapes: dict[str, set[tuple[str, frozenset[str]]]] = {}
    for event in events():
        shapes.setdefault(event.name, set()).add((event.level, frozenset(event.fields)))
    assert {name: shape for name, shape in shapes.items() if len(shape) > 1} == {}


@pytest.mark.parametrize("event", ["f'record {code}'", "text", "'a' + code", ""])
def test_an_event_that_is_put_together_is_refused(event: str) -> None:
    with pytest.raises(NotAName, match="line 1"):
        list(events_in(ast.parse(f"log.error({event})"), "streams.x"))


def test_a_logger_made_at_the_spot_counts_and_other_calls_do_not() -> None:
    source = "structlog.get_logger('x').critical('crashed', a=1, **more)\nmath.log(2)\nself.info('x')\nlog.bind(a=1)"
    (event,) = events_in(ast.parse(source), "streams.x")
    assert (event.name, event.level, event.fields) == ("crashed", "critical", ("a", "more"))
