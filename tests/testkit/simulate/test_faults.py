"""Faults are lawful towards Kafka: records come twice, late or mixed, never out of the order of their key."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import count

import orjson

from testkit.simulate import Event, Simulation
from tests.testkit.simulate.simulated_shops import config, rows_only


def by_key(events: Iterable[Event]) -> dict[tuple[str, bytes], list[bytes | None]]:
    lanes: dict[tuple[str, bytes], list[bytes | None]] = defaultdict(list)
    for event in events:
        lanes[event.topic, event.key].append(event.value)
    return lanes


def test_only_the_time_of_sending_differs_between_copies_of_a_change() -> None:
    clock = count(10**18, 1_000_000)
    events = rows_only(Simulation(config(duplicates=0.2), clock.__next__).events())
    copies: dict[bytes, set[bytes]] = defaultdict(set)
    for event in events:
        if event.value is not None:
            head, _, tail = event.value.rpartition(b',"ts_ms":')
            copies[head].add(tail)
    assert any(len(tails) > 1 for tails in copies.values())
    assert all(set(orjson.loads(head + b"}")) >= {"before", "after", "source", "op"} for head in copies)


def test_shuffling_keeps_the_order_of_each_key_of_each_topic() -> None:
    plain, mixed = (rows_only(Simulation(config(shuffle=shuffle), lambda: 0).events()) for shuffle in (False, True))
    assert plain != mixed
    assert by_key(plain) == by_key(mixed)


def test_a_restart_sends_the_end_of_the_log_again_in_order() -> None:
    simulation = Simulation(config(replays=2), lambda: 0)
    plain, again = rows_only(Simulation(config(), lambda: 0).events()), rows_only(simulation.events())
    assert len(again) == len(plain) + simulation.phenomena["replayed_records"]
    assert simulation.phenomena["restarts"] == 2
    assert list(dict.fromkeys(again)) == list(dict.fromkeys(plain))


def test_two_versions_of_one_commit_are_only_repeated_together() -> None:
    events = rows_only(Simulation(config(duplicates=0.5), lambda: 0).events())
    last: dict[tuple[str, bytes, str], bytes] = {}
    newest: dict[tuple[str, bytes, str], bytes] = {}
    for event in events:
        if event.value:
            lane = (event.topic, event.key, orjson.loads(event.value)["source"]["commit_lsn"])
            last[lane] = event.value
    for event in rows_only(Simulation(config(), lambda: 0).events()):
        if event.value:
            newest[event.topic, event.key, orjson.loads(event.value)["source"]["commit_lsn"]] = event.value
    assert last == newest
