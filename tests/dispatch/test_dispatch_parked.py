"""What Dotdigital refuses for what it says: parked, told, and tried again when it changes or when somebody asks."""

import pytest

from streams.dispatch.outbox.tasks import Family, task_of
from streams.messages.changes import ChangeKind, LineQuery, pack
from testkit.virtual.local_broker import LocalBroker
from tests.dispatch.dispatch_harness import ANN, BOB, Site, contact_task, on_site


async def refused(site: Site) -> None:
    """A contact whose data Dotdigital does not take."""
    site.line.refuses = b'"Bad"'
    site.want(name="Bad")
    await site.until(site.parked)
    await site.quiet()


@on_site()
async def test_it_is_reported_once_with_what_is_wrong(site: Site) -> None:
    await refused(site)
    (parked,) = site.parked()
    assert (parked.task, parked.key, parked.task_key) == ("contact", ANN, contact_task())
    assert (parked.code, parked.state, parked.attempts) == ("contacts:badJson", "parked", 1)
    site.forget_calls()
    await site.pass_(300)
    assert not site.calls() and len(site.parked()) == 1


@on_site()
async def test_it_holds_up_nobody_else(site: Site) -> None:
    await refused(site)
    site.want(BOB, "Bob")
    await site.quiet()
    assert site.held(BOB) is not None


@on_site()
async def test_other_content_clears_it(site: Site) -> None:
    await refused(site)
    site.want(name="Good")
    await site.quiet()
    assert [parked.state for parked in site.parked()] == ["parked", "cleared"]
    assert site.contact().data["FIRSTNAME"] == "Good"


@on_site()
async def test_the_same_content_again_stays_parked(site: Site) -> None:
    await refused(site)
    site.forget_calls()
    site.want(name="Bad")
    await site.quiet()
    await site.restart()
    await site.pass_(30)
    assert len(site.parked()) == 1 and not site.written()


@pytest.mark.parametrize("mended", [True, False])
@on_site()
async def test_a_retry_tries_it_again(site: Site, mended: bool) -> None:
    await refused(site)
    if mended:
        site.line.refuses = None
    site.unpark(contact_task())
    await site.quiet()
    states = ["parked", "cleared"] if mended else ["parked", "cleared", "parked"]
    assert [parked.state for parked in site.parked()] == states
    assert (site.held() is not None) is mended


@on_site()
async def test_a_retry_of_what_is_not_parked_is_nothing(site: Site) -> None:
    site.want()
    await site.quiet()
    site.forget_calls()
    site.unpark(contact_task())
    site.unpark(task_of(Family.RECORD, ANN, "A1"))
    await site.quiet()
    assert not site.calls() and not site.parked()


@on_site()
async def test_a_record_is_parked_with_its_content(site: Site) -> None:
    site.want()
    await site.quiet()
    site.line.refuses = b'"odd"'
    site.record("A1", "odd")
    await site.until(site.parked)
    (parked,) = site.parked()
    assert (parked.task, parked.task_key) == ("record", task_of(Family.RECORD, ANN, "A1"))
    site.line.refuses = None
    site.unpark(parked.task_key)
    await site.quiet()
    assert site.records() == {"A1": "odd"} and not site.asked_again(site.topics.orders)


@on_site()
async def test_a_catalogue_record_is_parked(site: Site) -> None:
    site.line.refuses = b'"odd"'
    site.item(7, "odd")
    await site.until(site.parked)
    (parked,) = site.parked()
    assert (parked.task, parked.key) == ("catalogue", "7")


@on_site()
async def test_an_opt_out_goes_out_though_the_data_is_parked(site: Site) -> None:
    site.want(opted=True)
    await site.quiet()
    await refused(site)
    site.want(name="Bad", opted=False)
    await site.until(lambda: site.contact().email_status == "unsubscribed")
    await site.quiet()


@on_site()
async def test_what_only_lacks_something_is_tried_a_few_times_first(site: Site) -> None:
    site.want()
    await site.quiet()
    site.box.store.insight.drop("Orders")
    site.record("A1")
    await site.pass_(4)
    assert not site.parked()
    site.box.store.insight.create("Orders", "contact", "orders")
    await site.quiet()
    assert site.records() == {"A1": "open"} and not site.parked()


@on_site()
async def test_what_lacks_something_for_long_is_parked(site: Site) -> None:
    site.want()
    await site.quiet()
    site.box.store.insight.drop("Orders")
    site.record("A1")
    await site.until(site.parked)
    (parked,) = site.parked()
    assert (parked.code, parked.attempts) == ("insightData:collectionNotFound", 4)


@on_site()
async def test_a_change_of_another_kind_than_the_outbox_takes_ends_the_worker(site: Site) -> None:
    # Past the harness, which lets nobody of ours append such a change.
    foreign = pack([site.change(ChangeKind.LINE_QUERY, ANN, 0, LineQuery(1))])
    LocalBroker.append(site.broker, site.topics.desired, 0, [(None, foreign)])
    await site.pass_(1)
    with pytest.raises(BaseExceptionGroup):
        await site.stop()
