"""Whatever the bytes, capture answers with a decoded record or a documented refusal, and never with another error.

Another error would not go to the dead-letter topic: it would end the worker, and again after every restart.
"""

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.capture.envelope import RowEvent, decode
from streams.core.errors import RecordError
from streams.ingest.router import Router
from streams.mapping import load_mapping
from streams.messages.topics import Topics
from tests.capture.codes import explained
from tests.capture.records import ROWS, Row, decimal_type, encoded, key, message, time_type, with_schemas

Path: TypeAlias = tuple[str | int, ...]

EXPLAINED = frozenset(explained())
ROUTER = Router(load_mapping(), Topics.of("owdd"))


def processed(key: bytes | None, value: bytes | None) -> str | None:
    """Take a record through ingest; the code of its refusal, if it is refused."""
    try:
        event = decode(key, value)
        if isinstance(event, RowEvent):
            list(ROUTER.route(event, caused_at=0))
    except RecordError as error:
        return error.code
    return None


def known(code: str | None) -> bool:
    """Whether a record got through, or was refused with a code that the handbook has."""
    return code is None or code in EXPLAINED


@settings(deadline=None, max_examples=200)
@given(st.none() | st.binary(max_size=200), st.none() | st.binary(max_size=200))
@example(b"", b"")
@example(b"{}", b"{}")
@example(b"[]", b"\xff")
def test_any_bytes_are_refused_or_read(key: bytes | None, value: bytes | None) -> None:
    assert known(processed(key, value))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(json_values, json_values)
def test_any_json_is_refused_or_read(key: object, value: object) -> None:
    assert known(processed(_bytes(key), _bytes(value)))


def _bytes(value: object) -> bytes:
    # json writes NaN, Infinity and lone surrogates, all of which a producer may write too.
    return json.dumps(value).encode()


def _records() -> Iterator[tuple[str, Row]]:
    types = {
        "order_header_total": {"oht_net": decimal_type(4)},
        "order_line_item": {"oli_line_net": decimal_type(2), "oli_date_required": time_type("io.debezium.time.Date")},
        "order_header": {"oh_datetime": time_type("io.debezium.time.NanoTimestamp")},
        "delivery_header": {"dh_datetime": time_type("org.apache.kafka.connect.data.Timestamp")},
    }
    values: dict[str, Row] = {
        "order_header_total": {"oht_net": "FVzA"},
        "order_line_item": {"oli_line_net": "AehI", "oli_date_required": 20512},
        "order_header": {"oh_datetime": 1772700072250000000},
        "delivery_header": {"dh_datetime": 1772700072250},
    }
    for table in ROWS:
        for op in "cudr":
            yield table, message(table, op)
    for table, columns in values.items():
        row = ROWS[table] | columns
        yield table, with_schemas(message(table, "u", row, row), types[table])


RECORDS = list(_records())


def _paths(value: Any, here: Path = ()) -> Iterator[Path]:
    """The place of every member and item inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inside:
        yield (*here, name)
        yield from _paths(item, (*here, name))


def _edited(value: Any, path: Path, new: Any) -> Any:
    """A copy of a JSON value with another value at ``path``; ``...`` takes the old one out."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) > 1:
        copy[path[0]] = _edited(copy[path[0]], path[1:], new)  # type: ignore[index]  # the path fits the value
    elif new is ...:
        del copy[path[0]]  # type: ignore[arg-type]
    else:
        copy[path[0]] = new  # type: ignore[index]
    return copy


PLACES = [(table, record, path) for table, record in RECORDS for path in _paths(record)]

odd_values = json_values | st.sampled_from(
    [
        ...,
        "",
        " ",
        "-",
        "--5",
        "0" * 30,
        "9" * 30,
        "NaN",
        "1e400",
        "2026-02-30",
        "24:00",
        "0001-01-01",
        "9999-12-31T23:59:59-14:00",
        "NULL",
        "__debezium_unavailable_value",
        "a@b@c",
        "@" * 50,
        "\ud800",
        "\0",
        10**18,
        -(2**63),
        [[[[]]]],
        [None],
        ["x"],
        {"field": ["x"], "name": "io.debezium.time.Date"},
        {"field": "oht_net", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "-1000000"}},
        {"field": "oht_net", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "9" * 30}},
    ]
)


def test_every_record_gets_through_before_it_is_changed() -> None:
    assert [processed(key(table), encoded(record)) for table, record in RECORDS] == [None] * len(RECORDS)


@settings(deadline=None, max_examples=700)
@given(st.sampled_from(PLACES), odd_values)
def test_a_record_with_one_odd_value_is_refused_or_read(place: tuple[str, Row, Path], odd: object) -> None:
    table, record, path = place
    assert known(processed(key(table), _bytes(_edited(record, path, odd))))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(ROWS)), odd_values.filter(lambda odd: odd is not ...))
def test_a_key_with_an_odd_value_is_refused_or_read(table: str, odd: object) -> None:
    column = next(iter(ROWS[table]))
    assert known(processed(_bytes({column: odd}), encoded(message(table))))
    assert known(processed(_bytes({"schema": odd, "payload": odd}), encoded(message(table))))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(RECORDS), st.data())
def test_a_record_with_damaged_bytes_is_refused_or_read(record: tuple[str, Row], data: st.DataObject) -> None:
    value = encoded(record[1])
    start = data.draw(st.integers(0, len(value)))
    end = data.draw(st.integers(start, min(len(value), start + 8)) | st.just(len(value)))
    assert known(processed(key(record[0]), value[:start] + data.draw(st.binary(max_size=6)) + value[end:]))
