"""A shop in virtual time with a drift of every class planted in its account, and what a comparison must find of it."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, cast

import orjson

from streams.agents import held
from streams.core.lanes import Lane
from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, part_of, task_of
from streams.domain.held_reason import HeldReason
from streams.domain.record_state import FollowUpDeliveryState, WaitState
from streams.engine.table import StateTable
from streams.kafka.producer import BatchProducer
from streams.messages.changes import ChangeKind, DesiredContact, DesiredFollowUp, DesiredRecord, partition_of
from streams.messages.dead_letters import keyed_hash
from streams.messages.reconciliations import ReconcileRun
from streams.operations.lookups import lookup_of
from streams.operations.reconcile.delivered import Delivered
from streams.operations.reconcile.drift import Drift
from streams.operations.reconcile.reconciler import Reconciler, ReconcileSite
from streams.operations.reconcile.run_log import Action, KnownRuns
from streams.operations.state_replies import StateReplies
from testkit.sandbox.instants import stamp
from testkit.sandbox.store import Contact
from testkit.virtual.local_broker import LocalTable
from tests.dispatch.dispatch_harness import CATALOGUE, DAY, ORDERS, Site
from tests.wire import unpack

ITEMS = 50


class MemoryRunLog:
    """The runs in memory."""

    def __init__(self) -> None:
        self.runs = KnownRuns()
        self.entries: list[tuple[str, Action, str]] = []
        self.saves = 0

    async def known(self) -> KnownRuns:
        return self.runs

    async def save(self, run: ReconcileRun) -> None:
        await asyncio.sleep(0)
        self.saves += 1
        self.runs.runs[run.id] = run

    async def begin_schedule(self, at: int) -> None:
        self.runs.since = at

    async def forget(self, run: str) -> None:
        self.runs.runs.pop(run, None)

    async def record(self, run: ReconcileRun, action: Action, by: str) -> None:
        self.entries.append((run.id, action, by))


def email(number: int) -> str:
    return f"p{number:05}@example.com"


def order_of(number: int, status: str = "open") -> bytes:
    return orjson.dumps(
        {
            "id": f"SO{number}",
            "order_status": status,
            "currency": "GBP",
            "order_subtotal": orjson.Fragment(f"{number % 90}.50".encode()),
            "order_total": orjson.Fragment(f"{number % 90}.50".encode()),
            "products": [{"product_id": "7", "sku": "A-1", "quantity": orjson.Fragment(b"2.0"), "qty": 2, "refunded": False}],
        }
    )


def item_of(number: int) -> bytes:
    return orjson.dumps({"currency": "GBP", "id": str(number), "name": f"Saw {number}", "sku": f"S-{number}", "stock": 3})


@dataclass
class PlantedShop:
    """``contacts`` contacts with an order each, and what was planted: tasks by class."""

    site: Site
    contacts: int
    log: MemoryRunLog = field(default_factory=MemoryRunLog)
    planted: dict[Drift, set[str]] = field(default_factory=dict)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))
    _traffic: Iterator[int] = field(default_factory=count)
    _resent: int = 0

    def reconciler(self, *, hours: float = 0, owned: set[int] | None = None) -> Reconciler:
        """A reconciler of the worker that runs now; ``owned``: the partitions that are open on it, None for all."""
        site = self.site
        tables = {"outbox": site.table, "orders": self.frozen_table()}
        here = StateReplies(site.settings.partitions, b"owdd", cast(dict[str, StateTable], tables), site.dispatch.queue)
        settings = site.settings.model_copy(update={"data_dir": Path(site._directory), "reconcile_hours": hours})
        producer = cast(BatchProducer, site.broker)
        where = ReconcileSite(settings, site.mapping, site.table.owned if owned is None else lambda: owned)
        return Reconciler(where, self.log, Delivered(here, None), site.dispatch, producer, site.clock, site.metrics)

    async def compare(self, **asked: Any) -> ReconcileRun:
        """Ask for a run, and wait until it is over."""
        run = self.ask(**asked)
        worker = asyncio.create_task(self.reconciler().run())
        try:
            while not self.log.runs.runs[run].over:
                assert not worker.done(), worker.exception()
                await asyncio.sleep(0.5)
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
        return self.log.runs.runs[run]

    def ask(self, **asked: Any) -> str:
        """Ask for a run; its id."""
        run = ReconcileRun(id=f"run{next(self._ids)}", by="kim", asked=self.site.clock.now_ms(), **asked)
        self.log.runs.runs[run.id] = run
        return run.id

    def frozen_table(self) -> LocalTable:
        """The orders' state, with one document that has been frozen for long, and one that has not."""
        if not hasattr(self, "_frozen"):
            directory = Path(self.site._directory) / "orders"
            directory.mkdir(exist_ok=True)
            self._frozen = LocalTable(directory, 1, lookup_of("orders", b"owdd"))
            now = self.site.clock.now_ms()
            rows = {
                b"41": HeldReason("unknown_status", now - 8 * DAY * 1000, frozen=True),
                b"42": HeldReason("unknown_status", now - DAY * 1000, frozen=True),
            }
            self._frozen.write(0, {held.PREFIX.encode() + key: held._encode(reason) for key, reason in rows.items()})
        return self._frozen

    def want(self, number: int, name: str = "Ann", *, opted: bool = True, despatched: int | None = None) -> None:
        fields = orjson.dumps({"FIRSTNAME": name, "OW_ACCOUNT": f"A{number}", "OW_TOTAL_SPEND": orjson.Fragment(b"12.50")})
        row = DesiredContact(fields, opted, (), despatched)
        self.site.publish(self.site.change(ChangeKind.DESIRED_CONTACT, email(number), 0, row, Lane.BULK))

    def order(self, number: int, status: str | None = "open") -> None:
        row = None if status is None else DesiredRecord(order_of(number, status), number)
        self.site.publish(self.site.change(ChangeKind.DESIRED_RECORD, email(number), f"SO{number}", row, Lane.BULK))

    def item(self, number: int, *, sold: bool = True) -> None:
        row = DesiredRecord(item_of(number), number) if sold else None
        self.site.publish(self.site.change(ChangeKind.DESIRED_CATALOGUE, str(number), str(number), row, Lane.BULK))

    def contact(self, number: int) -> Contact:
        return self.site.contact(email(number))

    async def fill(self) -> None:
        """Deliver the whole shop."""
        site = self.site
        for number in range(self.contacts):
            recent = site.now - DAY if number % 3 == 0 else None
            self.want(number, despatched=recent)
            self.order(number)
        for number in range(ITEMS):
            self.item(number)
        await site.quiet()
        # A reading that begins after this shows all of it.
        await self.site.pass_(700)

    async def serve(self, *, traffic: bool = True) -> None:
        """Answer what the outbox asks the joins for, while contacts and orders that are right go on changing."""
        site, clean = self.site, range(self.contacts // 2, self.contacts)
        while True:
            await asyncio.sleep(0.4)
            for asked, topic in ((self.order, site.topics.orders), (self.item, site.topics.products)):
                values, site.broker.published[topic] = site.broker.published[topic], []
                for value in values:
                    for change in unpack(value):
                        if change.kind is ChangeKind.RESEND_REQUEST:
                            asked(int(change.pk))
            if traffic:
                number = clean[next(self._traffic) % len(clean)]
                self.want(number, f"Ann {site.clock.now_ms()}")
                self.order(clean[-1 - next(self._traffic) % len(clean)], "despatched")

    def row(self, task: str) -> Any:
        value = self.site.table.get(self.place(task), task.encode())
        return CODECS[family_of(task)].decode(value) if value is not None else None

    def write(self, task: str, row: Any) -> None:
        self.site.table.write(self.place(task), {task.encode(): CODECS[family_of(task)]._encode(row)})

    def place(self, task: str) -> int:
        return partition_of(owner_of(task), self.site.settings.partitions)

    def note(self, drift: Drift, task: str) -> None:
        self.planted.setdefault(drift, set()).add(task)

    async def plant(self, each: int) -> None:
        """Plant ``each`` of every class; the second half of the contacts stays right."""
        site, free = self.site, iter(range(self.contacts // 2))
        people = {name: [next(free) for _ in range(each)] for name in _PLANTS}
        for number in people["left"] + people["moved"]:
            moved = (email(self.contacts - 1),) if number in people["moved"] else ()
            row = DesiredContact(None, None, moved)
            site.publish(site.change(ChangeKind.DESIRED_CONTACT, email(number), 0, row, Lane.BULK))
        for number in people["orphan"]:
            self.order(number, None)
        stored = self.collection(ORDERS) | {}
        items = self.collection(CATALOGUE) | {}
        binned = {number: self.contact(number) for number in people["left"] + people["moved"]}
        for number in range(40, 40 + min(each, 10)):
            self.item(number, sold=False)
        for number in people["opted out"]:
            self.want(number, opted=False)
        await site.quiet()
        # Long enough for a reading of all changes behind them.
        await site.pass_(1_000)
        self._plant_contacts(people, binned)
        self._plant_records(people, stored, items, min(each, 10))
        for number in people["follow-up"]:
            task = task_of(Family.FOLLOW_UP, email(number), number)
            wanted = DesiredFollowUp(f"C{number}", site.now, Decimal("9.50"), "GBP")
            since = site.clock.now_ms() - 2 * DAY * 1000
            self.write(task, FollowUpDeliveryState(wanted, wait=WaitState(2, since, since, since)))
            self.note(Drift.FOLLOW_UP_OPEN, task)

    def _plant_contacts(self, people: dict[str, list[int]], binned: dict[int, Contact]) -> None:
        site = self.site

        def contact(number: int) -> str:
            return task_of(Family.CONTACT, email(number))

        for number in people["deleted"]:
            site.box.store.bin(self.contact(number))
            self.note(Drift.CONTACT_DELETED, contact(number))
        for number in people["missing"]:
            task = contact(number)
            row = self.row(task)
            row.contact = None
            self.write(task, row)
            self.remove(self.contact(number))
            self.note(Drift.CONTACT_MISSING, task)
        for number in people["stale"]:
            self.contact(number).data["FIRSTNAME"] = "Former"
            self.note(Drift.FIELDS_STALE, contact(number))
        for number in people["changed"]:
            found = self.contact(number)
            found.data["OW_ACCOUNT"], found.updated = "typed", stamp(site.clock.now_utc())
            self.note(Drift.FIELDS_CHANGED, contact(number))
        for number in people["list"]:
            task = contact(number)
            row = self.row(task)
            row.listed, row.despatched = True, site.now - DAY
            self.write(task, row)
            self.contact(number).lists.clear()
            self.note(Drift.LIST_PLACE, task)
        for number in people["opted out"]:
            assert self.contact(number).email_status == "unsubscribed"
            self.contact(number).email_status = "subscribed"
            self.note(Drift.CONSENT, contact(number))
        for number in people["refused"]:
            task = contact(number)
            row = self.row(task)
            row.creation = type(row.creation)()
            self.write(task, row)
            self.contact(number).email_status = "unsubscribed"
            self.note(Drift.CONSENT, task)
        for number, found in binned.items():
            found.binned, found.data["OW_ACCOUNT"], found.email_status = None, "back", "subscribed"
            drift = Drift.CONTACT_LEFT if number in people["left"] else Drift.DUPLICATE_PERSON
            self.note(drift, contact(number))

    def _plant_records(self, people: dict[str, list[int]], stored: dict[str, Any], items: dict[str, Any], each: int) -> None:
        orders, catalogue = self.collection(ORDERS), self.collection(CATALOGUE)

        def order(number: int) -> str:
            return task_of(Family.RECORD, email(number), f"SO{number}")

        for number in people["no order"]:
            del orders[f"SO{number}"]
            self.note(Drift.ORDER_MISSING, order(number))
        for number in people["status"]:
            orders[f"SO{number}"].json["order_status"] = "held"
            self.note(Drift.ORDER_STATUS, order(number))
        for number in people["content"]:
            orders[f"SO{number}"].json["order_total"] = 1.25
            self.note(Drift.ORDER_CONTENT, order(number))
        for number in people["orphan"]:
            again(orders, stored[f"SO{number}"])
            self.note(Drift.ORDER_ORPHAN, order(number))
        for number in range(each):
            del catalogue[str(number)]
            catalogue[str(20 + number)].json["stock"] = 4
            again(catalogue, items[str(40 + number)])
            self.note(Drift.ITEM_MISSING, task_of(Family.CATALOGUE, str(number)))
            self.note(Drift.ITEM_CONTENT, task_of(Family.CATALOGUE, str(20 + number)))
            self.note(Drift.ITEM_ORPHAN, task_of(Family.CATALOGUE, str(40 + number)))

    def collection(self, name: str) -> dict[str, Any]:
        found = self.site.box.store.insight.find(name)
        assert found is not None
        return found.records

    def remove(self, contact: Contact) -> None:
        """The contact is gone for good, as if it had never been there."""
        store = self.site.box.store
        store.bin(contact)
        contact.identifiers = {}
        for key in [key for key, found in store._index.items() if found is contact]:
            del store._index[key]

    def expected(self, *drifts: Drift) -> set[tuple[str, str, str]]:
        """What a comparison must show of these classes, or of all: class, hash of the contact, key of the record."""
        planted = {drift: tasks for drift, tasks in self.planted.items() if not drifts or drift in drifts}
        return {(drift.value, *shown_names(task)) for drift, tasks in planted.items() for task in tasks}


def again(records: dict[str, Any], record: Any) -> None:
    """A record is made again: it is the last of its listing."""
    record.number = max(one.number for one in records.values()) + 1
    records[record.key] = record


def shown_names(task: str) -> tuple[str, str]:
    """How a report names a task."""
    if family_of(task) is Family.CATALOGUE:
        return "", owner_of(task)
    return keyed_hash(owner_of(task).encode(), b"owdd"), part_of(task)


def shown(run: ReconcileRun) -> set[tuple[str, str, str]]:
    """What a comparison shows, but for frozen documents: those are not in the outbox."""
    return {(one.drift, one.owner, one.record) for one in run.examples if one.drift != Drift.FROZEN_LONG}


_PLANTS = (
    "left",
    "moved",
    "deleted",
    "missing",
    "stale",
    "changed",
    "list",
    "opted out",
    "refused",
    "no order",
    "status",
    "content",
    "orphan",
    "follow-up",
)
