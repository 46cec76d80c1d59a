"""A contact that cannot be worked out is neither wanted nor withdrawn: what was delivered stays, and opt-outs go out all the same."""

from streams.core.lanes import Lane
from streams.messages.changes import ChangeKind, DesiredContact
from tests.dispatch.dispatch_harness import ANN, DAY, Site, on_site

LASTS = 30 * DAY


def hold(site: Site, *, opted: bool | None = None) -> None:
    """What the contact should hold is not known."""
    held = DesiredContact(None, opted, held=True)
    site.publish(site.change(ChangeKind.DESIRED_CONTACT, ANN, 0, held, Lane.LIVE))


@on_site()
async def test_what_was_delivered_stays_without_a_call(site: Site) -> None:
    site.want()
    await site.quiet()
    site.forget_calls()
    hold(site)
    await site.quiet()
    assert not site.written() and site.contact().data["FIRSTNAME"] == "Ann"


@on_site()
async def test_what_was_wanted_and_not_delivered_yet_is_delivered(site: Site) -> None:
    site.want()
    hold(site)
    await site.quiet()
    assert site.contact().data["FIRSTNAME"] == "Ann"


@on_site()
async def test_a_contact_that_was_never_wanted_is_not_made(site: Site) -> None:
    hold(site)
    await site.quiet()
    assert site.held() is None and not site.written()


@on_site(consent={"mode": "column", "column": "cc_marketing_opt_in"})
async def test_an_opt_out_does_not_wait(site: Site) -> None:
    site.want(opted=True)
    await site.quiet()
    assert site.contact().email_status == "subscribed"
    hold(site, opted=False)
    await site.quiet()
    assert site.contact().email_status == "unsubscribed" and site.contact().data["FIRSTNAME"] == "Ann"


@on_site(settings={"brake_wait": 60.0})
async def test_a_removal_that_was_not_made_yet_is_taken_back(site: Site) -> None:
    site.want()
    await site.quiet()
    site.want(name=None)
    await site.pass_(10)
    hold(site)
    await site.pass_(120)
    assert site.contact().data["FIRSTNAME"] == "Ann"
    site.want(name="Anna")
    await site.quiet()
    assert site.contact().data["FIRSTNAME"] == "Anna"


@on_site()
async def test_the_recent_buyers_place_of_a_held_contact_ends_when_it_is_due(site: Site) -> None:
    over = site.now + 120
    site.want(despatched=over - LASTS)
    await site.quiet()
    hold(site)
    await site.quiet()
    assert site.listed()
    await site.until(lambda: not site.listed())
    assert site.now >= over


@on_site()
async def test_an_erasure_does_not_wait(site: Site) -> None:
    site.want()
    await site.quiet()
    hold(site)
    site.erase()
    await site.until(lambda: site.held() is None)
