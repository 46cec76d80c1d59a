"""The table of a delivery task's states and transitions, walked at random over the real queue and the real outbox handler.

One contact, an account that takes what reaches it, and a log of delivery events that are read late. Whatever happens, in whatever
order, each step is one of the table's, and at rest the account holds what is wanted.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_task import CALL, DeliveryTask, TaskState
from streams.dispatch.outbox.tasks import IMPORTABLE, Work
from streams.domain.contact_state import ContactDeliveryState
from streams.dotdigital.imports import ImportState
from streams.messages.deliveries import (
    ContactCreated,
    ContactDeleted,
    ContactErased,
    ContactUpdated,
    CreationAttempted,
    DeliveryEvent,
    ImportedTask,
    ImportEnded,
    ImportStarted,
    PartitionResumed,
    TaskEvent,
    TaskParked,
)
from tests.dispatch.outbox_harness import CONTACT, A, B, Outbox
from tests.dispatch.transition_table import TABLE, event_name

CONTENT = st.sampled_from([A, B, None])
RARELY = st.sampled_from([False] * 5 + [True])
"""Whether a disturbance happens: not often, so that deliveries get somewhere between two."""


@dataclass
class Sent:
    """A call or an import: the row as it was sent, and the lease's task; whether the account has ``written`` it already."""

    task: DeliveryTask
    row: ContactDeliveryState
    import_id: str | None = None
    written: bool = False


class DeliveryWalk(RuleBasedStateMachine):
    """The walk; ``held`` is what the account holds, ``log`` what is written down and not read."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.outbox = Outbox()
        self.log: list[DeliveryEvent] = []
        self.call: Sent | None = None
        self.imported: Sent | None = None
        self.held: bytes | None = None
        self.wanted: bytes | None = None
        self.erased = False
        self.imports = 0

    @property
    def state(self) -> TaskState:
        return self.outbox.queue.state(CONTACT)

    @property
    def now(self) -> int:
        return self.outbox.clock.now_ms()

    def step(self, event: str, act: Callable[[], object]) -> None:
        """Let something happen, which must be in the table."""
        before = self.state
        act()
        assert (before, self.state) in TABLE[event], f"{event}: {before} -> {self.state}"

    # Desired state

    @precondition(lambda self: not self.erased)
    @rule(content=CONTENT, opted=st.sampled_from([None, None, False]), lane=st.sampled_from([Lane.LIVE, Lane.BULK]))
    def desire(self, content: bytes | None, opted: bool | None, lane: Lane) -> None:
        self.wanted = content
        self.step("desired", lambda: self.outbox.feed(self.outbox.wanted(content, opted, lane)))

    @precondition(lambda self: not self.erased)
    @rule(content=CONTENT, opted=st.sampled_from([None, False]))
    def desire_and_wait(self, content: bytes | None, opted: bool | None) -> None:
        self.desire(content, opted, Lane.LIVE)
        self.time(20)

    @precondition(lambda self: self.wanted is not None and not self.erased)
    @rule(sure=st.integers(0, 9))
    def erase(self, sure: int) -> None:
        if sure == 7:
            self.wanted, self.erased = None, True
            self.step("desired", lambda: self.outbox.feed(self.outbox.erased()))

    # Time and blockers

    @rule(seconds=st.sampled_from([1, 20, 400]))
    def time(self, seconds: int) -> None:
        before = self.state
        self.outbox.clock.advance(seconds)
        assert self.state is before or (before, self.state) in TABLE["time"]

    @rule(reserved=RARELY)
    def reserve(self, reserved: bool) -> None:
        keys = [(lane, work) for lane in Lane for work in Work] if reserved else []
        before = self.state
        self.outbox.queue.blockers.reserve(keys)
        assert self.state is before or (before, self.state) in TABLE["blocked"]

    @rule(out=RARELY)
    def outage(self, out: bool) -> None:
        before, blockers = self.state, self.outbox.queue.blockers
        blockers.open(self.now, None, 5_000) if out else self.outbox.queue.close_breaker(None)
        assert self.state is before or (before, self.state) in TABLE["blocked"]

    # Calls

    def _begin(self, task: DeliveryTask) -> None:
        # A sender reads the row when it begins.
        self.call = Sent(task, self.outbox.row)

    @precondition(lambda self: self.call is None)
    @rule()
    def take(self) -> None:
        before, task = self.state, self.loop.run_until_complete(self._take())
        assert (task is not None) == (before is TaskState.READY), "what is ready is given out, and nothing else"
        if task is not None:
            assert (before, self.state) in TABLE["taken"] and task.lease == CALL
            self._begin(task)

    async def _take(self) -> DeliveryTask | None:
        try:
            async with asyncio.timeout(0):
                return await self.outbox.queue.take()
        except TimeoutError:
            return None

    def _write(self, sent: Sent) -> None:
        """The account does what was sent, which its response or report may say much later."""
        if not sent.written:
            self.held, sent.written = _content(sent.row), True

    @precondition(lambda self: self.call is not None)
    @rule()
    def call_writes(self) -> None:
        assert self.call is not None
        self._write(self.call)

    @precondition(lambda self: self.call is not None)
    @rule(due=st.sampled_from([0, 5_000]), applied=st.booleans())
    def fail(self, due: int, applied: bool) -> None:
        """The call fails; its response may have been lost after it worked."""
        call = self._end_call()
        if applied:
            self._write(call)
        self.step("failed", lambda: self.outbox.queue.retry(call.task, self.now + due))

    @precondition(lambda self: self.call is not None and not self.call.written)
    @rule()
    def give_back(self) -> None:
        call = self._end_call()
        self.step("given back", lambda: self.outbox.queue.give_back(call.task))

    @precondition(lambda self: self.call is not None)
    @rule()
    def succeed(self) -> None:
        call = self._end_call()
        self._write(call)
        self.log.append(_outcome(call, self.now))

    @precondition(lambda self: self.call is not None and not self.call.written and self.call.row.erase is None)
    @rule()
    def refuse(self) -> None:
        call = self._end_call()
        digest = call.row.desired_digest or b""
        self.log.append(TaskParked(task=CONTACT, at=self.now, digest=digest, code="x", tries=1))

    def _end_call(self) -> Sent:
        assert self.call is not None
        call, self.call = self.call, None
        return call

    @precondition(lambda self: self.call is None)
    @rule()
    def deliver(self) -> None:
        """Everything works for a while, so that walks get further than to the first call."""
        self.read_all()
        self.time(400)
        self.take()
        if self.call is not None:
            self.succeed()
            self.read_all()

    def read_all(self) -> None:
        while self.log:
            self.read()

    # Imports

    @precondition(lambda self: self.call is None and self.imported is None and not self.erased)
    @rule(content=st.sampled_from([A, B]))
    def import_(self, content: bytes) -> None:
        """An import takes the contact, announces it, and is accepted."""
        self.desire(content, None, Lane.BULK)
        self.time(400)
        before = self.state
        tasks = [task for lane in Lane for work in IMPORTABLE for task in self.outbox.queue.take_due((lane, work), 1)]
        if not tasks:
            return
        assert (before, self.state) in TABLE["taken"]
        (task,), row = tasks, self.outbox.row
        if row.fields is None or row.erase is not None or (row.known and row.must_send_opt_out):
            self.step("given back", lambda: self.outbox.queue.send_alone(task))
            return
        self.imports += 1
        import_id = f"import {self.imports}"
        self.imported = Sent(task, row, import_id)
        imported = ImportedTask(CONTACT, row.hash or b"", created_as=None if row.known else "unsubscribed")
        if not row.known:
            self.log.append(CreationAttempted(task=CONTACT, at=self.now, created_as="unsubscribed"))
        self.log.append(ImportStarted(import_id=import_id, at=self.now, kind=task.work, tasks=[imported]))
        self.step("handed over", lambda: self.outbox.queue.hand_to_import([task], import_id))

    @precondition(lambda self: self.imported is not None)
    @rule()
    def import_writes(self) -> None:
        assert self.imported is not None
        self._write(self.imported)

    @precondition(lambda self: self.imported is not None)
    @rule(state=st.sampled_from([ImportState.DONE, ImportState.FAILED]), named=st.booleans())
    def report(self, state: ImportState, named: bool) -> None:
        """The import is over; it wrote the contact, though its report may not name it."""
        assert self.imported is not None and self.imported.import_id is not None
        done, self.imported = self.imported, None
        if done.written or state is ImportState.DONE:
            state = ImportState.DONE
            self._write(done)
            if named:
                self.log.append(_outcome(done, self.now))
        self.log.append(ImportEnded(import_id=done.import_id or "", at=self.now, state=state))

    @precondition(lambda self: self.imported is not None and self.call is None and not self.erased)
    @rule(content=st.sampled_from([A, B]), erased=RARELY)
    def overtake(self, content: bytes, erased: bool) -> None:
        """An opt-out or an erasure goes out beside the import."""
        self.read_all()
        self.erase(7) if erased else self.desire(content, False, Lane.LIVE)
        self.time(20)
        self.take()

    # Reading, and dying

    @precondition(lambda self: self.log)
    @rule()
    def read(self) -> None:
        event, before = self.log.pop(0), self.state
        task = self.outbox.queue._tasks.get(CONTACT)
        name = event_name(event, None if task is None else task.lease)
        self.outbox.feed(self.outbox.event(event))
        if not (isinstance(event, PartitionResumed | CreationAttempted) and self.state is before):
            assert (before, self.state) in TABLE[name], f"{name}: {before} -> {self.state}"

    @rule(applied=st.booleans(), dies=RARELY)
    def take_over(self, applied: bool, dies: bool) -> None:
        """The worker dies in the middle of its call; another one rebuilds the queue from the rows."""
        if not dies:
            return
        if self.call is not None and applied:
            self._write(self.call)
        self.call, before = None, self.state
        self.outbox = self.outbox.restarted()
        assert (before, self.state) in TABLE["taken over"], f"taken over: {before} -> {self.state}"
        self.log += [event for _, event in self.outbox.handler.resuming()]

    @invariant()
    def leased_to_one_at_most(self) -> None:
        if self.call is not None:
            assert self.state is TaskState.CALLING, "a call is under way, and nothing else has its task"

    def teardown(self) -> None:
        try:
            self.come_to_rest(True)
        finally:
            self.loop.close()

    @rule(resting=RARELY)
    def come_to_rest(self, resting: bool) -> None:
        """Nothing fails any more, and everything is read: then what is wanted is there."""
        if not resting:
            return
        queue = self.outbox.queue
        if self.imported is not None:
            self.report(ImportState.FAILED, named=False)
        if self.call is not None:
            self.succeed()
        queue.blockers.reserve([])
        for _ in range(12):
            self.read_all()
            queue.close_breaker(None)
            self.outbox.clock.advance(86_400)
            self.take()
            if self.call is not None:
                self.succeed()
        assert self.state is TaskState.ABSENT and not self.log
        row = self._row()
        assert row.refused or self.held == self.wanted, "the account holds what is wanted"

    def _row(self) -> ContactDeliveryState:
        return self.outbox.row if CONTACT.encode() in self.outbox.rows.rows else ContactDeliveryState()


def _content(row: ContactDeliveryState) -> bytes | None:
    """What the account holds once the row is sent."""
    return None if row.erase is not None else row.fields


def _outcome(work: Sent, now: int) -> TaskEvent:
    """What is written down of a call or an import that worked."""
    row, digest, out = work.row, work.row.hash or b"", work.row.opt_outs_to_send
    if row.erase is not None:
        return ContactErased(task=CONTACT, at=now)
    if row.fields is None:
        return ContactDeleted(task=CONTACT, at=now, digest=digest)
    if row.known:
        return ContactUpdated(task=CONTACT, at=now, digest=digest, contact=1, opt_outs=out, import_id=work.import_id)
    return ContactCreated(
        task=CONTACT,
        at=now,
        digest=digest,
        contact=1,
        created_as="unsubscribed",
        opt_outs=out,
        import_id=work.import_id,
    )
