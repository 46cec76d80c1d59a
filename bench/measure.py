"""How a run is measured: the same way for every contender.

CPU counts from the moment before the process joins its consumer group to the moment when it has nothing left to do and has
committed that, less what the same process uses when the topics are empty. The wall clock runs from the first sign of
progress to the last.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from bench.child import Child
from bench.contenders.common import IDLE
from bench.drain import Flow
from bench.results import Sample
from bench.site import PROGRAM, Owdd, Site
from streams.kafka.topics import agents_app, captured, ingest_group
from streams.mapping import load_mapping
from streams.messages.topics import Topics

_SETTLE_SECONDS = 4.0

Begun: TypeAlias = Callable[[Child], float]
"""Waits until a child is about to join its group; the moment (monotonic)."""


async def measured(site: Site, child: Child, begun: Begun, flow: Flow, idle: float, changes: int) -> Sample:
    """Run ``child`` until ``flow`` is drained of ``changes``, end it, and say what it took.

    ``idle`` is what :func:`idle_cost` found for the same kind of process.

    Raises:
        ChildDied: it ended by itself.
        NotDrained: it did not finish in time.
    """
    with child:
        started = begun(child)
        done = await site.watch.drained(flow, child)
        return Sample(
            changes=changes,
            wall=done.last - done.first,
            cpu=child.meter.at(done.committed) - child.meter.at(started) - idle,
            broker_cpu=site.meter.at(done.committed) - site.meter.at(done.first),
            peak_rss=child.meter.peak_rss,
        )


async def idle_cost(child: Child, begun: Begun) -> float:
    """CPU seconds of joining the group, opening tables and waiting, with nothing to read."""
    with child:
        started = begun(child)
        await asyncio.sleep(_SETTLE_SECONDS)
        child.check()
        return child.meter.sample()[1] - child.meter.at(started)


async def owdd_measured(
    site: Site, app: Owdd, roles: Sequence[str], flow: Flow, changes: int, *, program: Sequence[str] = PROGRAM
) -> Sample:
    """``owdd run`` with ``roles``, first on empty topics and then on those of ``app``. Raises as :func:`measured`."""
    empty = await site.owdd(f"{IDLE}-{'-'.join(roles)}-{app.settings.app_id}", IDLE)
    idle = await idle_cost(site.worker(empty, *roles, program=program), _listening(empty))
    return await measured(site, site.worker(app, *roles, program=program), _listening(app), flow, idle, changes)


def says(text: str) -> Begun:
    """Begun when the child prints ``text``."""
    return lambda child: child.wait_for_text(text)


def _listening(app: Owdd) -> Begun:
    # The metrics port opens with the first turn of the loop that starts everything else.
    return lambda child: child.wait_for_port(app.port)


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
