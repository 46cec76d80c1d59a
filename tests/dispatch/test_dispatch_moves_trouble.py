"""A contact that goes along with its person, while workers die, responses are lost, people are erased and imports run."""

import pytest

from streams.domain.moves import MOST_WAIT_MS
from tests.dispatch.bulk_contacts import BUDGET, PEOPLE, READING, ask, delivered, under_way
from tests.dispatch.dispatch_harness import ANN, BOB, CONTACT, Site, on_site
from tests.dispatch.test_dispatch_moves import gone, here, known, renames

_STEP = 0.06
_STEPS = 24
"""Virtual seconds between two moments that are tried, and how many; a move takes less than a second and a half."""


async def rest(site: Site) -> None:
    """Wait until nothing more comes of anything."""
    await site.quiet()
    await site.pass_(20)
    await site.quiet()


@on_site()
async def test_whenever_a_worker_dies_the_contact_goes_along(site: Site) -> None:
    for step in range(_STEPS):
        old, new = f"{step}-{ANN}", f"{step}-{BOB}"
        held = await known(site, old)
        held.email_status = "subscribed"
        site.publish(gone(site, old, new, 1), here(site, new, (old, 1)))
        await site.pass_(step * _STEP)
        await site.restart()
        await rest(site)
        assert (site.contact(new).id, site.held(old)) == (held.id, None), step
        assert site.contact(new).email_status == "subscribed"


@on_site()
async def test_whenever_a_worker_dies_nobody_waits_for_a_contact_that_never_was(site: Site) -> None:
    for step in range(_STEPS // 2):
        old, new = f"{step}-{ANN}", f"{step}-{BOB}"
        site.publish(here(site, old))
        await site.pass_(step * _STEP / 2)
        site.publish(gone(site, old, new, 1), here(site, new, (old, 1)))
        # Until what was answered before is read, the new worker does not know whether a call for it is under way.
        await site.restart()
        await rest(site)
        assert site.held(old) is None, step
        assert site.held(new) is not None, step


@on_site()
async def test_a_call_whose_response_was_lost_is_recognised(site: Site) -> None:
    held = await known(site)
    held.email_status = "subscribed"
    site.forget_calls()
    site.publish(gone(site, ANN, BOB, 1), here(site, BOB, (ANN, 1), opted=False))
    await site.until(lambda: site.calls("GET", CONTACT))
    site.box.faults.update({"next": ["lost_reply"]})
    await rest(site)
    assert (site.contact(BOB).id, site.held(ANN), site.contact(BOB).email_status) == (held.id, None, "unsubscribed")
    assert renames(site) == 0, "the only one was not answered"


@pytest.mark.parametrize("erased", [ANN, BOB])
@on_site()
async def test_whenever_somebody_is_erased_nobody_is_left_there_and_nobody_waits(site: Site, *, erased: str) -> None:
    for step in range(_STEPS):
        names = {email: f"{step}-{email}" for email in (ANN, BOB)}
        await known(site, names[ANN])
        site.publish(gone(site, names[ANN], names[BOB], 1), here(site, names[BOB], (names[ANN], 1)))
        await site.pass_(step * _STEP)
        site.erase(names[erased])
        await rest(site)
        assert site.held(names[ANN]) is None, step
        assert (site.held(names[BOB]) is None) == (erased == BOB), step


@pytest.mark.parametrize("side", ["old", "new"])
@on_site()
async def test_nobody_waits_for_ever_for_an_address_that_says_nothing(site: Site, *, side: str) -> None:
    held = await known(site)
    site.publish(gone(site, ANN, BOB, 1) if side == "old" else here(site, BOB, (ANN, 1)))
    await site.pass_(60)
    assert (site.held(ANN) is held, site.held(BOB)) == (True, None)
    await site.pass_(MOST_WAIT_MS / 1000)
    await rest(site)
    assert (site.held(ANN) is None, site.held(BOB) is not None) == (side == "old", side == "new")
    site.publish(here(site, BOB, (ANN, 1)) if side == "old" else gone(site, ANN, BOB, 1))
    await rest(site)
    assert site.held(ANN) is None and site.held(BOB) is not None


@on_site(settings=BUDGET)
async def test_an_import_that_has_the_old_address_is_over_first(site: Site) -> None:
    await delivered(site)
    ask(site, "Q")
    await site.until(lambda: under_way(site))
    held = [(email, site.contact(email).id) for email in PEOPLE]
    for email in PEOPLE:
        site.publish(gone(site, email, f"new-{email}", 1), here(site, f"new-{email}", (email, 1)))
    await rest(site)
    assert [(email, site.contact(f"new-{email}").id) for email in PEOPLE] == held
    assert not [email for email in PEOPLE if site.held(email)]


@pytest.mark.parametrize("fault", [None, "import_failed", "import_stuck"])
@pytest.mark.parametrize("new_first", [False, True])
@on_site(settings=READING)
async def test_an_import_that_creates_the_new_address_and_the_move_do_not_wait_for_each_other(
    site: Site, *, new_first: bool, fault: str | None
) -> None:
    # Nobody is created in bulk before the account was read: without a reading this import never begins.
    await delivered(site)
    site.box.faults.update({"next_import": [fault] if fault else []})
    new = {email: f"new-{email}" for email in PEOPLE}
    ask(site, "N", new.values())
    await site.until(lambda: under_way(site))
    left = [gone(site, email, new[email], 1) for email in PEOPLE]
    arrived = [here(site, new[email], (email, 1)) for email in PEOPLE]
    for changes in (arrived, left) if new_first else (left, arrived):
        site.publish(*changes)
        await site.pass_(2)
    assert under_way(site)
    await rest(site)
    assert [email for email in PEOPLE if site.held(email)] == [], "nobody waits until patience ends"
    assert {site.contact(email).data["FIRSTNAME"] for email in new.values()} == {"Ann"}
    assert renames(site) == 0, "the import may have created the contact before anybody asks"
