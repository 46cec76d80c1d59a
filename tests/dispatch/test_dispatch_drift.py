"""What a comparison with Dotdigital found is put right by dispatch, and nothing else is done for it."""

from streams.core.lanes import Lane
from streams.dispatch.outbox.drift import newest_event
from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, task_of
from streams.messages.changes import ChangeKind, partition_of
from streams.messages.drift import DriftFound, Lost
from streams.messages.removals import RemovalKind, read_held
from tests.dispatch.dispatch_harness import ANN, DAY, ORDERS, Site, contact_task, on_site

A1 = task_of(Family.RECORD, ANN, "A1")


def newest(site: Site, task: str) -> int:
    value = site.table.get(partition_of(owner_of(task), site.settings.partitions), task.encode())
    assert value is not None
    return newest_event(CODECS[family_of(task)].decode(value))


def find(site: Site, task: str, lost: Lost = "content", event: int | None = None) -> None:
    row = DriftFound((lost,), newest(site, task) if event is None else event)
    site.publish(site.change(ChangeKind.DRIFT_FOUND, owner_of(task), task, row, Lane.BULK))


@on_site()
async def test_a_field_that_somebody_changed_is_written_again(site: Site) -> None:
    site.want()
    await site.quiet()
    site.contact().data["FIRSTNAME"] = "Eve"
    find(site, contact_task())
    await site.quiet()
    assert site.contact().data["FIRSTNAME"] == "Ann"


@on_site()
async def test_what_was_delivered_since_is_not_delivered_again(site: Site) -> None:
    site.want()
    await site.quiet()
    compared = newest(site, contact_task())
    site.want(name="Anne")
    await site.quiet()
    site.forget_calls()
    find(site, contact_task(), event=compared)
    await site.quiet()
    assert not site.line.calls


@on_site()
async def test_a_contact_that_somebody_deleted_waits_for_a_person(site: Site) -> None:
    site.want()
    await site.quiet()
    site.box.store.bin(site.contact())
    find(site, contact_task(), "contact")
    await site.until(lambda: site.open_parked() == {contact_task(): "deleted_in_dotdigital"})
    assert site.held() is None


@on_site()
async def test_a_lost_place_on_the_list_is_given_back(site: Site) -> None:
    site.want(despatched=site.now - DAY)
    await site.quiet()
    site.contact().lists.clear()
    find(site, contact_task(), "list place")
    await site.until(site.listed)


@on_site()
async def test_an_opt_out_that_did_not_take_is_sent_again_and_nobody_is_subscribed(site: Site) -> None:
    site.want(opted=True)
    await site.quiet()
    site.want(opted=False)
    await site.quiet()
    assert site.contact().email_status == "unsubscribed"
    site.contact().email_status = "subscribed"
    find(site, contact_task(), "opt-out")
    await site.until(lambda: site.contact().email_status == "unsubscribed")


@on_site()
async def test_a_lost_record_is_asked_for_and_stored(site: Site) -> None:
    site.want()
    site.record("A1")
    await site.quiet()
    collection = site.box.store.insight.find(ORDERS)
    assert collection is not None
    del collection.records["A1"]
    find(site, A1)
    await site.until(lambda: site.asked_again(site.topics.orders) == [1])
    site.record("A1")
    await site.quiet()
    assert site.records() == {"A1": "open"}


@on_site(settings={"brake_least": 0})
async def test_records_that_came_back_are_removed_and_many_wait_for_a_person(site: Site) -> None:
    keys = [f"A{number}" for number in range(10)]
    site.want()
    for key in keys:
        site.record(key)
    await site.quiet()
    collection = site.box.store.insight.find(ORDERS)
    assert collection is not None
    stored = dict(collection.records)
    for key in keys[:8]:
        site.move_record(key)
    await site.until(lambda: site.records().keys() == {"A8", "A9"})
    for key in keys[:8]:
        site.record(key, None)
    await site.quiet()
    collection.records.update(stored)
    for key in keys[:8]:
        find(site, task_of(Family.RECORD, ANN, key))
    await site.until(lambda: site.broker.published[site.topics.removals])
    assert site.records().keys() == set(keys)
    held = read_held(site.broker.published[site.topics.removals][-1])
    assert (held.kind, held.count) == (RemovalKind.RECORDS, 8)
