"""The truth is what the events add up to, for whoever keeps to their positions."""

import random
from collections.abc import Iterator

import orjson
import pytest

from streams.mapping.model import Erasure
from testkit.oracle.addresses import addresses
from testkit.simulate import Event, Simulation
from tests.testkit.simulate.simulated_shops import Run, config, held_tables, replay, rows_only, site


def test_the_truth_is_what_the_events_add_up_to(default_run: Run) -> None:
    simulation, events = default_run
    assert replay(events) == held_tables(simulation)


@pytest.mark.parametrize("seed", range(6))
def test_the_truth_survives_every_fault(seed: int) -> None:
    rng = random.Random(seed)
    faults = {"duplicates": rng.choice((0.05, 0.5)), "replays": rng.choice((1, 9)), "shuffle": rng.random() < 0.7}
    simulation = Simulation(config(seed, **faults))
    assert replay(simulation.events()) == held_tables(simulation), f"seed {seed}: {faults}"


def test_a_consumer_without_the_position_guard_goes_wrong() -> None:
    simulation = Simulation(config(duplicates=0.05))
    assert replay(simulation.events(), guarded=False) != held_tables(simulation)


def test_a_stopped_shop_still_reports_the_truth() -> None:
    def until_stopped(simulation: Simulation) -> Iterator[Event]:
        for number, event in enumerate(simulation.events()):
            if number == 1_500:
                simulation.stop()
            yield event

    simulation = Simulation(config(duplicates=0.1, shuffle=True))
    events = list(until_stopped(simulation))
    assert len(events) < len(list(Simulation(config(duplicates=0.1, shuffle=True)).events()))
    assert replay(events) == held_tables(simulation)


def test_a_snapshot_alone_is_a_simulation_too() -> None:
    simulation = Simulation(config(live=0))
    events = rows_only(simulation.events())
    assert {orjson.loads(event.value or b"")["op"] for event in events} == {"r"}
    assert replay(events) == held_tables(simulation)


def test_whoever_ever_asked_to_be_forgotten_is_in_the_truth() -> None:
    mapping = site(erasure=Erasure(column="cc_forget", erased=frozenset({"y"})))
    simulation = Simulation(config(mapping=mapping, orders=600))
    assert replay(simulation.events()) == held_tables(simulation)
    assert simulation.phenomena["erasure_asked"]
    asked = [row for row in simulation.truth().tables["customer_contact"].values() if row["cc_forget"] == "y"]
    assert asked
    assert {address for row in asked for address in addresses(row["cc_email"])} <= set(simulation.truth().erased)
