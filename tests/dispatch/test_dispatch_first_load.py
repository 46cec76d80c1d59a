"""Consent does not depend on the order of arrival: whom no contact row names is not created before the first load is over."""

import orjson
import pytest

from streams.core.clock import ManualClock
from streams.dispatch.outbox.first_load import BEGAN, FirstLoad
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import ChangeKind, DesiredContact
from tests.agents.memory import Rows
from tests.dispatch.dispatch_harness import ANN, BOB, Site, on_site

HOUR = 3600
WAIT = {"consent_wait": float(HOUR)}


def ordered(site: Site, email: str = ANN) -> None:
    """An order has come, and no contact row with its address."""
    want(site, email, None, unread=True)


def want(site: Site, email: str, opted: bool | None, *, unread: bool = False, name: str = "Ann") -> None:
    wanted = DesiredContact(orjson.dumps({"FIRSTNAME": name}), opted, unread=unread)
    site.publish(site.change(ChangeKind.DESIRED_CONTACT, email, 0, wanted))


@pytest.mark.parametrize(("opted", "status"), [(True, "subscribed"), (False, "unsubscribed"), (None, "unsubscribed")])
@pytest.mark.parametrize("order_first", [True, False])
@on_site(settings=WAIT)
async def test_the_same_rows_give_the_same_status(site: Site, opted: bool | None, status: str, order_first: bool) -> None:
    if order_first:
        ordered(site)
        await site.pass_(600)
        assert site.held() is None
        await site.restart()
        await site.pass_(600)
        assert site.held() is None, "a restart shortens nothing"
    want(site, ANN, opted)
    await site.until(site.held)
    assert site.contact().email_status == status


@on_site(settings=WAIT)
async def test_whom_nobody_names_is_created_unsubscribed_when_the_first_load_must_be_over(site: Site) -> None:
    ordered(site)
    await site.quiet()
    site.dispatch.update_gauges()
    assert site.metrics.creations_waiting._value.get() == 1
    await site.pass_(HOUR - 60)
    assert site.held() is None
    await site.until(site.held)
    assert site.contact().email_status == "unsubscribed"


@on_site(settings=WAIT)
async def test_after_the_first_load_nobody_waits(site: Site) -> None:
    want(site, BOB, None)
    await site.pass_(HOUR + 1)
    began = site.now
    ordered(site)
    await site.until(site.held)
    assert site.now - began < 60


@on_site(settings=WAIT)
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
        return float(site.metrics.consent_conflicts._value.get())

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


def test_an_outbox_that_was_filled_before_has_had_its_first_load() -> None:
    clock, rows = ManualClock(), Rows()
    clock.advance(1000)
    filled, empty = Rows(), rows
    before = UnitOfWork(0, 1, filled, clock.now_us())
    before.put(b"eann@example.com", b"\x90")
    filled.commit(before)
    for state, began in ((filled, b"\x00"), (empty, None)):
        unit = UnitOfWork(0, 1, state, clock.now_us())
        FirstLoad(1).note(unit)
        assert (unit.get(BEGAN) == b"\x00") is (began is not None)
