"""Consent does not depend on the order of arrival: who has said nothing is not created before the first load is over."""

import orjson
import pytest

from streams.core.clock import ManualClock
from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.first_load import BEGAN, FirstLoad
from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.tasks import Family, task_of
from streams.domain.consent_conflicts import ConflictRule
from streams.domain.contact_state import ContactDeliveryState
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.barriers import CONTACTS_LOADED, Barrier, BarrierChange
from streams.messages.changes import EVERYWHERE, ChangeKind, DesiredContact
from streams.observability.metrics import Metrics
from tests.agents.memory import Rows
from tests.dispatch.dispatch_harness import ANN, BOB, Site, on_site

HOUR = 3600
WAIT = {"consent_wait": float(HOUR)}
COLUMN = {"mode": "column", "column": "cc_opt"}
waiting = on_site(settings=WAIT, consent=COLUMN)


def ordered(site: Site, email: str = ANN) -> None:
    """An order has come, and no contact row with its address."""
    want(site, email, None, unread=True)


def want(site: Site, email: str, opted: bool | None, *, unread: bool = False, name: str = "Ann") -> None:
    wanted = DesiredContact(orjson.dumps({"FIRSTNAME": name}), opted, unread=unread)
    site.publish(site.change(ChangeKind.DESIRED_CONTACT, email, 0, wanted))


def loaded(site: Site, *senders: int) -> None:
    """The joins say that all contact rows have come; of two partitions each, or of those."""
    for place in range(2):
        for sender in senders or (0, 1):
            row = Barrier("contacts", sender, 2)
            change = BarrierChange(EVERYWHERE, CONTACTS_LOADED, b"", Lane.BULK, site.clock.now_ms(), row)
            site.broker.append(site.topics.desired, place, [(None, site.topics.desired.pack([change]))])


@pytest.mark.parametrize(("opted", "status"), [(True, "subscribed"), (False, "unsubscribed"), (None, "unsubscribed")])
@pytest.mark.parametrize("order_first", [True, False])
@waiting
async def test_the_same_rows_give_the_same_status(site: Site, opted: bool | None, status: str, order_first: bool) -> None:
    if order_first:
        ordered(site)
        await site.pass_(600)
        assert site.held() is None
        await site.restart()
        await site.pass_(600)
        assert site.held() is None, "a restart shortens nothing"
    want(site, ANN, opted)
    await site.pass_(600)
    assert bool(site.held()) is (opted is not None)
    loaded(site)
    await site.until(site.held)
    assert site.contact().email_status == status


@waiting
async def test_a_row_that_says_nothing_may_come_before_one_that_says_in(site: Site) -> None:
    want(site, ANN, None)
    await site.pass_(600)
    want(site, ANN, True)
    await site.until(site.held)
    assert site.contact().email_status == "subscribed"


@pytest.mark.parametrize("restarts", [True, False])
@waiting
async def test_nobody_waits_once_the_barrier_has_come_from_every_partition_of_the_joins(site: Site, restarts: bool) -> None:
    ordered(site)
    await site.quiet()
    loaded(site, 1)
    loaded(site, 1)
    await site.pass_(600)
    assert site.held() is None
    loaded(site, 0)
    if restarts:
        await site.until(lambda: site.broker.idle)
        await site.restart()
    began = site.now
    await site.until(site.held)
    ordered(site, BOB)
    await site.until(lambda: site.held(BOB))
    assert site.now - began < 60
    assert site.contact().email_status == site.contact(BOB).email_status == "unsubscribed"
    assert site.metrics.undecided_creations._value.get() == 0


@on_site(started=False, settings=WAIT, consent=COLUMN)
async def test_the_barrier_may_stand_in_one_unit_with_what_it_ends(site: Site) -> None:
    ordered(site)
    loaded(site)
    site.start()
    began = site.now
    await site.until(site.held)
    assert site.now - began < 60


@waiting
async def test_whom_nobody_names_is_created_unsubscribed_when_the_first_load_must_be_over(site: Site) -> None:
    ordered(site)
    await site.quiet()
    site.dispatch.update_gauges()
    assert site.metrics.creations_waiting._value.get() == 1
    await site.pass_(HOUR - 60)
    assert site.held() is None
    await site.until(site.held)
    assert site.contact().email_status == "unsubscribed"
    assert site.metrics.undecided_creations._value.get() == 1


@waiting
async def test_workers_that_wait_for_the_first_change_and_a_read_account_use_up_none_of_the_first_load(site: Site) -> None:
    site.found(site.box.store.create({"email": BOB}))
    await site.pass_(HOUR + 60)
    await site.restart()
    await site.pass_(HOUR + 60)
    began = site.now
    ordered(site)
    await site.pass_(HOUR - 60)
    assert site.held() is None
    await site.until(site.held)
    assert site.now - began < HOUR + 60


@waiting
async def test_who_waited_for_the_end_of_the_first_load_is_backlog_from_then_on(site: Site) -> None:
    ordered(site)
    await site.pass_(HOUR - 60)
    assert not +site.dispatch.queue.counts()
    site.line.cut = True
    await site.pass_(300)
    site.dispatch.update_gauges()
    assert site.metrics.creations_waiting._value.get() == 0
    assert site.metrics.pending.labels("live")._value.get() == 1
    assert site.metrics.oldest_undelivered.labels("live")._value.get() > HOUR


@waiting
async def test_after_the_first_load_nobody_waits(site: Site) -> None:
    want(site, BOB, None)
    await site.pass_(HOUR + 1)
    began = site.now
    ordered(site)
    await site.until(site.held)
    assert site.now - began < 60


@waiting
async def test_a_contact_that_is_there_is_filled_at_once_and_an_erasure_waits_for_nobody(site: Site) -> None:
    site.found(site.box.store.create({"email": ANN}))
    ordered(site)
    await site.until(lambda: site.contact().data.get("FIRSTNAME") == "Ann")
    ordered(site, BOB)
    site.erase(BOB)
    await site.quiet()
    assert site.held(BOB) is None


@on_site()
async def test_a_later_in_changes_nothing_and_is_counted_as_a_conflict_once(site: Site) -> None:
    def conflicts() -> float:
        return float(sum(site.metrics.consent_conflicts.labels(rule)._value.get() for rule in ConflictRule))

    want(site, ANN, None)
    want(site, BOB, True)
    await site.quiet()
    for name in ("Anna", "Annie"):
        want(site, ANN, True, name=name)
        want(site, BOB, True, name=name)
        await site.quiet()
    assert (site.contact().email_status, conflicts()) == ("unsubscribed", 1)
    left = site.contact(BOB)
    left.email_status = "unsubscribed"
    site.found(left)
    await site.until(lambda: conflicts() == 2)
    assert site.contact(BOB).email_status == "unsubscribed"


@pytest.mark.parametrize(
    ("row", "had"),
    [
        (ContactDeliveryState(position=b"1"), True),
        (ContactDeliveryState(contact=1, observed_at=b"1"), False),
        (None, False),
    ],
    ids=["filled by a release before", "only read back", "empty"],
)
def test_an_outbox_that_was_filled_before_has_had_its_first_load(row: ContactDeliveryState | None, had: bool) -> None:
    clock, rows, codec = ManualClock(), Rows(), CODECS[Family.CONTACT]
    clock.advance(1000)
    if row is not None:
        before = UnitOfWork(0, 1, rows, clock.now_us())
        codec.save(before, task_of(Family.CONTACT, ANN), row)
        rows.commit(before)
    unit = UnitOfWork(0, 1, rows, clock.now_us())
    FirstLoad(1, DeliveryQueue(clock), Metrics().undecided_creations).note(unit)
    assert (unit.get(BEGAN) == b"\x00") is had
