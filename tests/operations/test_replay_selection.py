"""What a replay selects: rows by what they are and whose they are, read from captured records."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from streams.cli.replay_filters import ReplayFilters
from streams.core.errors import ConfigurationError
from streams.mapping import load_mapping
from streams.messages.replays import ReplaySelection
from streams.operations.offset_chunks import chunks
from streams.operations.replay_matcher import ReplayMatcher
from streams.operations.replay_scan import selected_topics
from streams.settings import Settings
from tests.capture import records

SETTINGS, MAPPING = Settings(), load_mapping()


def captured(table: str, key: str, row: dict[str, Any], offset: int = 5, at: int = 50) -> Any:
    source = {"connector": "sqlserver", "table": table, "commit_lsn": records.LSN, "snapshot": "false"}
    value = orjson.dumps({"before": None, "after": row, "source": source, "op": "u", "ts_ms": 1})
    name = orjson.dumps({key: row[key]})
    return SimpleNamespace(key=name, value=value, offset=offset, timestamp=at, topic=MAPPING.topic(table), partition=0)


HEADER = captured("order_header", "oh_id", records.HEADER)
LINE = captured("order_line_item", "oli_id", records.LINE)
CONTACT = captured("customer_contact", "cc_id", records.CONTACT)
CUSTOMER = captured("customer_detail", "cd_id", records.CUSTOMER)


def found(**selection: Any) -> list[Any]:
    matcher = ReplayMatcher(SETTINGS, MAPPING, ReplaySelection(**selection))
    return [record for record in (HEADER, LINE, CONTACT, CUSTOMER) if matcher.matches(record)]


def named(**filters: Any) -> list[Any]:
    selection = ReplayFilters(**filters).selection(SETTINGS)
    assert not selection.keys or "bright" not in repr(selection), "what is written down names nobody"
    return found(keys=selection.keys)


def test_an_order_is_its_header_and_all_that_names_it() -> None:
    assert found(order=5) == [HEADER, LINE]
    assert found(order=52) == [], "52 is the line's own id"


def test_a_customer_is_the_account_its_people_and_its_orders() -> None:
    assert found(customer=7) == [HEADER, CONTACT, CUSTOMER]


@pytest.mark.parametrize("written", [b"12345678", b"1.2345678E7", b"1.2345678e7", b'"12345678.000"'])
def test_large_numbers_are_found_however_the_connector_writes_them(written: bytes) -> None:
    header = captured("order_header", "oh_id", records.HEADER | {"oh_id": 12345678, "oh_cd_id": 12345678})
    header.key, header.value = (part.replace(b"12345678", written) for part in (header.key, header.value))
    for selection in (ReplaySelection(order=12345678), ReplaySelection(customer=12345678)):
        assert ReplayMatcher(SETTINGS, MAPPING, selection).matches(header)
        assert not ReplayMatcher(SETTINGS, MAPPING, selection).matches(HEADER)


def test_rows_are_found_by_key_and_by_address_in_any_case() -> None:
    assert named(key="70") == [CONTACT]
    assert named(email="ANN@bright.co.uk ") == [CONTACT]


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        ({"first": 5, "last": 5}, 4),
        ({"first": 6}, 0),
        ({"last": 4}, 0),
        ({"since": 50, "until": 50}, 4),
        ({"since": 51}, 0),
        ({"until": 49}, 0),
        ({}, 4),
    ],
)
def test_offsets_and_times_include_their_ends(selection: dict[str, int], count: int) -> None:
    assert len(found(**selection)) == count


def test_topics_are_those_of_the_tables_that_were_named() -> None:
    assert selected_topics(MAPPING, ReplaySelection(tables=("ORDER_HEADER",))) == [MAPPING.topic("order_header")]
    assert len(selected_topics(MAPPING, ReplaySelection())) == len(MAPPING.tables)
    for wrong in (ReplaySelection(tables=("orders",)), ReplaySelection(topic="elsewhere")):
        with pytest.raises(ConfigurationError):
            selected_topics(MAPPING, wrong)


def test_two_names_at_once_and_turned_offsets_are_refused() -> None:
    for filters in (ReplayFilters(key="1", email="a@b.co"), ReplayFilters(first=2, last=1)):
        with pytest.raises(ConfigurationError):
            filters.selection(SETTINGS)


def test_requests_are_bounded_in_number_and_in_distance() -> None:
    assert list(chunks([1, 2, 3, 50, 51], most=2, span=10)) == [[1, 2], [3], [50, 51]]
    assert list(chunks([], most=2, span=10)) == []
