"""What the connector's notifications say, as Debezium writes them."""

import orjson
import pytest

from streams.capture.notifications import SOME_ROWS, Loaded, WholeRead, WholeReads, loaded

TOPIC = "ow.Orderwise.dbo.customer_contact"


def notification(aggregate: str, kind: str, name: str = "c485b022", **data: str) -> bytes:
    return orjson.dumps(
        {
            "id": name,
            "type": kind,
            "aggregate_type": aggregate,
            "additional_data": {"connector_name": "ow"} | data,
            "timestamp": 1772273900000,
        }
    )


def scanned(table: str, status: str, rows: str = "7", name: str = "c485b022", aggregate: str = "Initial Snapshot") -> bytes:
    data = {"scanned_collection": table, "status": status, "total_rows_scanned": rows, "data_collections": table}
    return notification(aggregate, "TABLE_SCAN_COMPLETED", name, **data)


@pytest.mark.parametrize("aggregate", ["Initial Snapshot", "Incremental Snapshot"])
@pytest.mark.parametrize(
    ("status", "read"), [("SUCCEEDED", True), ("EMPTY", True), ("SQL_EXCEPTION", False), ("SKIPPED", False)]
)
def test_a_table_was_loaded_if_all_of_it_was_read(aggregate: str, status: str, read: bool) -> None:
    said = loaded(scanned("Orderwise.dbo.customer_contact", status, aggregate=aggregate))
    assert said == (Loaded("Orderwise.dbo.customer_contact", 7) if read else None)


@pytest.mark.parametrize("kind", ["COMPLETED", "SKIPPED"])
def test_all_tables_were_loaded_when_the_initial_snapshot_is_over_or_was_before(kind: str) -> None:
    assert loaded(notification("Initial Snapshot", kind)) == Loaded(None)
    assert loaded(notification("Incremental Snapshot", kind)) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"[]",
        b"{",
        b'{"payload": null, "schema": {}}',
        notification("Initial Snapshot", "STARTED"),
        notification("Initial Snapshot", "ABORTED"),
        notification("Initial Snapshot", "IN_PROGRESS", current_collection_in_progress="Orderwise.dbo.customer_contact"),
        notification("Initial Snapshot", "TABLE_SCAN_COMPLETED", status="SUCCEEDED"),
        notification("Capture Instance", "COMPLETED", capture_instance="dbo_customer_contact"),
        scanned("Orderwise.dbo.customer_contact", "SUCCEEDED", name=f"{SOME_ROWS}1", aggregate="Incremental Snapshot"),
    ],
)
def test_everything_else_says_nothing(value: bytes | None) -> None:
    assert loaded(value) is None


def test_a_converter_with_schemas_wraps_it() -> None:
    plain = scanned("Orderwise.dbo.customer_contact", "SUCCEEDED", "many")
    assert loaded(b'{"schema": {"type": "struct"}, "payload": ' + plain + b"}") == Loaded("Orderwise.dbo.customer_contact")


@pytest.mark.parametrize(
    ("collection", "same"),
    [
        ("Orderwise.dbo.customer_contact", True),
        ("dbo.customer_contact", True),
        ("orderwise.DBO.customer_contact", True),
        ("Orderwise.dbo.customer", False),
        ("Orderwise.dbo.old_customer_contact", False),
        (None, True),
    ],
)
def test_whose_rows_a_topic_holds(collection: str | None, same: bool) -> None:
    assert Loaded(collection).is_of(TOPIC) is same


INITIAL, INCREMENTAL = "Initial Snapshot", "Incremental Snapshot"


def reads(*notifications: bytes) -> WholeRead | None:
    """What is known of the topic's table after these, which came at 1, 2, 3 and so on."""
    found = WholeReads()
    for at, value in enumerate(notifications, start=1):
        found.take(value, at)
    return found.of(TOPIC)


@pytest.mark.parametrize("aggregate", [INITIAL, INCREMENTAL])
def test_a_whole_reading_began_when_its_snapshot_did(aggregate: str) -> None:
    started, end = notification(aggregate, "STARTED"), scanned("dbo.customer_contact", "SUCCEEDED", aggregate=aggregate)
    assert reads(started, end) == WholeRead(1, 7)
    assert reads(started, end, notification(aggregate, "COMPLETED"), started, end) == WholeRead(4, 7)
    assert reads(started) is None
    assert reads(end) is None, "when it began is not known any more"
    assert reads(started, scanned("dbo.customer_detail", "SUCCEEDED", aggregate=aggregate)) is None
    assert reads(started, scanned("dbo.customer_contact", "SQL_EXCEPTION", aggregate=aggregate)) is None


def test_a_first_snapshot_that_starts_anew_reads_everything_anew() -> None:
    started, end = notification(INITIAL, "STARTED"), scanned("dbo.customer_contact", "SUCCEEDED")
    assert reads(started, started, end) == WholeRead(2, 7)


def test_a_table_that_is_asked_for_while_others_are_read_joins_them() -> None:
    first, second = (notification(INCREMENTAL, "STARTED", name) for name in ("1", "2"))
    end = scanned("dbo.customer_contact", "SUCCEEDED", name="2", aggregate=INCREMENTAL)
    assert reads(first, second, end) == WholeRead(1, 7)


def test_a_reading_of_some_rows_is_none_of_the_table() -> None:
    name = f"{SOME_ROWS}1"
    end = scanned("dbo.customer_contact", "SUCCEEDED", name=name, aggregate=INCREMENTAL)
    assert reads(notification(INCREMENTAL, "STARTED", name), end) is None
