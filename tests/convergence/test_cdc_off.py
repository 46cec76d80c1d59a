"""CDC is taken off the database and put on again, as ``docs/capture.md`` says under "Coming back", by a real broker and workers.

The second snapshot finds no commit in CDC's tables, so its rows have no place in the log. Ingest is killed in the middle of it.
Orders that were deleted meanwhile are in no snapshot: a comparison of keys finds them.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from random import Random

import orjson

from streams.cli.exit_codes import ExitCode
from streams.kafka import client
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.security import KafkaConfig
from streams.mapping import load_mapping
from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.oracle.sandbox import read_account
from testkit.simulate import row_builders
from testkit.simulate.database import Database
from testkit.simulate.envelopes import Change, sent
from testkit.simulate.tables import DETAIL, HEADER, STATUS, TOTAL
from tests.capture.test_notifications import notification, scanned
from tests.convergence.convergence_harness import append, stack
from tests.dlq.commands import owdd
from tests.patience import PATIENCE

GUESTS = 40
HOUSE = 1
OPENED, DAY = 1_760_000_000_000, "2025-10-01T10:00:00Z"


class Shop:
    """One order for each guest; an order's money is all that is ever edited."""

    def __init__(self, running: LocalStack) -> None:
        self._running = running
        self._mapping = load_mapping(running.mapping)
        self._db = Database(self._mapping)
        self._now = OPENED
        self.orders = set(range(1, GUESTS + 1))
        rng = Random(8)
        self._db.insert(STATUS, row_builders.status(6, "Dispatched"))
        for key in self.orders:
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

    def delete(self, *orders: int) -> None:
        """These orders are gone with all their rows, and nobody captures it."""
        self._now += 1000
        self._db.begin(self._now)
        for key in orders:
            for table in (TOTAL, DETAIL, HEADER):
                self._db.delete(table, key)
        self._db.commit()
        self.orders -= set(orders)

    async def notify(self, *said: bytes) -> None:
        """What the connector says of its snapshots."""
        topic = CaptureNames.of(self._mapping).notifications
        async with client.producer(KafkaConfig.of(self._running.settings), acks="all") as producer:
            for value in said:
                await producer.send_and_wait(topic, value)

    def snapshot(self, *, placed: bool) -> list[Change]:
        """All rows as a snapshot reads them now; not ``placed``: CDC has no commit yet."""
        changes = list(self._db.snapshot(self._now))
        return changes if placed else [change._replace(head=_without_lsn(change.head or b"")) for change in changes]

    async def send(self, changes: list[Change]) -> None:
        """Append records, and wait until everything has come to rest."""
        await append(self._running, [sent(change, self._now) for change in changes])
        await self._running.settled()

    def wrong(self) -> dict[str, tuple[object, Decimal]]:
        """Guests whose spend in Dotdigital is not that of the database, with both."""
        spend = {
            one.email: one.fields.get("OW_TOTAL_SPEND") for one in read_account(self._running.settings.dotdigital_url).contacts
        }
        right = {guest(key): Decimal(str(self._db.row(TOTAL, key)["oht_net"])) for key in self.orders}
        found = {email: (spend.get(email), net) for email, net in right.items()}
        return {email: (there, net) for email, (there, net) in found.items() if there is None or Decimal(str(there)) != net}


def guest(number: int) -> str:
    return f"guest{number}@example.com"


def _without_lsn(head: bytes) -> bytes:
    return re.sub(rb'"commit_lsn":"[0-9a-f:]+"', b'"commit_lsn":null', head, count=1)


def people(running: LocalStack) -> set[str]:
    return {one.email for one in read_account(running.settings.dotdigital_url).contacts if not one.binned}


async def test_rows_read_after_cdc_was_off_win_although_ingest_dies_in_the_middle(tmp_path: Path, broker: Path) -> None:
    everybody, gone = range(1, GUESTS + 1), (7, 8, 9)
    async with stack(tmp_path, broker, "cdcoff", partitions=2, OWDD_BRAKE_LEAST="2", OWDD_BRAKE_SHARE="0.05") as running:
        await running.start_worker(Role.AGENTS, Role.DISPATCH)
        await running.start_worker(Role.INGEST, name="ingest")
        shop = Shop(running)
        await shop.send(shop.snapshot(placed=True))
        await shop.send(shop.edit(*everybody))
        assert shop.wrong() == {}

        shop.edit(*everybody)  # CDC is off: nobody captures it
        shop.delete(*gone)
        again = shop.snapshot(placed=False)
        await shop.notify(notification("Initial Snapshot", "STARTED"))
        # Rows of every table come before and after the kill, in both partitions.
        await shop.send(again[::2])
        await running.kill("ingest")
        await running.ready(running.workers["ingest"])
        await shop.send(again[1::2])
        rows = Counter(change.topic for change in again)
        await shop.notify(*[scanned(topic.partition(".")[2], "SUCCEEDED", str(count)) for topic, count in rows.items()])
        assert shop.wrong() == {}

        await shop.send(shop.edit(*everybody[9::3]))
        assert shop.wrong() == {}
        samples = await running.scrape()
        stale = sum(value for (name, _), value in samples.items() if name == "owdd_stale_snapshot_rows_total")
        assert stale == 0

        await withdrawn(running, gone)
        assert shop.wrong() == {}


async def withdrawn(running: LocalStack, gone: Collection[int]) -> None:
    """Orders that nobody saw go are found, and what follows from them waits for a person; then it goes."""
    before, theirs = people(running), {guest(key) for key in gone}
    for execute, code in (([], ExitCode.CHANGES), (["--execute"], ExitCode.OK), ([], ExitCode.OK)):
        done = await owdd(running, "reconcile", "--rows", "--json", *execute)
        assert done.exit_code == code, done.output
        found = [one["deleted"] for one in orjson.loads(done.stdout)["tables"] if one["deleted"]]
        assert found == ([len(gone)] * 3 if execute or code else []), done.output
    async with asyncio.timeout(PATIENCE):
        while not orjson.loads((await owdd(running, "removals", "show", "--json")).stdout):
            assert people(running) == before
        # Contacts are held after their orders' records.
        while people(running) & theirs:
            assert (await owdd(running, "removals", "release", "--execute")).exit_code == ExitCode.OK
    await running.settled()
    assert people(running) == before - theirs
