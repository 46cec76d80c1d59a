"""Damage that must not cost a row: half a character in a text, and an image before the change that cannot be read."""

import json

import pytest

from streams.capture import rows
from streams.capture.envelope import RowEvent, decode
from streams.capture.reader import readers
from streams.core.errors import RecordError
from streams.mapping import load_mapping
from tests.capture.records import ROWS, Row, decimal_type, encoded, key, message, with_schemas

CONTACT = "customer_contact"
READER = readers(load_mapping())[CONTACT]


def decoded(record: Row, table: str = CONTACT) -> RowEvent:
    """The event of a record; ``json`` writes half a surrogate pair as an escape."""
    event = decode(key(table), json.dumps(record).encode())
    assert isinstance(event, RowEvent)
    return event


class TestHalfACharacter:
    @pytest.mark.parametrize("half", ["\ud83d", "\ude00", "\ud83d\ud83d"])
    @pytest.mark.parametrize("op", ["c", "u", "d", "r"])
    def test_every_version_of_the_row_is_read(self, half: str, op: str) -> None:
        damaged = ROWS[CONTACT] | {"cc_last_name": f"Lee{half}", "cc_mobile": half}
        event = decoded(message(CONTACT, op, damaged if op in "ud" else None, None if op == "d" else damaged))
        row = READER.read((event.before if op == "d" else event.after) or {})
        assert row == rows.Contact(("ann@bright.co.uk",), "Ann", "Lee" + "\ufffd" * len(half), None)

    def test_half_a_character_may_also_come_as_bytes(self) -> None:
        value = encoded(message(CONTACT, "c", None, ROWS[CONTACT] | {"cc_last_name": "Lee#"}))
        event = decode(key(CONTACT), value.replace(b"#", b"\xed\xa0\xbd"))
        assert isinstance(event, RowEvent)
        assert (event.after or {})["cc_last_name"] == "Lee\ufffd"

    @pytest.mark.parametrize("whole", ["\U0001f4e6", "\\ud83d", "\\\\\U0001f4e6", '"\\"'])
    def test_whole_characters_beside_it_stay(self, whole: str) -> None:
        event = decoded(message(CONTACT, "c", None, ROWS[CONTACT] | {"cc_last_name": whole, "cc_mobile": "\ud83d"}))
        assert (event.after or {})["cc_last_name"] == whole

    def test_an_address_with_half_a_character_is_nobodys(self) -> None:
        event = decoded(message(CONTACT, "c", None, ROWS[CONTACT] | {"cc_email": "ann\ud83d@bright.co.uk"}))
        assert READER.read(event.after or {}) == rows.Contact((), None, None, None, unreadable=True)

    def test_a_key_with_half_a_character_is_read(self) -> None:
        event = decode(b'{"cc_id":70,"cc_code":"\\ud83d"}', encoded(message(CONTACT)))
        assert isinstance(event, RowEvent)
        assert event.key["cc_id"] == 70


class TestBefore:
    @pytest.mark.parametrize("before", [["quagga"], "quagga", 7, True])
    def test_what_is_no_row_is_not_known(self, before: object) -> None:
        record = message(CONTACT, "u", ROWS[CONTACT], ROWS[CONTACT]) | {"before": before}
        assert (decoded(record).before, decoded(record).after) == (None, ROWS[CONTACT])

    def test_a_value_that_does_not_fit_its_schema_is_left_out(self) -> None:
        table = "order_header_total"
        record = with_schemas(
            message(table, "u", ROWS[table] | {"oht_net": "quagga!"}, ROWS[table] | {"oht_net": "FVzA"}),
            {"oht_net": decimal_type(4)},
        )
        event = decoded(record, table)
        assert "oht_net" not in (event.before or {})
        assert ((event.before or {})["oht_oh_id"], (event.after or {})["oht_net"]) == (5, "140.0000")

    def test_a_delete_needs_it_whole(self) -> None:
        table = "order_header_total"
        record = with_schemas(message(table, "d", ROWS[table] | {"oht_net": "quagga!"}, None), {"oht_net": decimal_type(4)})
        with pytest.raises(RecordError, match=r"^bad_decimal: "):
            decoded(record, table)


class TestKeys:
    def test_a_numeric_key_is_read_by_its_schema(self) -> None:
        field = {"field": "oht_id"} | decimal_type(0)
        schema = {"type": "struct", "fields": [field], "optional": False}
        event = decode(
            json.dumps({"schema": schema, "payload": {"oht_id": "Mw=="}}).encode(), encoded(message("order_header_total"))
        )
        assert isinstance(event, RowEvent)
        assert readers(load_mapping())["order_header_total"].primary_key(event.key) == 51

    @pytest.mark.parametrize("text", ["51", "51.0000"])
    def test_a_numeric_key_may_be_text(self, text: str) -> None:
        assert readers(load_mapping())["order_header_total"].primary_key({"oht_id": text}) == 51
