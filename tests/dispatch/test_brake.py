"""The brake on mass removal, over the whole of dispatch: what goes by itself, what a person must decide, and what never waits."""

from streams.core.lanes import Lane
from streams.dispatch.outbox.blockers import RemovalState
from streams.messages.changes import ChangeKind, DesiredContact, DesiredRecord
from streams.messages.removal_kinds import RemovalDecisionChange
from streams.messages.removals import HeldRemovals, RemovalDecision, RemovalKind, read_held
from tests.dispatch.dispatch_harness import ANN, CATALOGUE, DAY, ORDERS, Site, on_site

MINUTE = {"brake_wait": 60.0}
MANY = [f"p{number:03}@example.com" for number in range(50)]
FEW, LOTS = MANY[:20], MANY[:21]


async def filled(site: Site, *emails: str) -> None:
    """Contacts of ours are in the account."""
    for email in emails:
        site.want(email)
    await site.quiet()
    assert all(site.held(email) for email in emails)


def left(site: Site, emails: list[str]) -> int:
    """How many of them are still there."""
    return sum(site.held(email) is not None for email in emails)


def shown(site: Site) -> dict[RemovalKind, HeldRemovals]:
    """What a person is shown: the latest record of each kind that is still held."""
    records = map(read_held, site.broker.published[site.topics.removals])
    return {kind: held for kind, held in {held.kind: held for held in records}.items() if held.count}


def decide(site: Site, kind: RemovalKind, *, released: bool) -> None:
    """A person decides on what is shown."""
    decision = RemovalDecision(kind, released, shown(site)[kind].upto)
    change = RemovalDecisionChange("*", kind, b"", Lane.URGENT, site.clock.now_ms(), decision)
    for partition in range(site.settings.partitions):
        site.broker.append(site.topics.desired, partition, [(None, site.topics.desired.pack([change]))])


def states(site: Site) -> dict[RemovalState, int]:
    found: dict[RemovalState, int] = {}
    for (_, state), count in site.dispatch.queue.removal_counts().items():
        found[state] = found.get(state, 0) + count
    return found


@on_site(settings=MINUTE)
async def test_few_removals_go_by_themselves_after_a_minute(site: Site) -> None:
    await filled(site, *MANY)
    for email in FEW:
        site.want(email, None)
    await site.pass_(55)
    assert left(site, FEW) == len(FEW)
    await site.until(lambda: not left(site, FEW))
    assert not shown(site)
    assert not states(site)


@on_site(settings=MINUTE)
async def test_one_more_than_the_limit_holds_all_of_them_and_nothing_else(site: Site) -> None:
    await filled(site, *MANY)
    for email in LOTS:
        site.want(email, None)
    site.want(MANY[30], "Other")
    await site.until(lambda: shown(site))
    await site.pass_(3600)
    assert left(site, MANY) == len(MANY)
    assert site.contact(MANY[30]).data["FIRSTNAME"] == "Other"
    held = shown(site)[RemovalKind.CONTACTS]
    assert (held.count, held.present) == (len(LOTS), len(MANY) - len(LOTS))
    assert set(held.examples) <= set(LOTS)
    assert held.examples
    assert not +site.dispatch.queue.counts(), "what waits for a person is no backlog"


@on_site(settings=MINUTE)
async def test_what_a_person_releases_goes_and_counts_no_more(site: Site) -> None:
    await filled(site, *MANY)
    for email in LOTS:
        site.want(email, None)
    await site.until(lambda: shown(site))
    decide(site, RemovalKind.CONTACTS, released=True)
    await site.until(lambda: not left(site, LOTS))
    assert not shown(site)
    for email in MANY[40:]:
        site.want(email, None)
    await site.until(lambda: not left(site, MANY[40:]))
    assert left(site, MANY) == len(MANY) - len(LOTS) - 10


async def lots_discarded(site: Site) -> None:
    """Of many contacts lots were to leave, and a person discarded that."""
    await filled(site, *MANY)
    for email in LOTS:
        site.want(email, None)
    await site.until(lambda: shown(site))
    decide(site, RemovalKind.CONTACTS, released=False)
    await site.until(lambda: not shown(site))


@on_site(settings=MINUTE)
async def test_what_a_person_discards_stays_until_orderwise_wants_something_else(site: Site) -> None:
    await lots_discarded(site)
    await site.restart()
    await site.pass_(3600)
    assert left(site, LOTS) == len(LOTS)
    assert states(site) == {RemovalState.DISCARDED: len(LOTS)}
    site.want(LOTS[0], "Back")
    await site.until(lambda: site.contact(LOTS[0]).data["FIRSTNAME"] == "Back")
    site.want(LOTS[0], None)
    await site.until(lambda: site.held(LOTS[0]) is None)
    assert left(site, LOTS) == len(LOTS) - 1


@on_site(settings=MINUTE)
async def test_a_decision_is_on_what_was_shown_and_not_on_what_came_since(site: Site) -> None:
    await filled(site, *MANY)
    for email in LOTS:
        site.want(email, None)
    await site.until(lambda: shown(site))
    site.want(MANY[30], None)
    await site.pass_(1)
    decide(site, RemovalKind.CONTACTS, released=True)
    await site.until(lambda: not left(site, LOTS))
    await site.pass_(30)
    assert site.held(MANY[30]), "it is counted anew first"
    await site.until(lambda: site.held(MANY[30]) is None)


@on_site(settings=MINUTE)
async def test_held_removals_whose_cause_is_taken_back_are_discarded_by_themselves(site: Site) -> None:
    await filled(site, *MANY)
    for email in LOTS:
        site.want(email, None)
    await site.until(lambda: shown(site))
    for email in LOTS:
        site.want(email, "Ann")
    await site.until(lambda: not shown(site))
    await site.pass_(600)
    assert left(site, MANY) == len(MANY)
    assert not states(site)
    for email in FEW:
        site.want(email, None)
    await site.until(lambda: not left(site, FEW))


@on_site(settings=MINUTE)
async def test_what_is_wanted_again_after_it_was_discarded_lets_no_later_removals_slip_through(site: Site) -> None:
    await lots_discarded(site)
    others = MANY[len(LOTS) : 2 * len(LOTS)]
    for email in others:
        site.want(email, None)
    await site.pass_(5)
    for email in LOTS:
        site.want(email, "Ann")
    await site.until(lambda: shown(site))
    await site.pass_(600)
    assert left(site, MANY) == len(MANY)
    assert shown(site)[RemovalKind.CONTACTS].count == len(others)


@on_site(settings=MINUTE)
async def test_a_hold_survives_restarts_and_what_waits_joins_it(site: Site) -> None:
    await filled(site, *MANY)
    for email in LOTS:
        site.want(email, None)
    await site.pass_(5)
    await site.restart()
    await site.until(lambda: shown(site))
    await site.restart()
    site.want(MANY[30], None)
    await site.until(lambda: shown(site)[RemovalKind.CONTACTS].count == len(LOTS) + 1)
    await site.restart()
    await site.pass_(1000)
    assert left(site, MANY) == len(MANY)
    decide(site, RemovalKind.CONTACTS, released=True)
    await site.restart()
    await site.until(lambda: left(site, MANY) == len(MANY) - len(LOTS) - 1)


@on_site(settings=MINUTE)
async def test_removals_that_trickle_are_held_over_a_day(site: Site) -> None:
    await filled(site, *MANY)
    for start in range(0, 25, 5):
        for email in MANY[start : start + 5]:
            site.want(email, None)
        await site.pass_(1200)
    assert left(site, MANY) == len(MANY) - 20, "the twenty-first is more than 20 and more than 3 % of a day"
    assert shown(site)[RemovalKind.CONTACTS].count == 5


@on_site(settings=MINUTE)
async def test_erasures_moves_and_opt_outs_wait_for_nobody(site: Site) -> None:
    for email in MANY:
        site.want(email, opted=True)
    await site.quiet()
    assert {site.contact(email).email_status for email in MANY} == {"subscribed"}
    for email in LOTS[:10]:
        site.erase(email)
    for email in LOTS[10:]:
        wanted = DesiredContact(None, None, (f"new-{email}",))
        site.publish(site.change(ChangeKind.DESIRED_CONTACT, email, 0, wanted))
    for email in MANY[21:]:
        site.want(email, opted=False)
    await site.quiet()
    assert left(site, LOTS) == 0
    assert {site.contact(email).email_status for email in MANY[21:]} == {"unsubscribed"}
    await site.pass_(300)
    assert not shown(site)


@on_site(settings=MINUTE)
async def test_records_and_items_are_counted_by_themselves_and_a_move_of_a_record_is_none(site: Site) -> None:
    await filled(site, ANN, *MANY[:3])
    for number in range(25):
        site.record(f"A{number}")
        site.record(f"B{number}")
        site.item(number)
    await site.quiet()
    for number in range(25):
        site.publish(site.change(ChangeKind.DESIRED_RECORD, ANN, f"A{number}", DesiredRecord(b"", number, moved=True)))
        site.publish(site.change(ChangeKind.DESIRED_RECORD, ANN, f"B{number}", DesiredRecord(b"", number)))
    for number in range(15):
        site.publish(site.change(ChangeKind.DESIRED_CATALOGUE, str(number), str(number), None))
    await site.until(lambda: shown(site))
    await site.quiet()
    assert {key[0] for key in site.records(ORDERS)} == {"B"}
    assert len(site.records(ORDERS)) == 25
    assert len(site.records(CATALOGUE)) == 10
    assert set(shown(site)) == {RemovalKind.RECORDS}


@on_site(settings=MINUTE)
async def test_places_on_the_list_that_a_lost_despatch_takes_away_are_held_and_those_whose_time_is_over_are_not(
    site: Site,
) -> None:
    for email in MANY[:25]:
        site.want(email, despatched=site.now)
    for email in MANY[25:]:
        site.want(email, despatched=site.now - 30 * DAY + 600)
    await site.quiet()
    assert all(map(site.listed, MANY))
    for email in MANY[:25]:
        site.want(email)
    await site.until(lambda: shown(site))
    await site.pass_(900)
    assert [site.listed(email) for email in MANY] == [True] * 25 + [False] * 25
    assert set(shown(site)) == {RemovalKind.LIST}
    decide(site, RemovalKind.LIST, released=True)
    await site.until(lambda: not any(map(site.listed, MANY)))


@on_site(settings=MINUTE | {"brake_least": 2, "brake_share": 0.5, "brake_most": 30, "brake_day_share": 1.0})
async def test_every_limit_is_a_setting(site: Site) -> None:
    await filled(site, *MANY)
    for email in MANY[:25]:
        site.want(email, None)
    await site.until(lambda: not left(site, MANY[:25]))
    site.want(MANY[25], None)
    await site.until(lambda: shown(site))
    assert left(site, MANY) == 25
