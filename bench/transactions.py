"""``transactions``: what fencing by the broker would cost beside our chain of offsets, for the writes of a stage alone.

Four partitions write side by side, many rows a cycle as under a backlog, and one as on a quiet day.
"""

from dataclasses import dataclass

import orjson

from bench.results import Result, Spread
from bench.site import Site
from bench.workload import PARTITIONS
from testkit.virtual.measures import percentile

_CHAIN, _TRANSACTIONS = "chain", "transactions"
_CYCLES = {500: 100, 1: 1000}
"""Cycles of each partition, by rows a cycle."""
_QUICK = 10
_PATIENCE = 180.0


@dataclass(frozen=True, slots=True)
class _Sample:
    cpu_ms: float
    broker_ms: float
    p50_ms: float
    p99_ms: float


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """CPU and time of a cycle, by the way in which it is made durable.

    Raises:
        BenchError: a writer died or did not finish.
    """
    found: dict[tuple[str, int], list[_Sample]] = {}
    for number in range(repetitions):
        for rows, cycles in _CYCLES.items():
            for way in (_CHAIN, _TRANSACTIONS):
                sample = await _measured(site, f"{way}-{rows}-{number}", way, rows, cycles // (_QUICK if quick else 1))
                found.setdefault((way, rows), []).append(sample)
    return _result(found)


async def _measured(site: Site, name: str, way: str, rows: int, cycles: int) -> _Sample:
    log, out = f"{name}-log", f"{name}-out"
    await site.create([log, out, f"{log}-input"])
    child = site.peer(name, ["-m", "bench.contenders.commits", way, log, out, str(rows), str(cycles)])
    with child:
        before = site.meter.sample()[1]
        child.wait_for_text("}", _PATIENCE)
        broker = site.meter.sample()[1] - before
        took = orjson.loads(child.said(1))
    total = cycles * PARTITIONS
    times = [seconds * 1000 for seconds in took["cycles"]]
    return _Sample(
        1000 * took["cpu"] / total, 1000 * broker / total, percentile(times, 0.5) or 0.0, percentile(times, 0.99) or 0.0
    )


def _result(found: dict[tuple[str, int], list[_Sample]]) -> Result:
    columns = ["rows a cycle", "way", "CPU ms a cycle", "broker's", "× the chain, both", "cycle p50 ms", "p99 ms"]
    result = Result("transactions", f"changelog, output and offset of {PARTITIONS} partitions at once", columns)
    for rows in _CYCLES:
        both = {
            way: Spread.of([one.cpu_ms + one.broker_ms for one in found[way, rows]]).median for way in (_CHAIN, _TRANSACTIONS)
        }
        for way, total in both.items():
            samples = found[way, rows]
            cpu, broker = Spread.of([one.cpu_ms for one in samples]), Spread.of([one.broker_ms for one in samples])
            p50, p99 = Spread.of([one.p50_ms for one in samples]), Spread.of([one.p99_ms for one in samples])
            ratio = total / both[_CHAIN]
            result.rows.append([f"{rows}", way, cpu.text(), broker.text(), f"{ratio:.2f}", p50.text(1), p99.text(1)])
            result.data[f"{way}, {rows} rows"] = {
                "cpu_ms": cpu.json(),
                "broker_cpu_ms": broker.json(),
                "times_the_chain": ratio,
                "p50_ms": p50.json(),
                "p99_ms": p99.json(),
            }
    result.notes += [
        "the chain's offsets are committed once a second, which is not part of this",
        "the broker's CPU counts from the start of the writer",
    ]
    return result
