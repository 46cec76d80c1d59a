"""How a run is measured: the same way for every contender.

CPU is everything that the process used until it had nothing left to do, less what the same process uses to start on empty
topics. The wall clock runs from the first sign of progress to the last.
"""

import asyncio

from bench.child import Child
from bench.contenders.common import IDLE
from bench.drain import Flow
from bench.results import Sample
from bench.site import Owdd, Site
from streams.mapping import load_mapping
from streams.topics import Topics, agents_app, captured, ingest_group

_SETTLE_SECONDS = 3.0
_READY = "worker running"


async def measured(site: Site, child: Child, flow: Flow, start_cpu: float, changes: int) -> Sample:
    """Run ``child`` until ``flow`` is drained of ``changes``, end it, and say what it took.

    Raises:
        ChildDied: it ended by itself.
        NotDrained: it did not finish in time.
    """
    with child:
        done = await site.watch.drained(flow, child)
        return Sample(
            changes=changes,
            wall=done.last - done.first,
            cpu=child.meter.at(done.committed) - start_cpu,
            broker_cpu=site.meter.at(done.committed) - site.meter.at(done.first),
            peak_rss=child.meter.peak_rss,
        )


async def start_cost(child: Child, ready: str) -> float:
    """CPU seconds of a start with nothing to read; ``ready`` is what the process prints when it is about to."""
    with child:
        child.wait_for_text(ready)
        await asyncio.sleep(_SETTLE_SECONDS)
        child.check()
        return child.meter.sample()[1]


async def owdd_start(site: Site, name: str, *roles: str) -> float:
    """CPU seconds that ``owdd run`` with ``roles`` takes to start."""
    app = await site.owdd(f"{IDLE}-{name}", IDLE)
    return await start_cost(site.worker(app, *roles), _READY)


def ingest_flow(app: Owdd) -> Flow:
    """Captured topics in, changes by order and by buyer out."""
    topics = Topics.of(app.settings.app_id)
    inputs = captured(load_mapping(app.mapping))
    return Flow({ingest_group(app.settings): inputs}, (topics.orders, topics.buyers))


def agents_flow(app: Owdd) -> Flow:
    """Changes in, desired contacts out."""
    topics = Topics.of(app.settings.app_id)
    return Flow({agents_app(app.settings): (topics.orders, topics.buyers, topics.contacts)}, (topics.desired,))


def whole_flow(app: Owdd) -> Flow:
    """Captured topics in, desired contacts out."""
    ingest, agents = ingest_flow(app), agents_flow(app)
    return Flow({**ingest.inputs, **agents.inputs}, agents.outputs)
