"""Places, filters and foreign records."""

from types import SimpleNamespace

import pytest

from streams.core.errors import OwddError
from streams.operations.dlq_entry import Letter, Place, dead_letter
from streams.operations.dlq_filter import Selection


def letter(kind: str = "ingest", stage: str = "ingest", code: str = "bad_text", at: int = 100) -> Letter:
    place = Place("ingest" if kind == "ingest" else "delivery", 0, 0)
    return Letter(place, at, stage, code, "", 1, "")


def test_a_place_is_read_as_it_is_printed() -> None:
    assert Place.parse(str(Place("delivery", 3, 981))) == Place("delivery", 3, 981)


@pytest.mark.parametrize("text", ["", "ingest/3", "ingest/x@1", "other/1@1", "ingest/1@1 ", "ingest/-1@1"])
def test_what_is_no_place_is_said_to_be_none(text: str) -> None:
    with pytest.raises(OwddError, match="is no letter's place"):
        Place.parse(text)


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(kind="ingest"), True),
        (Selection(kind="delivery"), False),
        (Selection(stage="ingest", code="bad_text"), True),
        (Selection(stage="orders"), False),
        (Selection(code="bad_time"), False),
        (Selection(since=100, until=100), True),
        (Selection(since=101), False),
        (Selection(until=99), False),
    ],
)
def test_every_filter_must_apply(selection: Selection, taken: bool) -> None:
    assert selection.takes(letter()) is taken


def test_a_record_that_somebody_else_wrote_is_a_letter_too() -> None:
    foreign = SimpleNamespace(headers=[("offset", b"x"), ("code", None)], partition=1, offset=2, timestamp=3)
    found = dead_letter(foreign)
    assert (found.place, found.code, found.attempts, found.origin) == (Place("ingest", 1, 2), "", 1, None)
