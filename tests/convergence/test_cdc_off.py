"""CDC is taken off the database and put on again, as ``docs/capture.md`` says under "Coming back", by a real broker and workers.

The second snapshot finds no commit in CDC's tables, so its rows have no place in the log. Ingest is killed in the middle of it.
"""

import re
from decimal import Decimal
from pathlib import Path
from random import Random

from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.mapping import load_mapping
from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.oracle.sandbox import read_account
from testkit.simulate import row_builders
from testkit.simulate.database import Database
from testkit.simulate.envelopes import Change, sent
from testkit.simulate.tables import DETAIL, HEADER, STATUS, TOTAL
from tests.convergence.convergence_harness import stack

GUESTS = 40
HOUSE = 1
OPENED, DAY = 1_760_000_000_000, "2025-10-01T10:00:00Z"


class Shop:
    """One order for each guest; an order's money is all that is ever edited."""

    def __init__(self, running: LocalStack) -> None:
        self._running = running
        self._db = Database(load_mapping(running.mapping))
        self._now = OPENED
        rng = Random(8)
        self._db.insert(STATUS, row_builders.status(6, "Dispatched"))
        for key in range(1, GUESTS + 1):
            email = guest(key)
            head = row_builders.header(key, number=f"SO-{key}", at=DAY, customer=HOUSE, type_id=1, status=6, done=True)
            detail = row_builders.detail(
                rng, key, order=key, currency=0, name="A Guest", email=email, invoice_email=None, at=DAY
            )
            self._db.insert(HEADER, head)
            self._db.insert(DETAIL, detail)
            self._db.insert(TOTAL, row_builders.total(key, order=key, quantity=1, net=10_000))

    def edit(self, *orders: int) -> list[Change]:
        """Another price for these orders, each in a transaction of its own."""
        changes: list[Change] = []
        for key in orders:
            self._now += 1000
            net = int(Decimal(str(self._db.row(TOTAL, key)["oht_net"]))) * 10_000 + 10_000 * (key + 1)
            self._db.begin(self._now)
            self._db.update(TOTAL, key, **row_builders.total_money(net))
            changes += self._db.commit()
        return changes

    def snapshot(self, *, placed: bool) -> list[Change]:
        """All rows as a snapshot reads them now; not ``placed``: CDC has no commit yet."""
        changes = list(self._db.snapshot(self._now))
        return changes if placed else [change._replace(head=_without_lsn(change.head or b"")) for change in changes]

    async def send(self, changes: list[Change]) -> None:
        """Append records, and wait until everything has come to rest."""
        producer = client.producer(KafkaConfig.of(self._running.settings), acks="all")
        await producer.start()
        try:
            for change in changes:
                event = sent(change, self._now)
                await producer.send(event.topic, event.value, event.key)
            await producer.flush()
        finally:
            await producer.stop()
        await self._running.settled()

    def wrong(self) -> dict[str, tuple[object, Decimal]]:
        """Guests whose spend in Dotdigital is not that of the database, with both."""
        spend = {
            one.email: one.fields.get("OW_TOTAL_SPEND") for one in read_account(self._running.settings.dotdigital_url).contacts
        }
        right = {guest(key): Decimal(str(self._db.row(TOTAL, key)["oht_net"])) for key in range(1, GUESTS + 1)}
        found = {email: (spend.get(email), net) for email, net in right.items()}
        return {email: (there, net) for email, (there, net) in found.items() if there is None or Decimal(str(there)) != net}


def guest(number: int) -> str:
    return f"guest{number}@example.com"


def _without_lsn(head: bytes) -> bytes:
    return re.sub(rb'"commit_lsn":"[0-9a-f:]+"', b'"commit_lsn":null', head, count=1)


async def test_rows_read_after_cdc_was_off_win_although_ingest_dies_in_the_middle(tmp_path: Path, broker: Path) -> None:
    everybody = range(1, GUESTS + 1)
    async with stack(tmp_path, broker, "cdcoff", partitions=2) as running:
        await running.start_worker(Role.AGENTS, Role.DISPATCH)
        await running.start_worker(Role.INGEST, name="ingest")
        shop = Shop(running)
        await shop.send(shop.snapshot(placed=True))
        await shop.send(shop.edit(*everybody))
        assert shop.wrong() == {}

        shop.edit(*everybody)  # CDC is off: nobody captures it
        again = shop.snapshot(placed=False)
        # Rows of every table come before and after the kill, in both partitions.
        await shop.send(again[::2])
        await running.kill("ingest")
        await running.ready(running.workers["ingest"])
        await shop.send(again[1::2])
        assert shop.wrong() == {}

        await shop.send(shop.edit(*everybody[::3]))
        assert shop.wrong() == {}
        samples = await running.scrape()
        stale = sum(value for (name, _), value in samples.items() if name == "owdd_stale_snapshot_rows_total")
        assert stale == 0
