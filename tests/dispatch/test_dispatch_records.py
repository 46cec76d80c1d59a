"""Order and catalogue records, from the wish to the account: after their contact, whole, and gone with it."""

from streams.core.lanes import Lane
from tests.dispatch.bulk_contacts import BUDGET
from tests.dispatch.dispatch_harness import BOB, CATALOGUE, CONTACT, ORDERS, Site, on_site

ITEM = "/insightData/v3/account/{collectionName}/{recordId}"
RECORD = "/insightData/v3/contacts/{identifier}/{value}/{collectionName}/{recordId}"
RECORDS = "/insightData/v3/contacts/{identifier}/{value}/{collectionName}/deleteRecords"
KAFKA_DEFAULT = 1_048_588
"""Bytes of the largest record in a topic that says nothing of it (``message.max.bytes``)."""


def owner(site: Site, key: str) -> int | None:
    """The id of the contact that holds a record."""
    collection = site.box.store.insight.find(ORDERS)
    assert collection is not None
    return collection.records[key].owner


@on_site()
async def test_a_record_waits_for_its_contact(site: Site) -> None:
    site.record("A1")
    await site.pass_(60)
    assert not site.written()
    site.want()
    await site.quiet()
    assert site.records() == {"A1": "open"} and owner(site, "A1") == site.contact().id
    assert len(site.calls("PUT")) == 1


@on_site()
async def test_a_record_is_replaced_and_removed(site: Site) -> None:
    site.want()
    site.record("A1")
    await site.quiet()
    site.record("A1", "despatched")
    await site.quiet()
    assert site.records() == {"A1": "despatched"}
    site.record("A1", None)
    await site.quiet()
    assert site.records() == {}
    assert [call.method for call in site.calls(route=RECORD)] == ["PUT", "PUT", "DELETE"]


@on_site()
async def test_a_record_shows_under_its_old_key_until_it_is_stored_under_the_new_one(site: Site) -> None:
    site.want()
    site.record("A1")
    await site.quiet()
    site.box.faults.update({"next": ["http_503"]})
    site.move_record("A1", successor="A1-B")
    site.record("A1-B")
    await site.quiet()
    assert site.records() == {"A1-B": "open"}
    assert [call.method for call in site.calls(route=RECORD)] == ["PUT", "PUT", "PUT", "DELETE"]


@on_site()
async def test_a_record_that_was_never_there_is_not_removed(site: Site) -> None:
    site.want()
    site.record("A1", None)
    await site.quiet()
    assert not site.calls(route=RECORD)


@on_site()
async def test_the_same_record_again_is_not_sent(site: Site) -> None:
    site.want()
    site.record("A1")
    await site.quiet()
    site.record("A1")
    await site.quiet()
    assert len(site.calls("PUT", RECORD)) == 1


@on_site()
async def test_a_catalogue_record_needs_no_contact(site: Site) -> None:
    site.item(7)
    await site.quiet()
    site.item(7, "Hammer")
    await site.quiet()
    assert site.records(CATALOGUE) == {"7": "Hammer"}
    site.item(7, None)
    await site.quiet()
    assert site.records(CATALOGUE) == {}
    assert [call.method for call in site.calls(route=ITEM)] == ["PUT", "PUT", "DELETE"]


@on_site()
async def test_records_follow_a_contact_that_was_deleted_by_hand(site: Site) -> None:
    site.want()
    site.record("A1")
    await site.quiet()
    site.box.store.bin(site.contact())
    site.box.store.purge()
    site.record("A2")
    await site.create_again()
    assert site.records() == {"A2": "open"} and owner(site, "A2") == site.contact().id
    # When it is gone, and when it can be sent: its content was dropped when it was delivered, and nobody replies here.
    assert site.asked_again(site.topics.orders) == [1, 1]
    site.record("A1")
    await site.quiet()
    assert site.records() == {"A1": "open", "A2": "open"}


@on_site()
async def test_records_follow_a_contact_that_was_made_anew_for_its_data(site: Site) -> None:
    site.want()
    site.record("A1")
    await site.quiet()
    before = site.contact().id
    site.box.store.bin(site.contact())
    site.box.store.purge()
    site.want(name="Anna")
    await site.create_again()
    assert site.contact().id != before
    assert site.asked_again(site.topics.orders) == [1, 1]
    site.record("A1")
    await site.quiet()
    assert site.records() == {"A1": "open"}


@on_site()
async def test_a_key_that_another_contact_still_holds_waits_until_it_is_free(site: Site) -> None:
    site.want()
    site.want(BOB, "Bob")
    site.record("A1")
    await site.quiet()
    site.record("A1", "despatched", BOB)
    await site.until(site.parked)
    assert owner(site, "A1") == site.contact().id
    site.move_record("A1")
    await site.until(lambda: site.asked_again(site.topics.orders) == [1])
    site.record("A1", "despatched", BOB)
    await site.quiet()
    assert site.records() == {"A1": "despatched"} and owner(site, "A1") == site.contact(BOB).id


@on_site()
async def test_a_contact_that_leaves_leaves_no_records_in_the_bin(site: Site) -> None:
    site.want()
    site.record("A1")
    site.record("A2")
    await site.quiet()
    site.forget_calls()
    site.want(name=None)
    await site.quiet()
    assert site.held() is None and site.records() == {}
    assert [(call.method, call.route) for call in site.written()] == [("DELETE", RECORDS), ("DELETE", CONTACT)]


@on_site()
async def test_records_come_back_with_their_contact(site: Site) -> None:
    site.want()
    site.record("A1")
    await site.quiet()
    site.want(name=None)
    await site.quiet()
    site.want()
    await site.quiet()
    assert site.asked_again(site.topics.orders) == [1, 1]
    site.record("A1")
    await site.quiet()
    assert site.records() == {"A1": "open"}


@on_site()
async def test_an_answer_that_is_lost_is_repeated(site: Site) -> None:
    site.want()
    await site.quiet()
    site.box.faults.update({"next": ["lost_reply"]})
    site.record("A1")
    await site.quiet()
    assert [call.status for call in site.calls("PUT", RECORD)] == [0, 204]
    assert site.records() == {"A1": "open"}


@on_site()
async def test_content_that_returns_after_a_lost_answer_is_sent(site: Site) -> None:
    site.want()
    site.record("A1")
    await site.quiet()
    site.box.faults.update({"next": ["lost_reply", {"fault": "http_503", "times": 3}]})
    site.record("A1", "despatched")
    await site.until(lambda: site.records() == {"A1": "despatched"})
    site.record("A1", "open")
    await site.quiet()
    assert site.records() == {"A1": "open"}


@on_site()
async def test_records_come_back_to_a_contact_that_stays_after_all(site: Site) -> None:
    site.want()
    site.record("A1")
    await site.quiet()
    # Looked for, its records deleted, and then the contact itself not.
    site.box.faults.update({"next": ["none", "none", {"fault": "http_503", "times": 3}]})
    site.want(name=None)
    await site.until(lambda: not site.records())
    site.want(name="Anna")
    await site.quiet()
    assert site.held() is not None and site.asked_again(site.topics.orders) == [1]
    site.record("A1")
    await site.quiet()
    assert site.records() == {"A1": "open"}


@on_site(settings=BUDGET)
async def test_records_of_one_address_in_great_number_are_announced_in_events_that_kafka_takes(site: Site) -> None:
    """A placeholder address has the orders of many people, and all its tasks are in one partition."""
    placeholder, many = f"{'n' * 60}@{'d' * 60}.{'e' * 60}.{'f' * 50}.example.com", 4_000
    site.want(placeholder)
    for number in range(many):
        site.record(f"SO{number}", email=placeholder, lane=Lane.BULK)
    await site.quiet()
    assert len(site.records()) == many
    assert max(map(len, site.broker.published[site.topics.deliveries])) < KAFKA_DEFAULT
