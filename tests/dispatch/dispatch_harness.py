"""A site in virtual time: the whole of dispatch over the real client and the sandbox; Kafka and the outbox's table in memory."""

import asyncio
import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Concatenate, ParamSpec, cast
from urllib.parse import unquote

import httpx
import orjson
from pydantic import SecretStr

from streams.core.lanes import Lane
from streams.dispatch.outbox.parked import Parked, read_parked
from streams.dispatch.outbox.tasks import Family, task_of
from streams.dispatch.service import Dispatch
from streams.domain.digester import Digester
from streams.domain.versioned import version_bytes
from streams.engine.table import StateTable
from streams.engine.unit_of_work import packed
from streams.kafka.producer import BatchProducer, KeyValue
from streams.mapping import load_mapping
from streams.messages.changes import (
    Change,
    ChangeKind,
    ContactObserved,
    DesiredContact,
    DesiredFollowUp,
    DesiredRecord,
    EraseAddress,
    JoinedChange,
    partition_of,
)
from streams.messages.kinds import CHANGES, ContactObservedChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from streams.operations.lookups import lookup_of
from streams.settings import Settings
from testkit.sandbox import SandboxApp
from testkit.sandbox.calls import call_of
from testkit.sandbox.store import Contact
from testkit.virtual import event_loop
from testkit.virtual.account import LIST_ID, PASSWORD, USER, Terms, open_account
from testkit.virtual.contender import URL
from testkit.virtual.event_loop import VirtualClock
from testkit.virtual.local_broker import LocalBroker, LocalControls, LocalStage, LocalTable
from tests.wire import unpack

P = ParamSpec("P")

ANN, BOB = "ann@example.com", "bob@example.com"
ORDERS, CATALOGUE = "Orders", "catalog_orderwise"
CONTACT = "/contacts/v3/{identifier}/{value}"
CONTACTS = "/contacts/v3"
IMPORT = "/contacts/v3/import"
RECORD_IMPORT = "/insightData/v3/import"
DAY = 86_400
_LATENCY = 0.05
_LOOK = 0.02
_PATIENCE = 900.0
"""Virtual seconds for which a condition is awaited; everything here happens sooner, or never."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was made; ``status`` is 0 when nothing answered. ``path`` is without escapes."""

    at: int
    method: str
    route: str
    path: str
    body: bytes
    status: int

    @property
    def content(self) -> Any:
        """What the body says."""
        return orjson.loads(self.body) if self.body else None


class Line(httpx.AsyncBaseTransport):
    """The way to the sandbox; it remembers every call.

    It can be ``cut``, and ``refuses`` calls whose path or body holds that text: as malformed, or with v2's ``code``.
    Answers to calls whose path holds the text of ``slow`` take so many seconds.
    """

    def __init__(self, box: SandboxApp, clock: VirtualClock) -> None:
        self._asgi = httpx.ASGITransport(box)
        self._clock = clock
        self.cut = False
        self.refuses: bytes | None = None
        self.code: str | None = None
        self.slow: tuple[bytes, float] | None = None
        self.calls: list[Call] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body, path, status = await request.aread(), request.url.raw_path.split(b"?")[0].decode(), 0
        await asyncio.sleep(_LATENCY)
        try:
            if self.cut:
                raise httpx.ConnectError("the line is cut", request=request)
            answer = self._refused(path, body) or await self._asgi.handle_async_request(request)
            status = answer.status_code
            if self.slow is not None and self.slow[0] in unquote(path).encode():
                await asyncio.sleep(self.slow[1])
        except ConnectionAbortedError as error:
            raise httpx.ReadError("the reply was lost", request=request) from error
        finally:
            at = self._clock.now_ms()
            self.calls.append(Call(at, request.method, call_of(path).route, unquote(path), body, status))
        return answer

    def _refused(self, path: str, body: bytes) -> httpx.Response | None:
        if self.refuses is None or self.refuses not in path.encode() + b" " + body:
            return None
        if self.code is not None:
            return httpx.Response(400, json={"message": f"Error: {self.code}"})
        return httpx.Response(400, json={"errorCode": f"{path.split('/')[1]}:badJson", "description": "malformed"})


_TOPICS = Topics.of(Settings().app_id)


class Broker(LocalBroker):
    """Remembers what was told to others."""

    def __init__(self) -> None:
        super().__init__()
        self.published: dict[str, list[bytes]] = defaultdict(list)

    def append(self, topic: str, partition: int, entries: Iterable[KeyValue]) -> int:
        entries = list(entries)
        if (carried := _TOPICS.between(topic)) is not None:
            for _, value in entries:
                carried.unpack(value)  # a foreign kind fails the test that emits it
        self.published[topic] += [value for _, value in entries if value is not None]
        return super().append(topic, partition, entries)

    @property
    def idle(self) -> bool:
        """Whether everything was read."""
        return not any(self._arrived.values())


class Site:
    """One worker's dispatch, what feeds it, and the account that it fills. It may be stopped and started again."""

    def __init__(self, clock: VirtualClock, directory: Path, mapping: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self.clock = clock
        shipped = load_mapping()
        sections = {name: getattr(shipped, name).model_copy(update=changes) for name, changes in mapping.items()}
        self.mapping = shipped.model_copy(update=sections)
        given = {"partitions": 2, "readback_seconds": 0, "bulk_quiet": 2, "bulk_longest": 15, "brake_wait": 1} | dict(settings)
        self.settings = Settings(
            dotdigital_url=URL, dotdigital_user=USER, dotdigital_password=SecretStr(PASSWORD), **cast(Any, given)
        )
        self.controls = LocalControls()
        self.box = open_account(self.mapping, Terms(import_seconds=10), clock)
        self.line = Line(self.box, clock)
        self.topics = Topics.of(self.settings.app_id)
        self.broker = Broker()
        self.digest = Digester(*self.settings.erasure_keys)
        self.metrics = Metrics()
        self.generation = 0
        """That of the joins which want things from here on."""
        self._directory = directory
        self._version = 0
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Let a worker take up the table and what waits in the topics."""
        settings = self.settings
        table = LocalTable(
            self._directory, settings.partitions, lookup_of("outbox", settings.hash_key.get_secret_value().encode())
        )
        self.table = table
        self.dispatch = Dispatch(settings, self.mapping, self.clock, self.metrics, Random(0))
        topics = frozenset((self.topics.desired, self.topics.deliveries))
        stage = LocalStage(self.dispatch.outbox, table, self.broker, topics, settings.partitions, self.clock)
        stage.recover(cast(StateTable, table))
        self._worker = asyncio.create_task(self._work(stage, table))

    async def stop(self) -> None:
        """End the worker wherever it is, as a crash would.

        Raises:
            BaseExceptionGroup: the worker had failed.
        """
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker

    async def restart(self) -> None:
        """End the worker, and let another take its place."""
        await self.stop()
        self.start()

    async def _work(self, stage: LocalStage, table: LocalTable) -> None:
        state, producer = cast(StateTable, table), cast(BatchProducer, self.broker)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(stage.run())
                group.create_task(self.dispatch.run(state, producer, self.controls, self.line))
        finally:
            table.close()

    def publish(self, *changes: Change) -> None:
        """Append changes to the outbox's topic."""
        places: dict[int, list[Any]] = defaultdict(list)
        for change in changes:
            places[partition_of(change.key, self.settings.partitions)].append(change)
        for place, those in places.items():
            self.broker.append(self.topics.desired, place, packed(self.topics.desired, those))

    def change(self, kind: ChangeKind, key: str, pk: int | str, row: object, lane: Lane = Lane.LIVE) -> Change:
        """A change that is later than all before it."""
        self._version += 1
        change = CHANGES[kind](key, pk, version_bytes(self._version), lane, self.clock.now_ms(), row)
        if isinstance(change, JoinedChange):
            change.generation = self.generation
        return change

    def want(
        self,
        email: str = ANN,
        name: str | None = "Ann",
        *,
        opted: bool | None = None,
        despatched: int | None = None,
        lane: Lane = Lane.LIVE,
    ) -> None:
        """A contact should have that first name; None: it should not be ours any more."""
        fields = None if name is None else orjson.dumps({"FIRSTNAME": name})
        self.publish(self.change(ChangeKind.DESIRED_CONTACT, email, 0, DesiredContact(fields, opted, (), despatched), lane))

    def record(self, key: str, status: str | None = "open", email: str = ANN, lane: Lane = Lane.LIVE) -> None:
        """An order should have that record; None: none."""
        self.publish(self.change(ChangeKind.DESIRED_RECORD, email, key, self._wanted(key, status), lane))

    def move_record(self, key: str, email: str = ANN, lane: Lane = Lane.LIVE, successor: str = "") -> None:
        """An order has its record elsewhere from now on, at the same contact if ``successor`` is its new key."""
        source = int("".join(filter(str.isdigit, key)) or 0)
        row = DesiredRecord(b"", source, moved=True, successor=successor)
        self.publish(self.change(ChangeKind.DESIRED_RECORD, email, key, row, lane))

    def item(self, variant: int, name: str | None = "Saw", lane: Lane = Lane.LIVE) -> None:
        """A variant should have that catalogue record."""
        self.publish(
            self.change(ChangeKind.DESIRED_CATALOGUE, str(variant), str(variant), self._wanted(str(variant), name), lane)
        )

    def credit(
        self, number: int, email: str = ANN, name: str | None = None, lane: Lane = Lane.LIVE, *, at: int | None = None
    ) -> None:
        """A credit note should be told; it is of that time (epoch s), or of now."""
        row = DesiredFollowUp(name or f"C{number}", self.now if at is None else at, Decimal("9.5"), "GBP")
        self.publish(self.change(ChangeKind.DESIRED_FOLLOW_UP, email, number, row, lane))

    def erase(self, email: str = ANN) -> None:
        """A person should be forgotten."""
        self.publish(self.change(ChangeKind.ERASURE, email, 0, EraseAddress(self.digest(email)), Lane.URGENT))

    def unpark(self, task: str, key: str = ANN) -> None:
        """A parked task should be tried again."""
        self.publish(self.change(ChangeKind.UNPARK, key, task, None))

    async def create_again(self, email: str = ANN) -> None:
        """A person has a contact created again that somebody deleted in Dotdigital."""
        await self.until(lambda: contact_task(email) in self.open_parked())
        self.unpark(contact_task(email), email)
        await self.quiet()

    def found(self, contact: Contact, status: str | None = None) -> None:
        """A reading shows a contact."""
        row = ContactObserved(contact.id, status or contact.email_status.lower())
        position = version_bytes(self.clock.now_us())
        change = ContactObservedChange(contact.email or "", contact.id, position, Lane.BULK, self.clock.now_ms(), row)
        self.publish(change)

    @staticmethod
    def _wanted(key: str, text: str | None) -> DesiredRecord | None:
        if text is None:
            return None
        source = int("".join(filter(str.isdigit, key)) or 0)
        return DesiredRecord(orjson.dumps({"id": key, "order_status": text}), source)

    @property
    def now(self) -> int:
        """UTC epoch seconds."""
        return self.clock.now_ms() // 1000

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for ``condition``, in virtual time."""
        deadline = self.clock.now_ms() + _PATIENCE * 1000
        while not condition():
            assert self._worker is None or not self._worker.done(), "the worker has ended"
            assert self.clock.now_ms() < deadline, "this never happens"
            await asyncio.sleep(_LOOK)

    async def quiet(self) -> None:
        """Wait until everything was told, read and sent; timers may still run."""
        await self.until(
            lambda: self.broker.idle and not +self.dispatch.queue.counts() and not len(self.dispatch.imports_in_flight)
        )

    async def pass_(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def held(self, email: str = ANN) -> Contact | None:
        """The account's contact, unless it is in the bin."""
        contact = self.box.store.find("email", email)
        return None if contact is None or contact.binned is not None else contact

    def contact(self, email: str = ANN) -> Contact:
        """The account's contact, which must be there."""
        contact = self.held(email)
        assert contact is not None, f"{email} is not there"
        return contact

    def listed(self, email: str = ANN) -> bool:
        """Whether the contact is on the recent buyers' list."""
        return LIST_ID in self.contact(email).lists

    def records(self, collection: str = ORDERS) -> dict[str, str]:
        """What the account's records show, by key."""
        found = self.box.store.insight.find(collection)
        return {} if found is None else {key: record.json["order_status"] for key, record in found.records.items()}

    def calls(self, method: str = "", route: str = "", *, good: bool = False) -> list[Call]:
        """The calls so far, oldest first; ``good``: only those that worked."""
        return [
            call
            for call in self.line.calls
            if method in ("", call.method) and route in ("", call.route) and not (good and not 200 <= call.status < 300)
        ]

    def written(self) -> list[Call]:
        """The calls so far that were no looks."""
        return [call for call in self.line.calls if call.method != "GET"]

    def forget_calls(self) -> None:
        """Count calls from here on."""
        self.line.calls.clear()

    def parked(self) -> list[Parked]:
        """What was told of parked deliveries."""
        return [read_parked(value) for value in self.broker.published[self.topics.parked]]

    def open_parked(self) -> dict[str, str]:
        """What is parked now: the code, by task."""
        latest = {parked.task_key: parked for parked in self.parked()}
        return {task: parked.code for task, parked in latest.items() if parked.state == "parked"}

    def asked_again(self, topic: str) -> list[int | str]:
        """Orders or variants that were asked to tell a record again."""
        changes = (change for value in self.broker.published[topic] for change in unpack(value))
        return [change.pk for change in changes if change.kind is ChangeKind.RESEND_REQUEST]


def contact_task(email: str = ANN) -> str:
    """The task of a contact."""
    return task_of(Family.CONTACT, email)


def on_site(
    *, started: bool = True, settings: Mapping[str, Any] | None = None, **mapping: Mapping[str, Any]
) -> Callable[[Callable[Concatenate[Site, P], Awaitable[None]]], Callable[P, None]]:
    """Play a test in virtual time on a site of its own, whose mapping and settings differ from the shipped ones so."""

    def decorate(test: Callable[Concatenate[Site, P], Awaitable[None]]) -> Callable[P, None]:
        def play(*args: P.args, **kwargs: P.kwargs) -> None:
            async def main(clock: VirtualClock) -> None:
                site = Site(clock, Path(directory), mapping, settings or {})
                if started:
                    site.start()
                try:
                    await test(site, *args, **kwargs)
                finally:
                    await site.stop()

            with TemporaryDirectory() as directory:
                event_loop.run(main)

        play.__name__, play.__doc__, play.__module__ = test.__name__, test.__doc__, test.__module__
        given = inspect.signature(test)
        play.__signature__ = given.replace(parameters=list(given.parameters.values())[1:])  # type: ignore[attr-defined]
        return play

    return decorate
