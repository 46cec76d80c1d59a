"""Orders about generations, given to a site in virtual time, and what became of them."""

import msgspec
import orjson

from streams.core.lanes import Lane
from streams.dispatch.outbox.generations import ROW, GenerationsRow
from streams.messages.changes import EVERYWHERE, ChangeKind, DesiredContact, DesiredRecord
from streams.messages.generation_kinds import GenerationOrderChange, HeldOrderChange
from streams.messages.generations import GenerationOrder, GenerationStep, HeldOrder
from tests.dispatch.dispatch_harness import Site

JOINS = ("orders", "buyers", "contacts", "products")


def order(site: Site, step: GenerationStep, generation: int, number: int = 0) -> None:
    """Give an order to every partition of the outbox."""
    row = GenerationOrder(step, generation, number, ("captured", "outbox"), JOINS)
    change = GenerationOrderChange(EVERYWHERE, generation, b"", Lane.BULK, site.clock.now_ms(), row)
    for partition in range(site.settings.partitions):
        site.broker.append(site.topics.desired, partition, [(None, site.topics.desired.pack([change]))])


async def begin(site: Site, generation: int) -> None:
    """Let a generation begin, and let it want things from here on."""
    order(site, "begin", generation)
    await at_rest(site)
    site.generation = generation


async def switch(site: Site, generation: int, number: int) -> None:
    """Let a generation take effect; it has wanted everything."""
    order(site, "activate", generation, number)
    await at_rest(site)
    site.generation = generation


async def at_rest(site: Site) -> None:
    """Wait until every order is done, and everything that follows is sent."""
    await site.until(lambda: site.broker.idle and not any(row.busy for row in rows(site)))
    await site.quiet()


def rows(site: Site) -> list[GenerationsRow]:
    """What each partition remembers."""
    found = (site.table.get(partition, ROW) for partition in range(site.settings.partitions))
    return [GenerationsRow() if row is None else msgspec.msgpack.decode(row, type=GenerationsRow) for row in found]


def hold(site: Site, number: int, *, held: bool = True) -> None:
    """The generation holds an order, or no longer."""
    change = HeldOrderChange(
        EVERYWHERE, number, b"", Lane.LIVE, site.clock.now_ms(), HeldOrder(held), generation=site.generation
    )
    for partition in range(site.settings.partitions):
        site.broker.append(site.topics.desired, partition, [(None, site.topics.desired.pack([change]))])


def want_unreadable(site: Site, email: str) -> None:
    """A contact should be there, though the row that had its address cannot be read any more."""
    row = DesiredContact(orjson.dumps({"FIRSTNAME": "Ann"}), None, unreadable=True)
    site.publish(site.change(ChangeKind.DESIRED_CONTACT, email, 0, row))


def hold_item(site: Site, variant: int) -> None:
    """The generation does not know what the catalogue record of a variant should be."""
    row = DesiredRecord(b"", variant, held=True)
    site.publish(site.change(ChangeKind.DESIRED_CATALOGUE, str(variant), str(variant), row))


def shadows(site: Site) -> list[bytes]:
    """The keys of everything that is kept of generations without effect."""
    return [
        key
        for partition in range(site.settings.partitions)
        for prefix in (b"s", b"h")
        for key, _ in site.table.scan(partition, prefix)
    ]
