"""The way of consent, whole: from rows of the ERP through the real stages and the real sender into a sandbox account.

One worker, one partition. What is durable is ``log`` and each stage's rows and positions; everything else dies with the worker.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, TypeVar, cast

import httpx
from pydantic import SecretStr

from streams.agents.buyers import BuyersHandler
from streams.agents.contacts import ContactsHandler
from streams.capture import rows
from streams.capture.envelope import RowEvent
from streams.core.clock import ManualClock
from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.handler import OutboxHandler
from streams.dispatch.outbox.imports_in_flight import ImportsInFlight
from streams.dispatch.outbox.rows import OutboxRows
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, task_of
from streams.dispatch.policies import client_config
from streams.dispatch.readback import Readback, ReadbackTopic, ReadbackTurn
from streams.dispatch.senders.account_targets import AccountTargets
from streams.dispatch.senders.context import SenderContext
from streams.dispatch.senders.failures import FailurePolicy
from streams.dispatch.senders.recent_buyers import RecentBuyersList
from streams.dispatch.senders.single_calls import SingleCallSender
from streams.domain.contact_projection import cleared
from streams.domain.debounce import Debounce
from streams.domain.digester import Digester
from streams.domain.orders import address_key, customer_key
from streams.domain.own_deeds import OwnParts, own_fields
from streams.domain.versioned import version_bytes
from streams.dotdigital.bootstrap import TYPES
from streams.dotdigital.client import DotdigitalClient, unobserved
from streams.dotdigital.errors import DotdigitalError
from streams.engine.stage import Handler, Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.ingest.router import Router
from streams.kafka.producer import BatchProducer
from streams.mapping import load_mapping
from streams.mapping.bulk_windows import BulkWindows
from streams.mapping.model import ConsentRule
from streams.messages.barriers import CONTACTS_LOADED, Barrier, BarrierChange
from streams.messages.changes import EVERYWHERE, ChangeKind, OrderFact, pack
from streams.messages.erasure_requests import erasure_of
from streams.messages.kinds import CHANGES, UnparkChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from streams.settings import Settings
from testkit.sandbox import SandboxApp, SandboxConfig, create_app
from testkit.sandbox.store import Contact
from tests.agents import memory

T = TypeVar("T")
TOPICS = Topics.of("t")
HOUSE = 900
MAPPING = load_mapping(None).model_copy(
    update={
        "house_accounts": frozenset({HOUSE}),
        "consent": ConsentRule(mode="column", column="cc_opt"),
    }
)
METRICS = Metrics()
KEY = b"key"
SETTINGS = Settings(
    dotdigital_url="http://sandbox",
    dotdigital_user="api-user",
    dotdigital_password=SecretStr("password-1"),
    dispatch_connections=1,
)
FIELDS = {name: TYPES.get(key, "String") for key, name in MAPPING.contact_fields.model_dump().items()}
LONG = 600.0
"""Seconds after which whatever waits is due."""


class Died(Exception):
    """The worker's end."""


def _nothing() -> None:
    """What happens meanwhile, mostly."""


class Wire(httpx.ASGITransport):
    """The sandbox loses a reply by an exception of its own, which a network would show as a broken connection."""

    def __init__(self, box: SandboxApp) -> None:
        super().__init__(box)
        self._calls, self._act = 0, _nothing

    def meanwhile(self, calls: int, act: Callable[[], None]) -> None:
        """Have somebody else act between two of our calls: after ``calls`` of them."""
        self._calls, self._act = calls, act

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._calls == 0:
            self._act()
            self._act = _nothing
        self._calls -= 1
        try:
            return await super().handle_async_request(request)
        except ConnectionAbortedError as error:
            raise httpx.ReadError("connection lost", request=request) from error


@dataclass
class State(memory.Rows):
    """One stage's rows, and how far it has read its topics."""

    topics: tuple[str, ...] = field(kw_only=True)
    read: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def owned(self) -> set[int]:
        return {0}


class World:
    """Everything between the ERP and Dotdigital. Calls return when their coroutines have."""

    def __init__(self, bin_days: float, *, corrects: bool = False, wait: float = 0.0) -> None:
        """``corrects``: later opt-ins correct creations; ``wait``: how long the first load may take, in seconds."""
        self.corrects, self.wait = corrects, wait
        self.clock = ManualClock()
        config = SandboxConfig("api-user", "password-1", data_fields=FIELDS, bin_days=bin_days)
        self.box: SandboxApp = create_app(config, clock=self._moment)
        self.wire = Wire(self.box)
        self.client = DotdigitalClient(client_config(SETTINGS), unobserved, self.wire)
        self.log: dict[str, list[bytes | None]] = defaultdict(list)
        self.states = {
            "buyers": State(topics=(TOPICS.buyers,)),
            "contacts": State(topics=(TOPICS.contacts,)),
            "outbox": State(topics=(TOPICS.desired, TOPICS.deliveries)),
        }
        self.router = Router(MAPPING, TOPICS)
        self.persons: dict[int, dict[str, Any] | None] = {}
        self.version = 0
        self.appends_left: int | None = None
        self.digest = Digester(KEY)
        self.loop = asyncio.new_event_loop()
        self.start()

    def start(self) -> None:
        """A new worker takes over what is durable."""
        self.appends_left = None
        queue = self.queue = DeliveryQueue(self.clock)
        windows = BulkWindows((), MAPPING.source.zone)
        policy = SitePolicy(None, external=False, digest=self.digest, hash_key=KEY, windows=windows, corrects=self.corrects)
        policy = replace(policy, consent_wait_ms=int(self.wait * 1000))
        outbox = OutboxHandler(TOPICS, policy, Debounce(), queue, ImportsInFlight(queue), METRICS, None)
        self.handlers: dict[str, Handler] = {
            "buyers": BuyersHandler(TOPICS, METRICS, self.digest),
            "contacts": ContactsHandler(MAPPING, TOPICS, METRICS, self.digest),
            "outbox": outbox,
        }
        for name, handler in self.handlers.items():
            handler.recovered(0, cast(StateTable, self.states[name]))
        producer, table = cast(BatchProducer, self), cast(StateTable, self.states["outbox"])
        log = DeliveryLog(producer, TOPICS, 1)
        self.loop.run_until_complete(log.write_all(outbox.resuming()))
        failures = FailurePolicy(queue, log, self.clock, METRICS, hash_key=KEY, rng=Random(1))
        context = SenderContext(queue, OutboxRows(table), self.client, log, failures, self.clock, METRICS)
        own = OwnParts(own_fields(MAPPING.contact_fields))
        targets = AccountTargets(cleared(MAPPING), None, None, None, None, False, own)
        self.sender = SingleCallSender(context, targets, policy, RecentBuyersList(None, policy), outbox)
        self.readback = Readback(
            self.client.for_lane(Lane.BULK),
            ReadbackTopic(producer, TOPICS.desired, 1),
            ReadbackTurn(300, lambda: True, outbox.complete_until),
            self.clock,
            METRICS,
        )

    def close(self) -> None:
        """Give everything back."""
        self.run(self.client.close())
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine."""
        return self.loop.run_until_complete(work)

    # Kafka

    async def send_one(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Stands in for the producer."""
        await self.send(topic, partition, [(key, value)])

    async def send(self, topic: str, partition: int, entries: Iterable[tuple[bytes | None, bytes | None]]) -> int:
        """Stands in for the producer."""
        if self.appends_left is not None:
            self.appends_left -= 1
            if self.appends_left < 0:
                raise Died
        self.log[topic] += [value for _, value in entries]
        return 0

    def publish(self, topic: str, kind: ChangeKind, key: str, pk: int, row: Any) -> None:
        """Append one change of the ERP's, or of an operator's."""
        self.version += 1
        change = CHANGES[kind](key, pk, version_bytes(self.version), Lane.LIVE, self.clock.now_ms(), row)
        self.log[topic].append(pack([change]))

    # The stages

    def consume(self, name: str, *, lose_outputs: bool = False) -> int:
        """Let a stage read on; the number of records. With ``lose_outputs`` the worker dies before they are durable."""
        state, count = self.states[name], 0
        for topic in state.topics:
            start, end = state.read[topic], len(self.log[topic])
            if start == end:
                continue
            count += end - start
            unit = UnitOfWork(0, 1, state, self.clock.now_us())
            self.handlers[name].handle(unit, [Record(topic, at, b"", self.log[topic][at]) for at in range(start, end)])
            state.write(unit.writes)
            if lose_outputs:
                self.start()
                return count
            for (out, _), entries in unit.outputs():
                self.log[out] += [value for _, value in entries]
            state.write(unit.last_writes)
            for effect in unit.after:
                effect()
            state.read[topic] = end
        return count

    def consume_all(self) -> None:
        """Let every stage read on until there is nothing left."""
        while sum(self.consume(name) for name in self.states):
            pass

    def read_again(self, records: int) -> None:
        """The worker dies, and the next one begins some records before the place where it stood."""
        for state in self.states.values():
            for topic in state.topics:
                state.read[topic] = max(0, state.read[topic] - records)
        self.start()

    # Dotdigital

    def send_next(self) -> str | None:
        """Do the task that is first, once its time has come; its name, None when there is none or the worker died of it."""
        self.clock.advance(LONG)
        try:
            task = self.run(self._take())
            if task is not None:
                self.run(self.sender._send(task))
        except Died:
            self.start()
            return None
        return None if task is None else task.key

    async def _take(self) -> DeliveryTask | None:
        try:
            async with asyncio.timeout(0):
                return await self.queue.take()
        except TimeoutError:
            return None

    def read_back(self) -> bool:
        """Read what changed in Dotdigital; False when it failed, or the worker died of it."""
        try:
            self.run(self.readback.request())
        except DotdigitalError:
            return False
        except Died:
            self.start()
            return False
        return True

    def settle(self) -> None:
        """Nothing fails any more, and everything is read, sent and answered."""
        self.box.faults.update({"next": []})
        self.appends_left = None
        self.consume_all()
        while self.send_next() is not None:
            self.consume_all()

    def contact(self, email: str) -> Contact | None:
        """The account's contact, in the bin or not."""
        return self.box.store.find("email", email)

    def status(self, email: str) -> str | None:
        """The status of a contact outside the bin."""
        found = self.contact(email)
        return None if found is None or found.binned is not None else found.email_status

    # The ERP

    def row(self, person: int, email: str, *, opted: bool | None, account: int | None = None) -> None:
        """A named person, as the ERP has it now; without ``account`` of an account of its own."""
        account = person if account is None else account
        self.account(account)
        self.person(person, email, account, opted=opted)

    def account(self, account: int) -> None:
        """An account, as the ERP has it now; of the house account nothing follows."""
        if account != HOUSE:
            row = rows.Customer(f"ACC{account}", trade=False, emails=())
            self.publish(TOPICS.buyers, ChangeKind.CUSTOMER, customer_key(account), account, row)

    def order(self, email: str, order: int) -> None:
        """An order of the house account with that address."""
        fact = OrderFact(f"SO{order}", 1_700_000_000 + order, "open", credit=False, net=Decimal(10), despatched=None)
        self.publish(TOPICS.buyers, ChangeKind.ORDER_FACT, address_key(email), order, fact)

    def contacts_loaded(self) -> None:
        """The first load of the contact table is over."""
        barrier = BarrierChange(EVERYWHERE, CONTACTS_LOADED, b"", Lane.BULK, self.clock.now_ms(), Barrier("ingest", 0, 1))
        self.log[TOPICS.buyers].append(pack([barrier]))

    def person(self, person: int, email: str, account: int, *, opted: bool | None) -> None:
        """A named person of an account, as the ERP has it now."""
        name = {"cc_name": None, "cc_first_name": f"Name{self.version}", "cc_last_name": None}
        self._write(person, {"cc_customer_id": account, "cc_email": email, "cc_opt": opted, **name})

    def row_gone(self, person: int) -> None:
        """The ERP deletes the person."""
        self._write(person, None)

    def _write(self, person: int, row: dict[str, Any] | None) -> None:
        self.version += 1
        before, self.persons[person] = self.persons.get(person), row
        position = version_bytes(self.version)
        event = RowEvent("customer_contact", "u", {"cc_id": person}, before, row, position, 0, snapshot=False)
        for topic, change in self.router.route(event, self.clock.now_ms()):
            self.log[topic].append(pack([change]))

    def erase(self, email: str) -> None:
        """An operator asks for an erasure."""
        self.log[TOPICS.contacts].append(pack([erasure_of(email, self.digest(email), self.clock.now_ms())]))

    def create_again(self, email: str) -> None:
        """An operator has a contact created again that somebody deleted in Dotdigital."""
        unpark = UnparkChange(email, task_of(Family.CONTACT, email), b"", Lane.LIVE, self.clock.now_ms(), None)
        self.log[TOPICS.desired].append(pack([unpark]))
        self.settle()

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now_us() / 1_000_000, UTC)
