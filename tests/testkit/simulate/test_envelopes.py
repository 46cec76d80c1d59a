"""Records are what Debezium would have written: snapshot, log, deletes, key changes, heartbeats, transactions."""

from collections import Counter, defaultdict
from itertools import pairwise

import orjson

from testkit.simulate import Simulation
from tests.testkit.simulate.simulated_shops import PREFIX, Run, config, rows_only, site


def test_the_snapshot_comes_first_marked_as_debezium_marks_it(default_run: Run) -> None:
    envelopes = [orjson.loads(event.value) for event in rows_only(default_run.events) if event.value]
    snapshot = [envelope for envelope in envelopes if envelope["op"] == "r"]
    assert envelopes[: len(snapshot)] == snapshot
    marks: dict[str, list[str]] = defaultdict(list)
    for envelope in snapshot:
        marks[envelope["source"]["table"]].append(envelope["source"]["snapshot"])
        assert envelope["before"] is None
        assert envelope["source"]["change_lsn"] is None
    assert len({envelope["source"]["commit_lsn"] for envelope in snapshot}) == 1
    assert next(iter(marks)) == "order_line_item"
    assert list(marks)[-1] == "order_status"
    assert marks["order_line_item"][0] == "first"
    assert marks["order_status"][-1] == "last"
    assert Counter(mark for table in marks.values() for mark in table) == {
        "first": 1,
        "first_in_data_collection": 14,
        "last_in_data_collection": 14,
        "last": 1,
        "true": len(snapshot) - 30,
    }


def test_the_log_only_goes_forward(default_run: Run) -> None:
    lsns = [orjson.loads(event.value)["source"]["commit_lsn"] for event in rows_only(default_run.events) if event.value]
    assert all(earlier <= later for earlier, later in pairwise(lsns))


def test_the_rows_of_one_save_share_a_commit_across_tables(default_run: Run) -> None:
    tables: dict[str, set[str]] = defaultdict(set)
    for event in rows_only(default_run.events):
        if event.value:
            source = orjson.loads(event.value)["source"]
            tables[source["commit_lsn"]].add(source["table"])
    together = {"order_header", "order_header_detail", "order_header_total", "order_line_item"}
    assert sum(found >= together for found in tables.values()) > 100


def test_change_lsn_sometimes_falls_inside_a_commit(default_run: Run) -> None:
    sources = [orjson.loads(event.value)["source"] for event in rows_only(default_run.events) if event.value]
    live = [source for source in sources if source["change_lsn"]]
    falls = [
        1
        for earlier, later in pairwise(live)
        if earlier["commit_lsn"] == later["commit_lsn"] and later["change_lsn"] < earlier["change_lsn"]
    ]
    assert len(falls) > 5


def test_every_delete_is_followed_by_its_tombstone(default_run: Run) -> None:
    events = rows_only(default_run.events)
    deletes = 0
    for event, following in pairwise(events):
        if event.value and orjson.loads(event.value)["op"] == "d":
            deletes += 1
            assert (following.topic, following.key, following.value) == (event.topic, event.key, None)
    assert deletes == sum(event.value is None for event in events) > 30


def test_a_key_change_is_a_delete_and_an_insert_of_one_log_record(default_run: Run) -> None:
    events = rows_only(default_run.events)
    places = Counter[tuple[str, str]]()
    for event in events:
        if event.value:
            source = orjson.loads(event.value)["source"]
            if source["change_lsn"] and "customer_contact" in event.topic:
                places[source["commit_lsn"], source["change_lsn"]] += 1
    assert sum(number == 2 for number in places.values()) == default_run.simulation.phenomena["contact_key_changed"]


def test_updates_of_orders_and_people_are_as_large_as_real_ones(default_run: Run) -> None:
    updates = [event for event in default_run.events if event.value and b'"op":"u"' in event.value]
    sizes = [len(event.value or b"") for event in updates if ".variant_" not in event.topic and ".product_" not in event.topic]
    assert 1_200 < sum(sizes) / len(sizes) < 1_700


def test_an_old_image_lacks_the_text_that_sql_server_does_not_keep(default_run: Run) -> None:
    updates = [
        orjson.loads(event.value)
        for event in default_run.events
        if event.topic.endswith("detail") and event.value and b'"op":"u"' in event.value
    ]
    of_orders = [envelope for envelope in updates if envelope["source"]["table"] == "order_header_detail"]
    assert {envelope["before"]["ohd_special_instructions"] for envelope in of_orders} == {"__debezium_unavailable_value"}


def test_heartbeats_beat_and_other_topics_only_speak_when_asked(default_run: Run) -> None:
    assert {event.topic for event in default_run.events if not event.topic.startswith(PREFIX)} == {"__debezium-heartbeat.ow"}
    beat = next(event for event in default_run.events if event.topic.startswith("__"))
    assert orjson.loads(beat.key) == {"serverName": "ow"}
    assert orjson.loads(beat.value or b"") == {"ts_ms": beat.ts_ms}


def test_transaction_records_enclose_their_rows() -> None:
    events = list(Simulation(config(meta=True), lambda: 10**18).events())
    assert sum(event.topic == "ow" for event in events) == len(site().tables)
    open_now = None
    rows = 0
    for event in events:
        body = orjson.loads(event.value) if event.value else {}
        if event.topic == "ow.transaction" and body["status"] == "BEGIN":
            open_now, rows = body["id"], 0
        elif event.topic == "ow.transaction":
            assert (body["id"], body["event_count"]) == (open_now, rows)
        elif event.topic.startswith(PREFIX) and body and body["op"] != "r":
            rows += 1
            assert body["transaction"]["id"] == open_now == body["source"]["commit_lsn"]
            assert body["transaction"]["total_order"] == rows
