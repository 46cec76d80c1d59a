"""A simulated shop in front of a local stack, and the oracle behind it: what soaks play, for tests."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping
from testkit.demo.stack import LocalStack
from testkit.oracle import expected_held, orders_of_nobody, orders_of_the_staying, priced_on_application
from testkit.simulate import Truth
from testkit.simulate.envelopes import Event
from testkit.soak.site import QUICK, Site, lasting, open_site, simulate
from testkit.soak.site import differences as verdict
from tests.patience import PATIENCE

__all__ = ["QUICK", "append", "held", "lasting", "revived", "simulate", "stack", "verdict", "wrongly_held"]


@asynccontextmanager
async def stack(
    directory: Path,
    broker: Path,
    name: str,
    *,
    consent: bool = False,
    erasure: bool = False,
    partitions: int = 4,
    renames: bool = False,
    **variables: str,
) -> AsyncIterator[LocalStack]:
    """A stack with topics of its own on a shared broker; its site maps all that a site can."""
    async with open_site(directory, broker, Site(name, consent, erasure, partitions, variables, renames=renames)) as running:
        yield running


async def held(running: LocalStack) -> dict[str, int]:
    """Held documents by reason, as the workers count them."""
    samples = await running.scrape()
    return {dict(labels)["kind"]: int(value) for (name, labels), value in samples.items() if name == "owdd_held"}


def wrongly_held(counts: dict[str, int], truth: Truth, mapping: Mapping) -> dict[str, tuple[int, int]]:
    """Documents by the reason for which more or fewer are held than the oracle counts: how many are, and should be.

    The oracle counts orders and items, not the buyers and contacts that may be held for a reason of theirs.
    """
    unpriced = priced_on_application(truth.tables, mapping, truth.history)
    nobodys = orders_of_nobody(truth.tables, mapping, truth.history, truth.erased)
    more = Counter(price_on_application=unpriced, recipient_unknown=nobodys)
    wanted = expected_held(truth.tables, mapping, truth.history) + more
    staying = orders_of_the_staying(truth.tables, mapping, truth.history, truth.erased)
    others = {"customer_not_loaded", "contact_without_customer", "unreadable_address", "address_shared"}
    return {
        code: (counts.get(code, 0), wanted[code])
        for code in (counts.keys() | wanted.keys()) - others
        if counts.get(code, 0) not in range(wanted[code] - (staying if code == "recipient_unknown" else 0), wanted[code] + 1)
    }


async def revived(running: LocalStack) -> None:
    """Start again what has ended, as a supervisor does, and wait until all are ready.

    A worker that finds out that it was replaced ends, and it may find out late.
    """
    async with asyncio.timeout(PATIENCE):
        for name in running.workers:
            while not await ready(running, name):
                worker = running.workers[name]
                await running.start_worker(*worker.roles, name=name, wait=False)


async def ready(running: LocalStack, name: str) -> bool:
    """Wait until the worker is ready; False if it ends instead."""
    worker = running.workers[name]
    try:
        await running.ready(worker)
    except RuntimeError:
        if worker.process.poll() is None:
            raise
    return worker.process.poll() is None


async def append(running: LocalStack, events: Iterable[Event]) -> None:
    """Write events into the captured topics, in this order."""
    producer = client.producer(KafkaConfig.of(running.settings), acks="all")
    await producer.start()
    try:
        for event in events:
            await producer.send(event.topic, event.value, event.key)
        await producer.flush()
    finally:
        await producer.stop()
