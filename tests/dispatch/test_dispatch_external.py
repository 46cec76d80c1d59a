"""Another system owns consent: contacts are filled in and never created, and what belongs to them waits for a reading."""

from tests.dispatch.dispatch_harness import ANN, CONTACT, CONTACTS, Site, on_site

EXTERNAL = {"mode": "external"}
READING = {"readback_seconds": 60}


@on_site(consent=EXTERNAL)
async def test_who_is_not_known_waits_for_a_reading(site: Site) -> None:
    site.want(opted=True, despatched=site.now)
    site.record("A1")
    await site.pass_(120)
    assert site.held() is None and not site.written()
    made = site.box.store.create({"email": ANN})
    made.email_status = "subscribed"
    site.found(made)
    await site.quiet()
    assert site.contact().data == {"FIRSTNAME": "Ann"} and site.contact().email_status == "subscribed"
    assert site.listed() and site.records() == {"A1": "open"}


@on_site(consent=EXTERNAL, settings=READING)
async def test_a_reading_finds_who_was_created_by_the_other_system(site: Site) -> None:
    site.want()
    await site.pass_(30)
    site.box.store.create({"email": ANN}).email_status = "unsubscribed"
    await site.until(lambda: site.contact().data)
    assert site.contact().email_status == "unsubscribed"


@on_site(consent=EXTERNAL)
async def test_who_is_known_is_updated_by_id(site: Site) -> None:
    site.found(site.box.store.create({"email": ANN}))
    site.want()
    await site.quiet()
    site.want(name="Anna")
    await site.quiet()
    assert site.contact().data == {"FIRSTNAME": "Anna"}
    assert {call.path for call in site.written()} == {f"/contacts/v3/contactId/{site.contact().id}"}


@on_site(consent=EXTERNAL)
async def test_who_vanished_is_not_created(site: Site) -> None:
    made = site.box.store.create({"email": ANN})
    site.found(made)
    site.want()
    site.record("A1")
    await site.quiet()
    site.box.store.bin(made)
    site.box.store.purge()
    site.want(name="Anna")
    site.record("A1", "despatched")
    await site.quiet()
    assert site.held() is None and not site.calls("POST", CONTACTS) and not site.calls("PATCH", CONTACT, good=True)[1:]
    site.found(site.box.store.create({"email": ANN}))
    await site.quiet()
    assert site.contact().data == {"FIRSTNAME": "Anna"} and site.records() == {"A1": "despatched"}


@on_site(consent=EXTERNAL)
async def test_who_leaves_is_cleared_and_stays(site: Site) -> None:
    site.found(site.box.store.create({"email": ANN}))
    site.want()
    await site.quiet()
    site.want(name=None)
    await site.quiet()
    (cleared,) = site.calls("PATCH", CONTACT, good=True)[1:]
    assert cleared.content["dataFields"]
    assert set(cleared.content["dataFields"].values()) == {None}
    # Names may be what the person typed in a form: their policy is to keep them.
    assert "FIRSTNAME" not in cleared.content["dataFields"]
    assert site.contact().data == {"FIRSTNAME": "Ann"}
