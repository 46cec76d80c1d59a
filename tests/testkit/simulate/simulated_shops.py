"""Simulated shops for the tests, and the tables of a consumer that takes their events."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import orjson

from streams.mapping import Mapping, load_mapping
from streams.mapping.tables import Return
from testkit.simulate import Event, Simulation, SimulationConfig

PREFIX = "ow.Orderwise.dbo."
RETURNS = Return(table="customer_return_header", key="crh_id", order="crh_oh_id", number="crh_return_number", at="crh_datetime")


class Run(NamedTuple):
    """A shop that has traded to its end, and all that it sent."""

    simulation: Simulation
    events: list[Event]


@cache
def default_mapping() -> Mapping:
    return load_mapping()


def site(**changes: Any) -> Mapping:
    """The default mapping with a house account and a table of returns."""
    return default_mapping().model_copy(update={"house_accounts": frozenset({1}), "returns": RETURNS, **changes})


def config(seed: int = 1, **changes: Any) -> SimulationConfig:
    values: dict[str, Any] = {"mapping": site(), "seed": seed, "customers": 60, "orders": 300}
    return SimulationConfig(**(values | changes))


def rows_only(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event.topic.startswith(PREFIX)]


def replay(events: Iterable[Event], *, guarded: bool = True) -> dict[str, dict[str, Any]]:
    """The tables of a consumer that takes every record in order, skipping lower positions if ``guarded``."""
    tables: dict[str, dict[str, Any]] = defaultdict(dict)
    positions: dict[tuple[str, bytes], str] = {}
    for event in rows_only(events):
        if event.value is None:
            continue
        envelope = orjson.loads(event.value)
        lane, position = (event.topic, event.key), envelope["source"]["commit_lsn"]
        if guarded and position < positions.get(lane, ""):
            continue
        positions[lane] = position
        table, key = tables[event.topic.removeprefix(PREFIX)], str(next(iter(orjson.loads(event.key).values())))
        if envelope["op"] == "d":
            table.pop(key, None)
        else:
            table[key] = envelope["after"]
    return {name: table for name, table in tables.items() if table}


def held_tables(simulation: Simulation) -> dict[str, dict[str, Any]]:
    return {name: table for name, table in simulation.truth().tables.items() if table}
