"""No record gets past capture without being understood, and none of its content gets into an error."""

import re
import traceback

import pytest

from streams.capture.envelope import RowEvent, decode
from streams.core.errors import RecordError
from streams.ingest.router import Router
from streams.mapping import load_mapping
from streams.messages.changes import Change
from streams.messages.topics import Topics
from tests.capture.codes import explained, raised
from tests.capture.hostile import MARK, NUMBER, RECORDS, Hostile
from tests.capture.records import ROWS, encoded, key, message

ROUTER = Router(load_mapping(), Topics.of("owdd"))


def processed(key: bytes | None, value: bytes) -> list[tuple[str, Change]]:
    """What ingest makes of a record."""
    event = decode(key, value)
    return list(ROUTER.route(event, caused_at=0)) if isinstance(event, RowEvent) else []


def refusal(record: Hostile) -> RecordError:
    """The error with which a record is refused."""
    with pytest.raises(RecordError) as caught:
        processed(record.key, record.value)
    return caught.value


every_record = pytest.mark.parametrize("record", RECORDS, ids=[record.name for record in RECORDS])


@every_record
def test_a_hostile_record_is_refused_with_its_code(record: Hostile) -> None:
    assert refusal(record).code == record.code


@every_record
def test_an_error_never_reports_what_the_record_held(record: Hostile) -> None:
    error = refusal(record)
    shown = "".join(traceback.format_exception(error)) + error.code + error.detail
    assert MARK not in shown
    assert str(NUMBER) not in shown


@every_record
def test_an_error_names_no_word_of_the_record_but_columns_and_members(record: Hostile) -> None:
    held = _words(record.value[:10_000]) | _words((record.key or b"")[:10_000])
    shown = _words(str(refusal(record)).encode())
    assert not (shown & held) - _VOCABULARY


def _words(text: bytes) -> set[bytes]:
    return set(re.findall(rb"[\w@.+-]{3,}", text))


_VOCABULARY = (
    {name.encode() for row in ROWS.values() for name in row}
    | {name.encode() for name in [*message("order_header"), *message("order_header")["source"]]}
    | {b"payload", b"schema", b"null", b"true", b"false", b"string"}
)


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize("op", ["c", "u", "d", "r"])
def test_the_records_that_hostile_ones_are_made_of_are_sound(table: str, op: str) -> None:
    assert processed(key(table), encoded(message(table, op)))


def test_every_code_of_capture_and_ingest_has_a_hostile_record() -> None:
    here = {code for code, places in raised().items() if any(place.startswith(("capture", "ingest")) for place in places)}
    # What asks for erasure is read only with a mapped flag: tests/ingest/test_erasing.py. A request to replay is no captured
    # record: tests/ingest/test_replays.py.
    elsewhere = {"address_unavailable", "unreadable_address", "bad_replay_request"}
    assert {record.code for record in RECORDS} == here - elsewhere


def test_every_code_of_the_corpus_is_in_the_handbook() -> None:
    assert {record.code for record in RECORDS} <= set(explained())


def test_no_two_records_share_a_name() -> None:
    names = [record.name for record in RECORDS]
    assert len(set(names)) == len(names) >= 45
