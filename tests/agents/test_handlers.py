"""Orders, buyers and contacts as one chain in memory: any arrival, any batch, any crash, one answer."""

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import faust
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.agents.buyers import BuyersHandler
from streams.agents.contacts import ContactsHandler
from streams.agents.orders import OrdersHandler
from streams.capture import rows
from streams.clock import ManualClock
from streams.domain.cells import version_bytes
from streams.domain.changes import Change, Desired, Kind, Message, pack, unpack
from streams.engine.producer import BatchProducer
from streams.engine.stage import Handler, Record, Stage
from streams.engine.table import StateTable
from streams.engine.unit import Unit
from streams.mapping import Mapping, load_mapping
from streams.observability.lag import Progress
from streams.observability.metrics import Metrics
from streams.topics import Topics
from tests.agents.memory import Rows

TOPICS = Topics.of("t")
HOUSE = 900
MAPPING: Mapping = load_mapping().model_copy(update={"house_accounts": frozenset({HOUSE})})
STAGES = (TOPICS.orders, TOPICS.buyers, TOPICS.contacts)
ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"
OPEN, SENT = "awaiting despatch", "dispatched"

Step = list[tuple[str, Change]]
"""The changes that one version of one captured row makes."""


class Pipeline:
    """Three stages, their state, and the topics between them."""

    def __init__(self) -> None:
        self.state = {topic: Rows() for topic in STAGES}
        self.queues: dict[str, deque[Record]] = {topic: deque() for topic in STAGES}
        self.desired: dict[str, tuple[bytes, Desired]] = {}
        self.clock = ManualClock()
        self.restart()

    def restart(self) -> None:
        """New handlers, which know only what the state tells."""
        metrics = Metrics()
        self.orders = OrdersHandler(MAPPING, TOPICS, metrics)
        self.buyers = BuyersHandler(TOPICS, metrics)
        contacts = ContactsHandler(MAPPING, TOPICS, metrics)
        self.handlers: dict[str, Handler] = dict(zip(STAGES, (self.orders, self.buyers, contacts), strict=True))
        for topic, handler in self.handlers.items():
            handler.recovered(0, cast(StateTable, self.state[topic]))

    def feed(self, *steps: Step) -> "Pipeline":
        for step in steps:
            for topic, change in step:
                self.queues[topic].append(Record(topic, 0, None, pack([change])))
        return self

    def pump(self, *steps: Step) -> "Pipeline":
        """Feed, then work until every topic is quiet."""
        self.feed(*steps)
        while any(self.queues.values()):
            for topic in STAGES:
                if self.queues[topic]:
                    self.cycle(topic, len(self.queues[topic]))
        return self

    def pump_badly(self, random: Random, crashes: int) -> None:
        """As :meth:`pump`, in batches of any size, stages in any order, with crashes between state and outputs or after."""
        while waiting := [topic for topic in STAGES if self.queues[topic]]:
            topic = random.choice(waiting)
            batch = self.cycle(topic, random.randint(1, 4), lose_outputs=(lost := crashes > 0 and random.random() < 0.3))
            if lost or (crashes > 0 and random.random() < 0.1):
                crashes -= 1
                self.queues[topic].extendleft(reversed(batch))
                self.restart()

    def cycle(self, topic: str, most: int, *, lose_outputs: bool = False) -> list[Record]:
        batch = [self.queues[topic].popleft() for _ in range(min(most, len(self.queues[topic])))]
        self.clock.advance(0.001)
        unit = Unit(0, 1, self.state[topic], self.clock.now_us())
        self.handlers[topic].handle(unit, batch)
        self.state[topic].commit(unit)
        if not lose_outputs:
            for (target, _), records in unit.outputs():
                self._append(target, [value for _, value in records if value is not None])
        return batch

    def _append(self, topic: str, values: Sequence[bytes]) -> None:
        if topic in self.queues:
            self.queues[topic].extend(Record(topic, 0, None, value) for value in values)
            return
        for change in (change for value in values for change in unpack(value)):
            assert isinstance(change.row, Desired)
            if change.key not in self.desired or change.position >= self.desired[change.key][0]:
                self.desired[change.key] = (change.position, change.row)

    def content(self) -> dict[str, tuple[bytes, bool | None]]:
        """The contacts that should exist, with everything that is to be said of them."""
        return {email: (row.fields, row.opted) for email, (_, row) in self.desired.items() if row.fields is not None}

    def contact(self, email: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.content()[email][0])
        return found

    def count(self, email: str) -> int:
        return int(self.contact(email)["OW_ORDER_COUNT"])


def change(topic: str, kind: Kind, key: str, pk: int, row: Message | None, position: int) -> tuple[str, Change]:
    return topic, Change(kind, key, pk, version_bytes(position), 1, 0, row)


def of_order(kind: Kind, order: int, pk: int, row: Message | None, at: int = 1, former: int | None = None) -> Step:
    """A row of an order; ``former`` is the order that it has left."""
    step = [change(TOPICS.orders, kind, str(order), pk, row, at)]
    return step if former in (None, order) else [*step, change(TOPICS.orders, kind, str(former), pk, None, at)]


def header(order: int, customer: int = 1, *, sort: int = 1, status: int = 1, at: int = 1) -> Step:
    return of_order(Kind.HEADER, order, order, rows.Header(f"SO{order}", 1_700_000_000 + order, customer, sort, status), at)


def total(order: int, net: str = "10", at: int = 1) -> Step:
    return of_order(Kind.TOTAL, order, order, rows.Total(Decimal(net)), at)


def line(order: int, pk: int, original: int | None = None, at: int = 1, former: int | None = None) -> Step:
    return of_order(Kind.LINE, order, pk, rows.Line(original, None, None, None), at, former)


def status(pk: int, text: str | None, at: int = 1) -> Step:
    row = None if text is None else rows.StatusText(text)
    return [change(TOPICS.orders, Kind.STATUS, "*", pk, row, at)]


def customer(pk: int, *emails: str, at: int = 1) -> Step:
    row = rows.Customer(f"ACC{pk}", False, emails)
    return [change(TOPICS.buyers, Kind.CUSTOMER, f"c{pk}", pk, row, at)]


def person(pk: int, account: int, *emails: str, at: int = 1, former: int | None = None, opted: bool | None = None) -> Step:
    row = rows.Contact(emails, f"First{pk}", None, opted)
    step = [change(TOPICS.buyers, Kind.CONTACT, f"c{account}", pk, row, at)]
    return step if former is None else [*step, change(TOPICS.buyers, Kind.CONTACT, f"c{former}", pk, None, at)]


LOOKUP = status(1, OPEN) + status(2, SENT)
PEOPLE = customer(1, ANN) + customer(2, BOB)
ORDER = header(10) + total(10) + line(10, 100)
CREDIT = header(20, sort=4) + total(20, "3") + line(20, 200, original=100)


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


def test_an_order_reaches_its_customers_contact(pipeline: Pipeline) -> None:
    found = pipeline.pump(LOOKUP, PEOPLE, ORDER).contact(ANN)
    assert (found["OW_ORDER_COUNT"], found["OW_TOTAL_SPEND"], found["OW_LAST_ORDER_NO"]) == (1, 10.0, "SO10")
    assert pipeline.count(BOB) == 0


def test_orphans_are_adopted_whenever_their_parents_come(pipeline: Pipeline) -> None:
    pipeline.pump(total(10), line(10, 100))
    assert pipeline.orders.held.counts() == {"order_without_header": 1}
    pipeline.pump(header(10))
    assert pipeline.orders.held.counts() == {"status_not_loaded": 1}
    pipeline.pump(LOOKUP)
    assert not pipeline.orders.held.counts()
    assert pipeline.buyers.held.counts() == {"customer_not_loaded": 1}
    pipeline.pump(PEOPLE)
    assert not pipeline.buyers.held.counts()
    assert pipeline.count(ANN) == 1


def test_what_is_held_is_known_after_a_restart(pipeline: Pipeline) -> None:
    pipeline.pump(total(10), person(1, 1, ANN)).restart()
    assert pipeline.orders.held.counts() == {"order_without_header": 1}
    assert pipeline.buyers.held.counts() == {"contact_without_customer": 1}


@settings(deadline=None, max_examples=60)
@given(st.permutations([header(20, sort=4), total(20, "3"), line(20, 200, original=100), line(10, 100), LOOKUP, PEOPLE]))
def test_a_credit_note_finds_the_line_that_it_gives_back_in_any_order_of_arrival(arrival: list[Step]) -> None:
    pipeline = Pipeline()
    for step in arrival:
        pipeline.pump(step)
    assert pipeline.contact(ANN)["OW_REFUND_TOTAL"] == 3


def test_a_credit_note_waits_again_when_its_line_goes(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER, CREDIT)
    assert pipeline.contact(ANN)["OW_REFUND_COUNT"] == 1
    pipeline.pump(of_order(Kind.LINE, 10, 100, None, 2))
    assert pipeline.contact(ANN)["OW_REFUND_COUNT"] == 0
    assert pipeline.orders.held.counts() == {"credit_without_order": 1}


def test_a_credited_line_may_move_to_another_order(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER, CREDIT, line(11, 100, at=2, former=10))
    assert pipeline.contact(ANN)["OW_REFUND_COUNT"] == 1


def test_an_order_that_changes_buyers_leaves_the_old_one(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER, header(10, 2, at=2))
    assert (pipeline.count(ANN), pipeline.count(BOB)) == (0, 1)


def test_a_house_order_follows_its_address(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, header(10, HOUSE), total(10), of_order(Kind.DETAIL, 10, 1, rows.Detail(ANN, 1)))
    assert pipeline.count(ANN) == 1
    pipeline.pump(of_order(Kind.DETAIL, 10, 1, rows.Detail(BOB, 1), 2))
    assert pipeline.content().keys() == {BOB}


def test_a_status_text_that_comes_late_or_changes_reaches_every_order_that_has_it(pipeline: Pipeline) -> None:
    pipeline.pump(PEOPLE, ORDER, header(11), total(11), header(12, status=2), total(12))
    assert not pipeline.count(ANN)
    pipeline.pump(LOOKUP)
    assert pipeline.count(ANN) == 3
    pipeline.pump(status(1, "cancelled", 2))
    assert pipeline.count(ANN) == 1
    pipeline.pump(status(1, None, 3))
    assert pipeline.orders.held.counts() == {"status_not_loaded": 2}


def test_a_status_is_known_after_a_restart(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE).restart()
    assert pipeline.pump(ORDER).count(ANN) == 1


def test_a_new_address_takes_the_history_along_and_says_where_it_went(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, person(1, 1, ANN), ORDER, person(1, 1, EVE, at=2))
    assert pipeline.count(EVE) == 1
    assert pipeline.desired[ANN][1] == Desired(None, None, EVE)


@pytest.mark.parametrize("together", [True, False])
def test_two_moves_lead_from_the_first_address_to_the_last(pipeline: Pipeline, together: bool) -> None:
    steps = [customer(1), person(1, 1, ANN), person(1, 1, BOB, at=2), person(1, 1, EVE, at=3)]
    for step in [[told for version in steps for told in version]] if together else steps:
        pipeline.pump(step)
    assert pipeline.desired[ANN][1].moved_to == EVE


def test_a_person_who_changes_accounts_is_told_of_by_the_new_one_only(pipeline: Pipeline) -> None:
    pipeline.pump(PEOPLE, person(1, 1, EVE, opted=False), person(1, 2, EVE, at=2, former=1, opted=False))
    assert pipeline.contact(EVE)["OW_ACCOUNT"] == "ACC2"
    assert pipeline.content()[EVE][1] is False


@st.composite
def timelines(draw: st.DrawFn) -> list[list[Step]]:
    """Versions of each row of a small shop, oldest first."""
    some = st.integers(1, 2)
    kinds = st.sampled_from([1, 1, 4, 2])
    addresses = st.lists(st.sampled_from([ANN, BOB, EVE]), unique=True, max_size=2)
    texts = st.sampled_from([OPEN, SENT, "cancelled", "never heard of", None])
    found: list[list[Step]] = []
    for order in (1, 2, 3):
        customers = st.sampled_from([1, 2, HOUSE])
        found.append([header(order, draw(customers), sort=draw(kinds), status=draw(some), at=at) for at in (1, 2)])
        found.append([total(order, draw(st.sampled_from(["1", "2.505"])), at) for at in range(1, draw(some) + 1)])
        place, moves = order, []
        for at in range(1, draw(some) + 1):
            former, place = (place if at > 1 else None), draw(st.integers(1, 3))
            moves.append(line(place, 10 + order, draw(st.sampled_from([None, 11, 12])), at, former))
        found.append(moves)
    found.append([of_order(Kind.DETAIL, 1, 1, rows.Detail(draw(st.sampled_from([None, ANN, EVE])), None), 1)])
    found.append([of_order(Kind.DESPATCH, 2, 1, rows.Despatch(draw(st.integers(5, 9)), None), at) for at in (1, 2)])
    for pk in (1, 2):
        found.append([status(pk, draw(texts), at) for at in range(1, draw(some) + 1)])
        found.append([customer(pk, *draw(addresses), at=at) for at in range(1, draw(some) + 1)])
        account, versions = 1, []
        for at in range(1, draw(st.integers(1, 3)) + 1):
            before, account = account, draw(some)
            former = before if at > 1 and before != account else None
            opted = draw(st.sampled_from([True, False, None]))
            versions.append(person(pk, account, *draw(addresses), at=at, former=former, opted=opted))
        found.append(versions)
    return found


def interleaved(found: list[list[Step]], random: Random) -> list[Step]:
    """Every step, rows mixed at will, each row's own order kept."""
    turns = [number for number, steps in enumerate(found) for _ in steps]
    random.shuffle(turns)
    waiting = [iter(steps) for steps in found]
    return [next(waiting[number]) for number in turns]


@settings(deadline=None, max_examples=120)
@given(timelines(), st.randoms(use_true_random=False), st.integers(0, 6))
def test_arrival_batches_and_crashes_do_not_show_in_the_result(found: list[list[Step]], random: Random, crashes: int) -> None:
    expected = Pipeline().pump(*[step for steps in found for step in steps])
    pipeline = Pipeline().feed(*interleaved(found, random))
    pipeline.pump_badly(random, crashes)
    assert pipeline.content() == expected.content()
    assert pipeline.orders.held.counts() == expected.orders.held.counts()
    assert pipeline.buyers.held.counts() == expected.buyers.held.counts()


@settings(deadline=None, max_examples=60)
@given(timelines(), st.randoms(use_true_random=False))
def test_any_end_of_the_input_may_be_read_again(found: list[list[Step]], random: Random) -> None:
    steps = interleaved(found, random)
    pipeline = Pipeline().pump(*steps)
    before = pipeline.content()
    pipeline.restart()
    assert pipeline.pump(*steps[random.randint(0, len(steps)) :]).content() == before


class Appends:
    """A producer and a table that remember what became durable when."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def send(self, topic: str, partition: int, entries: Iterable[object]) -> int:
        # The changelog is the slower one: what does not wait for it overtakes it.
        for _ in range(5 * (topic == "changelog")):
            await asyncio.sleep(0)
        self.done.append(topic)
        return len(list(entries))


async def test_what_is_told_is_remembered_before_it_is_told() -> None:
    appends, state = Appends(), Rows()

    def ignored(*_: object, **__: object) -> Any:
        return lambda function: function

    table = SimpleNamespace(changelog="changelog", faust=SimpleNamespace(on_recover=ignored), owned=lambda: {0})
    table.get, table.scan, table.write = state.get, state.scan, lambda *_: appends.done.append("table")
    signal = SimpleNamespace(connect=ignored)
    app = SimpleNamespace(topic=ignored, agent=ignored, on_partitions_revoked=signal, consumer_generation_id=1)
    stage = Stage(
        cast(faust.App, app),
        [TOPICS.buyers],
        cast(StateTable, table),
        BuyersHandler(TOPICS, Metrics()),
        cast(BatchProducer, appends),
        partitions=1,
        dead_letters="dead",
        hash_key=b"k",
        clock=ManualClock(),
        metrics=Metrics(),
        progress=Progress("group", [TOPICS.buyers]),
    )
    place = SimpleNamespace(topic=TOPICS.buyers, partition=0)
    message = SimpleNamespace(**vars(place), tp=place, offset=0, key=None, headers=None, timestamp=0.0, generation_id=1)
    message.value = pack([customer(1, ANN)[0][1]])
    stage._stream = SimpleNamespace(ack=lambda _: appends.send("ack", 0, ()))
    await stage._cycle([SimpleNamespace(message=message)])
    assert appends.done == ["changelog", TOPICS.contacts, "table", "ack"]
