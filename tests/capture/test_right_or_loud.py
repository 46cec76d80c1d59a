"""Whatever a field holds, its typed value is the right one, or the record is set aside: never a third thing.

The values are made from a truth, written as a column of some type would show it; what is read must be that truth.
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import values
from streams.capture.addresses import address_field
from streams.capture.envelope import UNAVAILABLE, RowEvent, decode
from streams.capture.images import after_image
from streams.capture.reader import readers
from streams.core.errors import RecordError
from streams.ingest.router import Router
from streams.mapping import load_mapping
from streams.messages.topics import Topics
from tests.capture.records import ROWS, encoded, key, message

READERS = readers(load_mapping())
ROUTER = Router(load_mapping(), Topics.of("owdd"))
LONDON = ZoneInfo("Europe/London")

decimals = st.decimals(-(10**18) + 1, 10**18 - 1, allow_nan=False, places=6)


@settings(deadline=None)
@given(decimals, st.integers(6, 30))
def test_a_decimal_of_any_scale_is_its_number(number: Decimal, scale: int) -> None:
    assert values.decimal(f"{number:.6f}" + "0" * (scale - 6), "column") == number


@settings(deadline=None)
@given(st.floats(-1e17, 1e17))
def test_a_float_is_its_shortest_text_or_refused(number: float) -> None:
    try:
        read = values.decimal(number, "column")
    except RecordError as error:
        assert error.code == "decimal_out_of_range"
        assert abs(number) < 1e-20
    else:
        assert read is not None
        assert float(read) == number


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["{}", " {} ", "{}.0", "{}.0000"]))
def test_a_whole_number_is_itself_in_every_spelling(number: int, spelling: str) -> None:
    assert values.integer(spelling.format(number), "column") == values.integer(number, "column") == number


@settings(deadline=None)
@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**60), 2**60).map(float)))
def test_a_float_is_the_whole_number_that_it_is_or_refused(number: float) -> None:
    try:
        read = values.integer(number, "column")
    except RecordError as error:
        assert error.code == "bad_integer"
        assert number != int(number) or abs(number) > 2**53
    else:
        assert read == number


@settings(deadline=None)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)), st.integers(-14 * 4, 14 * 4))
def test_a_time_with_an_offset_is_that_instant(moment: datetime, quarters: int) -> None:
    moment = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=15 * quarters)))
    # Debezium writes +00:00 as Z.
    text = moment.isoformat().replace("+00:00", "Z")
    assert values.instant(text, "column", LONDON, zoned=True) == int(moment.astimezone(UTC).timestamp())


@settings(deadline=None)
@given(st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=6)))
def test_a_flag_is_one_of_the_known_words_or_refused(value: object) -> None:
    try:
        read = values.flag(value, "column")
    except RecordError as error:
        assert error.code == "bad_flag"
    else:
        word = str(value).strip().casefold()
        assert read == (
            word in {"true", "1", "-1", "t", "yes", "y", "on"} or (word[-1:].isdigit() and Decimal(word) in (1, -1))
        )


fields = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.lists(st.sampled_from(["ann@x.com", "Bob <bob@y.co.uk>", "jo smith@z.com", "n/a", "e-mail: c@x.com"]), max_size=3).map(
        "; ".join
    ),
)


@settings(deadline=None, max_examples=300)
@given(fields, fields, st.sampled_from(["c", "u", "r"]))
def test_a_contact_has_the_written_addresses_or_is_unreadable_or_keeps_what_it_had(
    before: str | None, after: str | None, op: str
) -> None:
    rows = [ROWS["customer_contact"] | {"cc_email": field, "cc_notes": field} for field in (before, after)]
    event = decode(key("customer_contact"), encoded(message("customer_contact", op, rows[0] if op == "u" else None, rows[1])))
    assert isinstance(event, RowEvent)
    image = after_image(event, READERS["customer_contact"])
    row, field = READERS["customer_contact"].read(image.columns), address_field(after, "cc_email")
    assert (row.emails, row.unreadable) == (field.found, field.unreadable)  # type: ignore[union-attr]
    assert (after is None) == (row.emails == () and not row.unreadable) or field.empty  # type: ignore[union-attr]
    assert ("emails" in image.keep) == (op == "u" and before is None and after is None)


@settings(deadline=None, max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from(["cc_mobile", "cc_notes", "x"]), st.one_of(st.none(), st.floats(), st.text(), st.integers())
    )
)
def test_an_unmapped_column_changes_nothing(columns: dict[str, object]) -> None:
    reader = READERS["customer_contact"]
    assert reader.read(ROWS["customer_contact"] | columns) == reader.read(ROWS["customer_contact"])


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.just(UNAVAILABLE),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.text(max_size=4), inside, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(ROWS)), st.data())
def test_whatever_stood_there_before_a_sound_row_is_read_as_it_is(table: str, data: st.DataObject) -> None:
    columns = st.dictionaries(st.sampled_from(sorted(ROWS[table])), anything).map(lambda odd: ROWS[table] | odd)
    before = data.draw(columns | anything)
    value = json.dumps(message(table, "u", None, ROWS[table]) | {"before": before}).encode()
    event = decode(key(table), value)
    assert isinstance(event, RowEvent)
    reader = READERS[table]
    assert reader.read(after_image(event, reader).columns) == reader.read(ROWS[table])
    (_, first), *_ = ROUTER.route(event, 0)
    assert first.row == reader.read(ROWS[table])
