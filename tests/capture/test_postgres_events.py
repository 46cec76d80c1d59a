"""Events that Debezium's PostgreSQL connector wrote, recorded: read as SQL Server's are, and in the order of commits."""

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.capture import rows
from streams.capture.envelope import RowEvent, Tombstone, decode
from streams.capture.position import BEFORE_EVERYTHING, position_of
from streams.capture.reader import readers
from streams.core.errors import RecordError
from streams.mapping import load_mapping

RECORDS = [orjson.loads(line) for line in Path(__file__).with_name("postgres_events.jsonl").read_bytes().splitlines()]
"""Two rows of the initial snapshot, then, in one shop: an insert, an update, a changed key and a delete of a contact; orders
and customers; two transactions that overlap (the customer with account A writes first and commits last); all tables read
again while a transaction is open that has changed total 9001."""


def decoded(record: Any) -> Any:
    value = None if record["value"] is None else orjson.dumps(record["value"])
    return decode(orjson.dumps(record["key"]), value)


EVENTS = [event for event in map(decoded, RECORDS) if isinstance(event, RowEvent)]


def of(table: str, **key: int) -> list[RowEvent]:
    """The versions of one row in the order of arrival."""
    return [event for event in EVENTS if event.table == table and event.key == key]


def read(event: RowEvent) -> Any:
    assert event.after is not None
    return readers(load_mapping())[event.table].read(event.after)


def test_every_recorded_event_is_read() -> None:
    assert [event.op for event in of("customer_contact", cc_id=9001)] == ["c", "u", "d"]
    assert {event.op for event in EVENTS} == {"r", "c", "u", "d"}
    assert sum(isinstance(decoded(record), Tombstone) for record in RECORDS) == 2
    assert all(len(event.position) == 12 for event in EVENTS)


def test_types_are_read_as_from_sql_server() -> None:
    inserted, nothing = of("order_header_total", oht_id=9001)[0], of("order_header_total", oht_id=9002)[0]
    assert (read(inserted), read(nothing)) == (rows.Total(net=Decimal("140.0000")), rows.Total(net=None))
    header = read(of("order_header", oh_id=9001)[0])
    # Half past one on the morning when the clocks go back; of the two, the first.
    assert header == rows.Header(number="SO9001", at=1792888200, customer=2, type=1, status=None)
    accounts = of("customer_detail", cd_id=9001)[0], of("customer_detail", cd_id=9002)[0]
    assert [read(event).trade for event in accounts] == [True, False]
    contact = read(of("customer_contact", cc_id=9002)[0])
    assert (contact.emails, contact.first_name, contact.last_name) == (("zoe@example.com",), "Zoë", "Example")


def test_old_rows_are_whole() -> None:
    before = of("customer_contact", cc_id=9001)[1].before
    after = of("customer_contact", cc_id=9001)[0].after
    assert before == after


def test_a_changed_key_is_a_delete_a_tombstone_and_an_insert() -> None:
    names = {"__debezium.newkey", "__debezium.oldkey"}
    parts = [decoded(record) for record in RECORDS if names & record["headers"].keys()]
    kinds = [part.op if isinstance(part, RowEvent) else "tombstone" for part in parts]
    assert kinds == ["d", "tombstone", "c"]
    assert parts[0].position == parts[2].position


def test_versions_of_a_row_never_go_back() -> None:
    versions: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    for event in EVENTS:
        versions[event.table, str(event.key)].append(event.position)
    assert max(len(positions) for positions in versions.values()) >= 4
    assert all(positions == sorted(positions) for positions in versions.values())


def test_rows_of_one_transaction_share_a_position() -> None:
    found: dict[int, set[bytes]] = defaultdict(set)
    for record in RECORDS:
        if record["value"] and record["value"]["source"]["snapshot"] is None:
            found[record["value"]["source"]["txId"]].add(decoded(record).position)
    assert len(found) > 8
    assert all(len(positions) == 1 for positions in found.values())


def test_of_transactions_that_overlap_the_one_that_commits_last_is_later() -> None:
    last, first = of("customer_detail", cd_id=9001)[1], of("customer_detail", cd_id=9002)[1]
    wrote = {
        record["value"]["after"]["cd_ow_account"]: record["value"]["source"]["lsn"]
        for record in RECORDS
        if record["topic"].endswith("customer_detail") and record["value"] and record["value"]["op"] == "u"
    }
    assert wrote["A"] < wrote["B"]
    assert last.position > first.position


def test_a_row_that_was_read_again_is_after_what_the_read_saw_and_before_what_was_open() -> None:
    inserted, read_again, committed_later = of("order_header_total", oht_id=9001)
    assert [event.op for event in (inserted, read_again, committed_later)] == ["c", "r", "u"]
    assert inserted.position < read_again.position < committed_later.position


def test_the_initial_snapshot_is_before_everything_and_bulk() -> None:
    initial = [
        decoded(record) for record in RECORDS if str(record["value"] and record["value"]["source"]["snapshot"])[:5] == "first"
    ]
    assert len(initial) == 2
    assert all(event.snapshot and event.position.endswith(BEFORE_EVERYTHING) for event in initial)
    assert all(event.position > initial[0].position for event in EVENTS if event not in initial)


def test_the_first_transaction_after_the_snapshot_has_nothing_but_its_own_lsn() -> None:
    source = {"connector": "postgresql", "snapshot": None, "sequence": '[null,"26452936"]', "lsn": 26452936}
    assert position_of(source, 3) == b"\0\3" + (26452936).to_bytes(10, "big")


def test_a_later_epoch_comes_after_whatever_the_lsn() -> None:
    late = {"connector": "postgresql", "snapshot": "true", "sequence": '[null,"5"]', "lsn": 5}
    early = {"connector": "postgresql", "snapshot": None, "sequence": '["9223372036854775807","1"]', "lsn": 1}
    assert position_of(early, 1) < position_of(late, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sequence": None},
        {"sequence": ""},
        {"sequence": "{}"},
        {"sequence": "[]"},
        {"sequence": '["1"]'},
        {"sequence": '["1","2","3"]'},
        {"sequence": '["0/16","1"]'},
        {"sequence": '[[],"1"]'},
        {"sequence": '["0","1"]'},
        {"sequence": '["-5","1"]'},
        {"sequence": '["9223372036854775808","1"]'},
        {"sequence": ["1", "2"]},
        {"sequence": 12},
        {"sequence": '[null,"1"]', "lsn": None},
        {"sequence": '[null,"1"]', "lsn": "12"},
        {"sequence": '[null,"1"]', "lsn": True},
        {"sequence": '[null,"1"]', "lsn": 0},
        {"sequence": '[null,"1"]', "lsn": 2**63},
    ],
    ids=str,
)
def test_what_is_no_lsn_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecordError) as caught:
        position_of({"connector": "postgresql", "snapshot": None, "lsn": 1} | wrong, 0)
    assert caught.value.code == "bad_lsn"
