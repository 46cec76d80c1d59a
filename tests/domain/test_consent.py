"""Law 5, whatever the ERP, the marketer and the person do: consent only ever tightens by itself."""

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.clock import ManualClock
from streams.dispatch.outbox import OUTBOX, OutboxHandler
from streams.dispatch.schedule import Entry, Schedule
from streams.dispatch.sender import Sender
from streams.domain.buyers import strictest
from streams.domain.cells import version_bytes
from streams.domain.changes import Change, Desired, Kind, pack
from streams.domain.debounce import Debounce
from streams.domain.delivery import OutboxRow
from streams.dotdigital.client import Contact, DotdigitalClient, Upserted
from streams.dotdigital.errors import ConnectivityError, ContactExistsError, DataError
from streams.engine.producer import BatchProducer
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit import Unit
from streams.observability.metrics import Metrics
from streams.topics import Topics

T = TypeVar("T")
answers = st.sampled_from([True, False, None])
TOPICS = Topics.of("t")
EMAILS = ["a@example.com", "b@example.com", "c@example.com"]
emails = st.sampled_from(EMAILS)


@given(answers, answers)
def test_the_stricter_answer_wins_in_either_order(one: bool | None, other: bool | None) -> None:
    assert strictest({one, other}) is strictest({other, one}) and strictest({one, one}) is one


@given(answers, answers, answers)
def test_strictness_does_not_depend_on_grouping(one: bool | None, two: bool | None, three: bool | None) -> None:
    whole = strictest({one, two, three})
    assert strictest({strictest({one, two}), three}) is strictest({one, strictest({two, three})}) is whole


@pytest.mark.parametrize("other", [True, False, None])
def test_out_beats_everything_and_unknown_nothing(other: bool | None) -> None:
    assert strictest({False, other}) is False
    assert strictest({None, other}) is other
    assert strictest(set()) is None


def finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never has to wait."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    raise AssertionError("it waited")


@dataclass
class Held:
    """A contact as Dotdigital has it."""

    number: int
    status: str
    fields: bytes


@dataclass
class Dotdigital:
    """The semantics of Dotdigital that consent depends on. ``lose``: the next call takes effect, its reply is lost."""

    contacts: dict[str, Held] = field(default_factory=dict)
    lose: set[str] = field(default_factory=set)
    number: int = 0

    def born(self, email: str, status: str, fields: bytes = b"") -> None:
        assert email not in self.contacts, "a person has one contact"
        self.number += 1
        self.contacts[email] = Held(self.number, status, fields)

    async def find(self, email: str) -> Contact | None:
        return self._shown(email) if email in self.contacts else None

    async def create(self, email: str, fields: bytes, status: str) -> Contact:
        if email in self.contacts:
            raise ContactExistsError("create", "contacts:idAlreadyExists")
        self.born(email, status, fields)
        self._reply("create")
        return self._shown(email)

    async def update(self, email: str, fields: bytes, status: str | None = None) -> Upserted:
        created = email not in self.contacts
        if created:
            self.born(email, status or "subscribed", fields)
        held = self.contacts[email]
        assert status in (None, "unsubscribed"), "a status may only be tightened"
        if status is not None and held.status == "subscribed":
            held.status = status
        held.fields = fields
        self._reply("update")
        return Upserted(self._shown(email), created)

    async def change(self, contact_id: int, fields: bytes) -> Contact:
        for email, held in self.contacts.items():
            if held.number == contact_id:
                held.fields = fields
                self._reply("update")
                return self._shown(email)
        raise DataError("change", "contacts:invalidId")

    async def delete(self, email: str) -> bool:
        gone = self.contacts.pop(email, None) is not None
        self._reply("delete")
        return gone

    def _shown(self, email: str) -> Contact:
        return Contact(self.contacts[email].number, self.contacts[email].status, email)

    def _reply(self, call: str) -> None:
        if call in self.lose:
            self.lose.remove(call)
            raise ConnectivityError(call, "timeout")


@dataclass
class Rows:
    """State rows in memory, one partition."""

    rows: dict[bytes, bytes] = field(default_factory=dict)

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter([(key, value) for key, value in sorted(self.rows.items()) if key.startswith(prefix)])

    def owned(self) -> set[int]:
        return {0}


class Dispatch:
    """Outbox and sender of one worker, over a fake account."""

    def __init__(self) -> None:
        self.dotdigital = Dotdigital()
        self.rows = Rows()
        self.version = 0
        self.clock = ManualClock()
        schedule, metrics = Schedule(self.clock), Metrics()
        self.outbox = OutboxHandler(TOPICS, Debounce(), schedule, metrics)
        self.sender = Sender(
            schedule,
            cast(StateTable, self.rows),
            cast(DotdigitalClient, self.dotdigital),
            cast(BatchProducer, self),
            TOPICS,
            partitions=1,
            cleared=b"cleared",
            hash_key=b"k",
            clock=self.clock,
            metrics=metrics,
        )

    async def send_one(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """As :meth:`send`, for one record."""
        await self.send(topic, partition, [(key, value)])

    async def send(self, topic: str, partition: int, entries: list[tuple[bytes | None, bytes | None]]) -> int:
        """Stands in for the producer: what is appended is consumed at once."""
        for key, value in entries:
            unit = Unit(0, 1, self.rows, self.clock.now_us())
            self.outbox.handle(unit, [Record(topic, 0, key, value)])
            for name, written in unit.writes.items():
                if written is None:
                    self.rows.rows.pop(name, None)
                else:
                    self.rows.rows[name] = written
            for effect in unit.after:
                effect()
        return 0

    def want(self, email: str, fields: bytes | None, opted: bool | None = None, moved_to: str | None = None) -> None:
        self.version += 1
        desired = Desired(fields, opted, moved_to)
        change = Change(Kind.DESIRED, email, 0, version_bytes(self.version), 1, 0, desired)
        finish(self.send(TOPICS.desired, 0, [(None, pack([change]))]))
        self.clock.advance(60)

    def deliver(self, email: str) -> None:
        finish(self.sender._send(Entry(email, 0, 0, 1, taken=True)))

    def row(self, email: str) -> OutboxRow:
        value = self.rows.get(0, OUTBOX.key(email))
        return OutboxRow() if value is None else OUTBOX.decode(value)

    def status(self, email: str) -> str | None:
        held = self.dotdigital.contacts.get(email)
        return held.status if held else None


class ConsentMachine(RuleBasedStateMachine):
    """Everybody acts at will. ``refused``: addresses whose owner unsubscribed and never came back."""

    def __init__(self) -> None:
        super().__init__()
        self.dispatch = Dispatch()
        self.dotdigital = self.dispatch.dotdigital
        self.erp: dict[str, bool | None] = {}
        self.refused: set[str] = set()
        self.carried: set[str] = set()
        self.content = 0

    @rule(email=emails, opted=answers)
    def the_erp_changes_a_contact(self, email: str, opted: bool | None) -> None:
        self.content += 1
        self.erp[email] = opted
        self.dispatch.want(email, b'{"n":%d}' % self.content, opted)

    @precondition(lambda self: self.erp)
    @rule(data=st.data())
    def the_erp_forgets_a_contact(self, data: st.DataObject) -> None:
        email = data.draw(st.sampled_from(sorted(self.erp)))
        del self.erp[email]
        self.dispatch.want(email, None)
        self._delivered(email)

    @precondition(lambda self: self.erp)
    @rule(data=st.data(), place=emails)
    def the_erp_moves_a_person(self, data: st.DataObject, place: str) -> None:
        email = data.draw(st.sampled_from(sorted(self.erp)))
        if place == email:
            return
        refused = email in self.refused and self.dispatch.status(email) is not None
        opted = self.erp[place] = self.erp.pop(email)
        self.dispatch.want(place, b"moved", opted)
        self.dispatch.want(email, None, moved_to=place)
        self._delivered(email)
        if refused and self.dispatch.status(email) is None:
            self.refused.add(place)
            self.carried.add(place)
        self._delivered(place)

    @rule(call=st.sampled_from(["create", "update", "delete"]))
    def the_next_reply_is_lost(self, call: str) -> None:
        self.dotdigital.lose.add(call)

    @rule(email=emails)
    def it_is_delivered(self, email: str) -> None:
        self._delivered(email)

    def _delivered(self, email: str) -> None:
        was = self.dispatch.status(email)
        told = self.dispatch.row(email).opted_out
        self.dispatch.deliver(email)
        now = self.dispatch.status(email)
        if was is not None and now != was and now is not None:
            assert now == "unsubscribed" and told, "only an opt-out changes an existing status"
        if was is None and now == "subscribed":
            assert self.erp[email] is True and email not in self.refused, "created subscribed without an opt-in"

    @rule(email=emails)
    def a_person_unsubscribes(self, email: str) -> None:
        held = self.dotdigital.contacts.get(email)
        if held is not None and held.status == "subscribed":
            held.status = "unsubscribed"
            self.refused.add(email)

    @rule(email=emails)
    def a_person_signs_up(self, email: str) -> None:
        row, held = self.dispatch.row(email), self.dotdigital.contacts.get(email)
        if held is None:
            self.dotdigital.born(email, "subscribed")
        elif held.status == "unsubscribed" and row.created != "unsubscribed":
            # The other case has a test of its own below.
            held.status = "subscribed"
        self.refused.discard(email)

    @rule(email=emails)
    def a_marketer_deletes_the_contact(self, email: str) -> None:
        # What Dotdigital no longer has and we never saw, nobody can keep.
        if email not in self.refused:
            self.dotdigital.contacts.pop(email, None)

    @invariant()
    def nobody_who_refused_is_subscribed(self) -> None:
        for email in self.refused:
            assert self.dispatch.status(email) != "subscribed"


ConsentMachine.TestCase.settings = settings(deadline=None, max_examples=400, stateful_step_count=25)
TestConsent = ConsentMachine.TestCase


A, B, C = EMAILS


@pytest.fixture
def dispatch() -> Dispatch:
    return Dispatch()


def test_an_opt_in_does_not_resubscribe(dispatch: Dispatch) -> None:
    dispatch.want(A, b"1")
    dispatch.deliver(A)
    dispatch.want(A, b"2", opted=True)
    dispatch.deliver(A)
    assert dispatch.status(A) == "unsubscribed"


def test_an_unsubscribe_moves_with_the_person(dispatch: Dispatch) -> None:
    moved_after_unsubscribe(dispatch)
    dispatch.deliver(A)
    dispatch.deliver(B)
    assert (dispatch.status(A), dispatch.status(B)) == (None, "unsubscribed")


def moved_after_unsubscribe(dispatch: Dispatch) -> None:
    """The person at A unsubscribed and has just moved to B; to the ERP they are opted in."""
    dispatch.want(A, b"1", opted=True)
    dispatch.deliver(A)
    dispatch.dotdigital.contacts[A].status = "unsubscribed"
    dispatch.want(B, b"1", opted=True)
    dispatch.want(A, None, moved_to=B)


def test_an_unsubscribe_survives_a_lost_reply_to_the_delete(dispatch: Dispatch) -> None:
    moved_after_unsubscribe(dispatch)
    dispatch.dotdigital.lose.add("delete")
    dispatch.deliver(A)
    dispatch.deliver(A)
    dispatch.deliver(B)
    assert dispatch.status(B) == "unsubscribed"


def test_an_unsubscribe_moves_with_the_person_twice(dispatch: Dispatch) -> None:
    moved_after_unsubscribe(dispatch)
    dispatch.deliver(A)
    dispatch.deliver(B)
    dispatch.want(C, b"1", opted=True)
    dispatch.want(B, None, moved_to=C)
    dispatch.deliver(B)
    dispatch.deliver(C)
    assert dispatch.status(C) == "unsubscribed"


def test_an_unsubscribe_of_a_contact_that_was_there_before_us_moves_too(dispatch: Dispatch) -> None:
    dispatch.dotdigital.born(A, "unsubscribed")
    dispatch.want(A, b"1", opted=True)
    dispatch.deliver(A)
    dispatch.want(B, b"1", opted=True)
    dispatch.want(A, None, moved_to=B)
    dispatch.deliver(A)
    dispatch.deliver(B)
    assert dispatch.status(B) == "unsubscribed"


def test_a_person_who_came_and_left_again_stays_out(dispatch: Dispatch) -> None:
    dispatch.want(A, b"1")
    dispatch.deliver(A)
    dispatch.dotdigital.contacts[A].status = "subscribed"
    dispatch.want(A, b"2")
    dispatch.deliver(A)
    dispatch.dotdigital.contacts[A].status = "unsubscribed"
    dispatch.want(A, None)
    dispatch.deliver(A)
    dispatch.want(A, b"3", opted=True)
    dispatch.deliver(A)
    assert dispatch.status(A) == "unsubscribed"


def test_a_contact_that_vanished_is_not_subscribed_by_a_lost_reply(dispatch: Dispatch) -> None:
    dispatch.want(A, b"1")
    dispatch.deliver(A)
    del dispatch.dotdigital.contacts[A]
    dispatch.want(A, b"2")
    dispatch.dotdigital.lose.add("update")
    dispatch.deliver(A)
    dispatch.deliver(A)
    assert dispatch.status(A) == "unsubscribed"


def test_a_contact_whose_creation_was_not_answered_goes_when_the_address_does(dispatch: Dispatch) -> None:
    dispatch.want(A, b"1")
    dispatch.dotdigital.lose.add("create")
    dispatch.deliver(A)
    dispatch.want(A, None)
    dispatch.deliver(A)
    assert dispatch.status(A) is None


def test_content_that_returns_after_a_lost_reply_is_sent_again(dispatch: Dispatch) -> None:
    dispatch.want(A, b"old")
    dispatch.deliver(A)
    dispatch.want(A, b"new")
    dispatch.dotdigital.lose.add("update")
    dispatch.deliver(A)
    dispatch.want(A, b"old")
    dispatch.deliver(A)
    assert dispatch.dotdigital.contacts[A].fields == b"old"
