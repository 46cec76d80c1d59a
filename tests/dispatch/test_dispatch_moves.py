"""A contact goes along with its person: one call gives it the new address, and both addresses wait for nothing else meanwhile."""

from itertools import permutations, product

import orjson
import pytest

from streams.core.lanes import Lane
from streams.domain.versioned import version_bytes
from streams.messages.changes import CarriedRefusal, Change, ChangeKind, ContactObserved, DesiredContact
from streams.messages.kinds import ContactObservedChange
from testkit.sandbox.store import Contact
from tests.dispatch.dispatch_harness import ANN, BOB, CONTACT, ORDERS, Site, on_site

EVE = "eve@example.com"
BY_ID = "/contacts/v3/contactId/"
DELETE = "delete"


def here(
    site: Site,
    email: str,
    *came_from: tuple[str, int],
    name: str = "Ann",
    opted: bool | None = None,
    left: tuple[str, int] | None = None,
) -> Change:
    """Somebody has the address, and had others before; somebody else may have ``left`` it."""
    arrivals = tuple((former, version_bytes(at)) for former, at in came_from)
    to, left_at = ((), b"") if left is None else ((left[0],), version_bytes(left[1]))
    row = DesiredContact(orjson.dumps({"FIRSTNAME": name}), opted, to, left_at=left_at, came_from=arrivals)
    return site.change(ChangeKind.DESIRED_CONTACT, email, 0, row)


def despatched_here(site: Site, email: str, *came_from: tuple[str, int]) -> Change:
    """Somebody who was sent something just now has the address, and had others before."""
    arrivals = tuple((former, version_bytes(at)) for former, at in came_from)
    row = DesiredContact(orjson.dumps({"FIRSTNAME": "Ann"}), None, (), site.now, came_from=arrivals)
    return site.change(ChangeKind.DESIRED_CONTACT, email, 0, row)


def gone(site: Site, email: str, to: str, at: int, *, same: bool = True) -> Change:
    """The one who had the address has another one."""
    row = DesiredContact(None, None, (to,), left_at=version_bytes(at), same_person=same)
    return site.change(ChangeKind.DESIRED_CONTACT, email, 0, row, Lane.LIVE)


async def known(site: Site, email: str = ANN) -> Contact:
    site.want(email)
    await site.quiet()
    return site.contact(email)


def renames(site: Site) -> int:
    return sum(b'"identifiers"' in call.body and BY_ID in call.path for call in site.calls("PATCH", good=True))


@pytest.mark.parametrize("new_first", [False, True])
@on_site()
async def test_the_contact_goes_along(site: Site, *, new_first: bool) -> None:
    held = await known(site)
    held.email_status = "subscribed"
    site.box.store.lists.names[999] = "Theirs"
    held.lists.append(999)
    held.preferences[1] = True
    held.data["POSTCODE"] = "AB1 2CD"
    site.forget_calls()
    changes = [gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1), name="Anna")]
    for change in reversed(changes) if new_first else changes:
        site.publish(change)
        await site.pass_(5)
    await site.quiet()
    moved = site.contact(BOB)
    assert (moved.id, moved.email_status, moved.data["POSTCODE"]) == (held.id, "subscribed", "AB1 2CD")
    assert (moved.data["FIRSTNAME"], moved.lists, moved.preferences) == ("Anna", [999], {1: True})
    assert site.held(ANN) is None
    assert [call.method for call in site.calls()] == ["GET", "PATCH"]


@on_site()
async def test_what_the_new_row_wants_afterwards_goes_to_the_contact(site: Site) -> None:
    held = await known(site)
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1)))
    await site.quiet()
    site.forget_calls()
    site.want(BOB, "Anna")
    await site.quiet()
    assert [(call.method, call.path) for call in site.calls()] == [("PATCH", f"{BY_ID}{held.id}")]
    site.want(BOB, None)
    await site.quiet()
    assert site.held(BOB) is None, "we created it, and know that we did"


@on_site()
async def test_an_opt_out_of_the_new_row_goes_with_the_call(site: Site) -> None:
    (await known(site)).email_status = "subscribed"
    site.forget_calls()
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1), opted=False))
    await site.quiet()
    assert site.contact(BOB).email_status == "unsubscribed"
    assert [call.method for call in site.calls()] == ["GET", "PATCH"]


@pytest.mark.parametrize("status", ["suppressed", "hardBounced", "softBounced", "spamTrap"])
@on_site()
async def test_a_contact_that_is_suppressed_or_bounced_stays(site: Site, *, status: str) -> None:
    held = await known(site)
    held.email_status = status
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1)))
    await site.quiet()
    assert site.contact(BOB).id != held.id and not renames(site)


@pytest.mark.parametrize("binned", [False, True])
@on_site()
async def test_an_address_that_has_a_contact_keeps_it(site: Site, *, binned: bool) -> None:
    held, other = await known(site), site.box.store.create({"email": BOB})
    other.email_status = "unsubscribed"
    if binned:
        site.box.store.bin(other)
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1)))
    await site.quiet()
    assert (site.contact(BOB).id, site.held(ANN)) == (other.id, None)
    assert held.binned is not None, "as any contact of ours that somebody left"
    assert 409 in [call.status for call in site.calls("PATCH", CONTACT)]


@on_site()
async def test_another_person_takes_no_contact_along(site: Site) -> None:
    held = await known(site)
    site.publish(gone(site, ANN, BOB, 1, same=False), here(site, BOB))
    await site.quiet()
    assert site.contact(BOB).id != held.id and not renames(site)


@on_site()
async def test_a_removed_record_that_a_late_import_wrote_again_goes_at_the_next_address(site: Site) -> None:
    held = await known(site)
    site.record("A1")
    await site.quiet()
    site.record("A1", None)
    await site.until(lambda: not site.records())
    collection = site.box.store.insight.find(ORDERS)
    assert collection is not None
    site.box.store.insight.put(collection, "A1", {"order_status": "open"}, held.id)
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1)))
    await site.until(lambda: site.held(BOB) is not None)
    await site.until(lambda: not site.records())
    assert site.held(BOB) is held


@on_site()
async def test_a_place_that_nobody_is_certain_of_is_taken_at_the_next_address(site: Site) -> None:
    await known(site)
    site.forget_calls()
    site.box.faults.update({"next": ["http_503"]})
    site.want(despatched=site.now)
    await site.until(lambda: site.calls("PATCH"))
    site.publish(gone(site, ANN, BOB, 1))
    site.publish(despatched_here(site, BOB, (ANN, 1)))
    await site.quiet()
    assert site.held(ANN) is None and site.listed(BOB)


@on_site()
async def test_its_place_on_the_list_and_its_records_go_along(site: Site) -> None:
    site.want(despatched=site.now)
    await site.quiet()
    for key in ("A1", "A2", "A3"):
        site.record(key)
    await site.quiet()
    held = site.contact()
    site.publish(gone(site, ANN, BOB, 1))
    site.move_record("A1")
    site.record("A1", email=BOB)
    # Its order is gone at the same moment, and asks nobody else to show it.
    site.record("A2", None)
    site.publish(despatched_here(site, BOB, (ANN, 1)))
    await site.quiet()
    site.move_record("A3")
    site.record("A3", email=BOB)
    await site.quiet()
    assert (site.contact(BOB).id, site.listed(BOB)) == (held.id, True)
    assert site.records() == {"A1": "open", "A3": "open"}
    site.want(BOB, despatched=site.now - 31 * 86_400)
    await site.until(lambda: not site.listed(BOB))


@on_site()
async def test_a_record_that_came_along_and_is_wanted_elsewhere_is_sent_there_once_it_has_gone(site: Site) -> None:
    await known(site, EVE)
    await known(site)
    site.record("A1")
    await site.quiet()
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1)))
    site.move_record("A1")
    site.record("A1", email=EVE)
    await site.until(lambda: renames(site) and site.open_parked())
    asked = len(site.asked_again(site.topics.orders))
    # Eve was refused it, for Bob, who was Ann, has it; nothing but its going from there can help.
    await site.until(lambda: len(site.asked_again(site.topics.orders)) > asked)
    site.record("A1", "despatched", EVE)
    await site.quiet()
    assert site.records() == {"A1": "despatched"} and not site.open_parked()


@on_site()
async def test_an_unsubscribe_goes_along_and_is_kept(site: Site) -> None:
    held = await known(site)
    held.email_status = "unsubscribed"
    site.found(held)
    await site.quiet()
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1), opted=True))
    await site.quiet()
    assert (site.contact(BOB).id, site.contact(BOB).email_status) == (held.id, "unsubscribed")


@on_site()
async def test_a_refusal_at_the_new_address_is_not_forgotten(site: Site) -> None:
    site.publish(site.change(ChangeKind.CARRIED_REFUSAL, BOB, 0, CarriedRefusal()))
    held = await known(site)
    held.email_status = "subscribed"
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1)))
    await site.quiet()
    assert site.contact(BOB).email_status == "unsubscribed"


@pytest.mark.parametrize("late", [False, True])
@on_site()
async def test_a_refusal_that_dotdigital_has_for_the_new_address_goes_to_the_contact(site: Site, *, late: bool) -> None:
    held = await known(site)
    held.email_status = "subscribed"
    # Suppressions are listed by address alone; this one may be read while the new address waits for the contact.
    refusal = ContactObservedChange(
        BOB,
        0,
        version_bytes(site.clock.now_us()),
        Lane.BULK,
        site.clock.now_ms(),
        ContactObserved(0, "suppressed", removed=True),
    )
    asks = here(site, BOB, (ANN, 1))
    for change in (asks, refusal) if late else (refusal, asks):
        site.publish(change)
        await site.pass_(5)
    site.publish(gone(site, ANN, BOB, 1))
    await site.quiet()
    assert (site.contact(BOB).id, site.contact(BOB).email_status) == (held.id, "unsubscribed")


@on_site()
async def test_two_who_change_places_keep_their_contacts(site: Site) -> None:
    ids = [(await known(site, email)).id for email in (ANN, BOB)]
    site.publish(here(site, ANN, (BOB, 1), name="Bob", left=(BOB, 2)), here(site, BOB, (ANN, 2), left=(ANN, 1)))
    await site.quiet()
    assert [site.contact(email).id for email in (ANN, BOB)] == ids and not renames(site)
    assert (site.contact(ANN).data["FIRSTNAME"], site.contact(BOB).data["FIRSTNAME"]) == ("Bob", "Ann")


@on_site()
async def test_two_who_change_places_wait_for_nothing_if_neither_has_a_contact(site: Site) -> None:
    site.publish(here(site, ANN, (BOB, 1), left=(BOB, 2)), here(site, BOB, (ANN, 2), left=(ANN, 1)))
    await site.pass_(30)
    await site.quiet()
    assert site.held(ANN) and site.held(BOB)


@on_site()
async def test_a_chain_of_moves_keeps_the_contact(site: Site) -> None:
    held = await known(site)
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1)))
    await site.quiet()
    site.publish(gone(site, ANN, EVE, 1), gone(site, BOB, EVE, 2), here(site, EVE, (BOB, 2), (ANN, 1)))
    await site.quiet()
    assert [site.held(email) for email in (ANN, BOB)] == [None, None]
    assert (site.contact(EVE).id, renames(site)) == (held.id, 2)


@on_site()
async def test_there_and_back_keeps_the_contact(site: Site) -> None:
    held = await known(site)
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1)))
    await site.quiet()
    site.publish(gone(site, BOB, ANN, 2), here(site, ANN, (BOB, 2)))
    await site.quiet()
    assert (site.contact(ANN).id, site.held(BOB), renames(site)) == (held.id, None, 2)


Departure = tuple[str, int]
Arrival = tuple[str, str, list[Departure]]
"""What comes to the outbox of an address: somebody has gone to another one, or is here who had one or two before."""

STEPS: dict[str, list[list[Arrival]]] = {
    "chain": [
        [(ANN, "gone", [(BOB, 1)]), (ANN, "gone", [(EVE, 1)])],
        [(BOB, "here", [(ANN, 1)]), (BOB, "gone", [(EVE, 2)])],
        [(EVE, "here", [(BOB, 2), (ANN, 1)])],
    ],
    "there and back": [
        [(ANN, "gone", [(BOB, 1)]), (ANN, "here", [(BOB, 2)])],
        [(BOB, "here", [(ANN, 1)]), (BOB, "gone", [(ANN, 2)])],
    ],
    "there, back and on": [
        [(ANN, "gone", [(BOB, 1)]), (ANN, "here", [(BOB, 2)]), (ANN, "gone", [(EVE, 3)])],
        [(BOB, "here", [(ANN, 1)]), (BOB, "gone", [(ANN, 2)]), (BOB, "gone", [(EVE, 2)])],
        [(EVE, "here", [(ANN, 3), (BOB, 2)])],
    ],
}
"""By address, what comes to the outbox of it, in order; what comes to different addresses may come in any order."""


def orders(steps: list[list[Arrival]]) -> list[list[Arrival]]:
    """Every order in which they may arrive."""
    lines = [line for line, ones in enumerate(steps) for _ in ones]
    found = []
    for order in sorted(set(permutations(lines))):
        waiting = [iter(ones) for ones in steps]
        found.append([next(waiting[line]) for line in order])
    return found


@pytest.mark.parametrize(
    ("what", "pause"),
    [*product(("chain", "there and back"), (0.0, 0.3, 8.0)), ("there, back and on", 0.3)],
)
@on_site()
async def test_in_every_order_of_arrival_one_contact_is_left_where_the_person_is(
    site: Site, *, what: str, pause: float
) -> None:
    kept = 0
    for number, order in enumerate(orders(STEPS[what])):
        names = {email: f"{number}-{email}" for email in (ANN, BOB, EVE)}
        held = await known(site, names[ANN])
        for email, kind, departures in order:
            others = [(names[other], at) for other, at in departures]
            change = gone(site, names[email], *others[0]) if kind == "gone" else here(site, names[email], *others)
            site.publish(change)
            await site.pass_(pause)
        await site.quiet()
        await site.pass_(20)
        await site.quiet()
        last = names[ANN if what == "there and back" else EVE]
        assert [email for email in names.values() if site.held(email)] == [last], order
        kept += site.contact(last).id == held.id
    assert kept == len(orders(STEPS[what])), kept


@pytest.mark.parametrize("signed_up", [False, True])
@on_site(settings={"readback_seconds": 60})
async def test_what_a_reading_saw_of_the_person_goes_along(site: Site, *, signed_up: bool) -> None:
    held = await known(site)
    await site.pass_(70)
    for status in ("subscribed", "unsubscribed") if signed_up else ():
        held.set_email_status(status, site.box.store.now())
        held.updated = site.box.store.now()
        await site.pass_(130)
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1)))
    await site.quiet()
    assert site.contact(BOB).id == held.id
    await site.restart()
    site.want(BOB, None)
    await site.quiet()
    assert (site.held(BOB) is not None) is signed_up, "whom nobody else has touched is ours to delete"
