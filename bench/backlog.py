"""``backlog``: the most memory that the agents take while they work off a large backlog of records with long texts."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from bench.measure import agents_flow
from bench.results import Goal, Result, Spread
from bench.site import Owdd, Site
from bench.workload import PARTITIONS
from streams.capture import rows
from streams.core.lanes import Lane
from streams.domain.versioned import version_bytes
from streams.engine.unit_of_work import packed
from streams.messages.changes import EVERYWHERE, Change, VariantInfo, partition_of
from streams.messages.kinds import ContactRowChange, HeaderRowChange, VariantInfoChange
from streams.messages.topics import ChangeTopic, Topics

CHANGES, QUICK_CHANGES = 200_000, 40_000
"""Of each kind; a change has about a kilobyte, the most that a text column may have."""
BAR = 700 * 2**20
_CHUNK = 5_000

_Made: TypeAlias = Callable[[int, int], Iterator[Change]]


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """The peak of the agents' memory, from their start until everything is read.

    Raises:
        BenchError: the worker died or did not finish.
    """
    changes = QUICK_CHANGES if quick else CHANGES
    peaks: list[float] = []
    for number in range(repetitions):
        app = await site.owdd(f"backlog{number}")
        await _fill(site, app, changes)
        with site.worker(app, "agents") as agents:
            await site.watch.drained(agents_flow(app), agents)
            peaks.append(agents.meter.peak_rss)
    peak = Spread.of([size / 2**20 for size in peaks])
    result = Result(
        "backlog",
        f"{3 * changes:,} changes of about 1 kB, none read yet",
        ["what", "MiB"],
        [["peak of the agents (RSS)", peak.text(0)]],
    )
    result.data["peak"] = peak.json()
    result.goals.append(Goal("backlog of long texts: memory of the agents", max(peaks) / 2**20, BAR / 2**20, "MiB"))
    return result


async def _fill(site: Site, app: Owdd, changes: int) -> None:
    topics = Topics.of(app.settings.app_id)
    async with site.producer() as producer:
        feeds: list[tuple[ChangeTopic[Any], _Made]] = [
            (topics.orders, _orders),
            (topics.buyers, _persons),
            (topics.orders, _variants),
        ]
        for topic, found in feeds:
            for start in range(0, changes, _CHUNK):
                places: dict[int, list[Any]] = defaultdict(list)
                for change in found(start, start + _CHUNK):
                    everywhere = change.key == EVERYWHERE
                    for place in range(PARTITIONS) if everywhere else (partition_of(change.key, PARTITIONS),):
                        places[place].append(change)
                await asyncio.gather(*(producer.send(topic, place, packed(topic, those)) for place, those in places.items()))


def _orders(first: int, last: int) -> Iterator[Change]:
    for order in range(first, last):
        header = rows.Header(f"{order} " + "x" * 990, 1_700_000_000, 1 + order % 5_000, 1, 1)
        yield HeaderRowChange(str(order), order, version_bytes(1), Lane.BULK, 0, header)


def _persons(first: int, last: int) -> Iterator[Change]:
    for person in range(first, last):
        row = rows.Contact((f"p{person}@example.com",), "x" * 500, "y" * 500, None)
        yield ContactRowChange(f"c{person}", person, version_bytes(1), Lane.BULK, 0, row)


def _variants(first: int, last: int) -> Iterator[Change]:
    # Every partition gets each: a tenth of the others is as much.
    for variant in range(first, last, 10):
        yield VariantInfoChange(EVERYWHERE, variant, version_bytes(1), Lane.BULK, 0, VariantInfo(None, "S", "z" * 1000))
