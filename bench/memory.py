"""``memory``: bytes of state a contact, on disk and in the process."""

import urllib.request
from collections import defaultdict
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from bench.measure import whole_flow
from bench.results import Goal, Result, Spread
from bench.site import Owdd, Site
from bench.workload import Workload
from streams.kafka.topics import agents_app, tables

CUSTOMERS, QUICK_CUSTOMERS = 20_000, 4_000
ORDERS_EACH = 5
BAR = 1_000

_PREFIX = "memory"
_ROCKSDB, _EXACT, _DISK, _RSS = "RocksDB's estimate", "keys and values", "files after a clean stop", "process (RSS)"


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """State after ``owdd run --only ingest --only agents`` over customers with five orders each.

    Raises:
        BenchError: the worker died or did not finish.
    """
    customers = QUICK_CUSTOMERS if quick else CUSTOMERS
    workload = Workload(customers, customers * ORDERS_EACH, updates=False, even=True, prefix=_PREFIX)
    await site.owdd("memory-schema", _PREFIX)
    await site.produce(workload.messages())
    found: dict[str, list[float]] = defaultdict(list)
    for number in range(repetitions):
        for what, size in (await _once(site, number)).items():
            found[what].append(size)
    result = Result(
        "memory",
        f"{customers:,} contacts with {ORDERS_EACH} orders of two lines each",
        ["what", "MiB", "bytes a contact"],
    )
    for what, sizes in found.items():
        each = Spread.of([size / customers for size in sizes])
        total = Spread.of([size / 2**20 for size in sizes])
        result.rows.append([what, total.text(1), each.text(0)])
        result.data[what] = {"mebibytes": total.json(), "bytes_per_contact": each.json()}
    state = Spread.of([size / customers for size in found[_ROCKSDB]]).median
    result.goals.append(Goal("state on disk a contact", state, BAR, "bytes"))
    return result


async def _once(site: Site, number: int) -> dict[str, float]:
    app = await site.owdd(f"memory{number}", _PREFIX)
    sizes: dict[str, float] = {}
    with site.worker(app, "ingest", "agents") as worker:
        await site.watch.drained(whole_flow(app), worker)
        scraped = _table_bytes(app.port)
        sizes[_RSS] = worker.rss()
    for table, size in scraped.items():
        sizes[f"{_ROCKSDB}: {table}"] = size
    sizes[_ROCKSDB] = sum(scraped.values())
    live = {table: await _live(site, topic) for table, topic in _changelogs(app).items()}
    for table, size in live.items():
        sizes[f"{_EXACT}: {table}"] = size
    sizes[_EXACT] = sum(live.values())
    sizes[_DISK] = _on_disk(app.data)
    return sizes


def _table_bytes(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {
        sample.labels["table"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "owdd_table_bytes"
    }


def _changelogs(app: Owdd) -> dict[str, str]:
    mine = agents_app(app.settings)
    return {table: topic for table, topic in tables(app.settings).items() if topic.startswith(f"{mine}-")}


async def _live(site: Site, changelog: str) -> int:
    """Bytes of the newest value of every key, with the key."""
    rows: dict[bytes, int] = {}
    async for key, value in site.read(changelog):
        if value is None:
            rows.pop(key or b"", None)
        else:
            rows[key or b""] = len(key or b"") + len(value)
    return sum(rows.values())


def _on_disk(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
