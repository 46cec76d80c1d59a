"""Places, filters and foreign records."""

from types import SimpleNamespace

import pytest

from streams.core.errors import OwddError
from streams.operations.dlq_entry import DeadLetterEntry, Position, dead_letter_entry
from streams.operations.dlq_filter import Filter


def entry(kind: str = "ingest", stage: str = "ingest", code: str = "bad_text", at: int = 100) -> DeadLetterEntry:
    place = Position("ingest" if kind == "ingest" else "delivery", 0, 0)
    return DeadLetterEntry(place, at, stage, code, "", 1, "")


def test_a_place_is_read_as_it_is_printed() -> None:
    assert Position.parse(str(Position("delivery", 3, 981))) == Position("delivery", 3, 981)


@pytest.mark.parametrize("text", ["", "ingest/3", "ingest/x@1", "other/1@1", "ingest/1@1 ", "ingest/-1@1"])
def test_what_is_no_place_is_said_to_be_none(text: str) -> None:
    with pytest.raises(OwddError, match="is not the place of an entry"):
        Position.parse(text)


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Filter(), True),
        (Filter(kind="ingest"), True),
        (Filter(kind="delivery"), False),
        (Filter(stage="ingest", code="bad_text"), True),
        (Filter(stage="orders"), False),
        (Filter(code="bad_time"), False),
        (Filter(since=100, until=100), True),
        (Filter(since=101), False),
        (Filter(until=99), False),
    ],
)
def test_every_filter_must_apply(selection: Filter, taken: bool) -> None:
    assert selection.matches(entry()) is taken


def test_a_record_that_somebody_else_wrote_is_a_letter_too() -> None:
    foreign = SimpleNamespace(headers=[("offset", b"x"), ("code", None)], partition=1, offset=2, timestamp=3)
    found = dead_letter_entry(foreign)
    assert (found.position, found.code, found.attempts, found.origin) == (Position("ingest", 1, 2), "", 1, None)
