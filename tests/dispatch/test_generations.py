"""Generations of the joins beside each other: one is obeyed, what others want stands without effect until they are."""

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from streams.dispatch.outbox import generation_switch
from streams.mapping.delivery import RefundEvent
from tests.dispatch.dispatch_harness import ANN, BOB, CATALOGUE, Site, on_site
from tests.dispatch.generations import at_rest, begin, hold, hold_item, order, rows, shadows, switch, want_unreadable

EVENT: dict[str, Any] = {"follow_up": RefundEvent(kind="event", since=datetime(2026, 1, 1, tzinfo=UTC))}


async def shop(site: Site, name: str = "Ann") -> None:
    """Ann with two orders and a despatch, Bob with one order, a variant, and a credit note."""
    site.want(ANN, name, despatched=site.now)
    site.want(BOB, "Bob")
    site.record("O1")
    site.record("O2")
    site.record("O3", email=BOB)
    site.item(7)
    await site.quiet()
    site.credit(9)
    await site.quiet()


@on_site(delivery=EVENT)
async def test_what_another_generation_wants_has_no_effect(site: Site) -> None:
    await shop(site)
    await begin(site, 1)
    site.forget_calls()
    site.want(ANN, "Other")
    site.want("new@example.com", "New")
    site.record("O1", "other")
    site.record("O8")
    site.credit(8)
    site.item(7, "Other")
    await site.quiet()
    assert site.calls() == []
    site.generation = 0
    site.want(ANN, "Anna")
    await site.quiet()
    assert [call.content["dataFields"] for call in site.written()] == [{"FIRSTNAME": "Anna"}]


@on_site(delivery=EVENT)
async def test_a_generation_that_never_began_is_not_even_remembered(site: Site) -> None:
    site.generation = 3
    await shop(site)
    assert site.written() == []
    assert shadows(site) == []
    assert not site.broker.published[site.topics.dead_letters]


@on_site(delivery=EVENT)
async def test_a_switch_to_what_is_delivered_makes_no_call_and_forgets_nothing(site: Site) -> None:
    await shop(site)
    await begin(site, 1)
    await shop(site)
    site.forget_calls()
    await switch(site, 1, 1)
    assert site.calls() == []
    assert [row.active for row in rows(site)] == [1, 1]
    # The contact is still ours to delete, and its place on the list still ours to take.
    assert site.listed()
    site.want(ANN, None)
    await site.quiet()
    assert site.held() is None


@on_site(delivery=EVENT)
async def test_a_worker_that_dies_again_and_again_in_a_switch_and_on_the_way_back_makes_no_call(site: Site) -> None:
    await shop(site)
    await begin(site, 1)
    await shop(site)
    site.forget_calls()
    random, halfway, most = Random(1), 0, generation_switch._MOST
    generation_switch._MOST = 1  # each task is a slice
    try:
        for generation, number in ((1, 1), (0, 2)):
            order(site, "activate", generation, number)
            while any((row.active, row.number) != (generation, number) or row.busy for row in rows(site)):
                # From less than one unit takes to a few of them.
                await site.pass_(random.uniform(0.001, 0.03))
                halfway += any(row.busy for row in rows(site))
                await site.restart()
            await at_rest(site)
            assert site.calls() == []
            assert [row.active for row in rows(site)] == [generation] * 2
    finally:
        generation_switch._MOST = most
    assert halfway > len(rows(site)), "it died in the middle of switches"


@on_site(delivery=EVENT)
async def test_a_switch_makes_exactly_the_differences(site: Site) -> None:
    await shop(site)
    await begin(site, 1)
    site.want(ANN, "Anna", despatched=site.now)
    site.want(BOB, "Bob")
    site.record("O1", "changed")
    site.record("O2")
    site.record("O4", email=BOB)
    site.item(7)
    site.forget_calls()
    await switch(site, 1, 1)
    await site.until(lambda: site.asked_again(site.topics.of_generation(1).orders))
    # Only the new generation knows the content, and where else the order of a withdrawn record may show; nobody else is asked.
    assert sorted(site.asked_again(site.topics.of_generation(1).orders)) == [1, 3, 4]
    assert site.asked_again(site.topics.orders) == []
    site.record("O1", "changed")
    site.record("O4", email=BOB)
    await at_rest(site)
    assert site.records() == {"O1": "changed", "O2": "open", "O4": "open"}
    assert site.contact().data["FIRSTNAME"] == "Anna"
    writes = site.written()
    assert len(writes) == 4, "one contact, two records, and one that is withdrawn"


@on_site()
async def test_a_switch_that_would_withdraw_most_is_held_by_the_brake(site: Site) -> None:
    people = [f"p{number}@example.com" for number in range(200)]
    for email in people:
        site.want(email, "P")
    await site.quiet()
    await begin(site, 1)
    for email in people[:20]:
        site.want(email, "P")
    await site.quiet()
    site.forget_calls()
    order(site, "activate", 1, 1)
    await site.until(lambda: not any(row.busy for row in rows(site)) and rows(site)[0].number == 1)
    await site.pass_(30)
    assert site.written() == []
    assert all(site.held(email) for email in people)


@on_site(delivery=EVENT)
async def test_what_the_new_generation_holds_stays_as_it_was_delivered(site: Site) -> None:
    await shop(site)
    await begin(site, 1)
    site.want(ANN, "Ann", despatched=site.now)
    site.want(BOB, "Bob")
    site.record("O2")
    site.item(7)
    hold(site, 1)
    hold(site, 3)
    await site.quiet()
    site.forget_calls()
    await switch(site, 1, 1)
    assert site.calls() == []
    # Once it is known: one is nothing, the other is as it was.
    site.record("O1")
    hold(site, 1, held=False)
    hold(site, 3, held=False)
    await at_rest(site)
    assert site.records() == {"O1": "open", "O2": "open"}


@on_site()
async def test_a_catalogue_record_that_the_new_generation_cannot_work_out_stays_until_it_says_that_it_goes(site: Site) -> None:
    for variant in (7, 8, 9):
        site.item(variant)
    await site.quiet()
    await begin(site, 1)
    site.item(7)
    site.item(8, None)
    for variant in (8, 9):
        hold_item(site, variant)
    await site.quiet()
    site.forget_calls()
    await switch(site, 1, 1)
    assert site.calls() == []
    hold_item(site, 7)
    await at_rest(site)
    assert site.calls() == [] and site.records(CATALOGUE).keys() == {"7", "8", "9"}
    site.item(9, None)
    await at_rest(site)
    assert site.records(CATALOGUE).keys() == {"7", "8"}


@pytest.mark.parametrize("again", [False, True])
@on_site()
async def test_a_contact_that_only_a_held_order_names_stays_with_its_record(site: Site, *, again: bool) -> None:
    site.want(ANN)
    site.want(BOB)
    site.record("O1")
    site.record("O3", email=BOB)
    await site.quiet()
    await begin(site, 1)
    hold(site, 1)
    await site.quiet()
    await switch(site, 1, 1)
    assert site.held() is not None and site.held(BOB) is None
    assert site.records() == {"O1": "open"}
    # Once it is known: it is somebody's who is not here, or hers.
    if again:
        site.record("O1")
        site.want(ANN, "Anna")
    hold(site, 1, held=False)
    await at_rest(site)
    assert (site.held() is not None) is again and site.records() == ({"O1": "open"} if again else {})


@on_site()
async def test_a_contact_whose_address_no_row_has_any_more_that_can_be_read_stays_with_its_records(site: Site) -> None:
    want_unreadable(site, ANN)
    site.want(BOB, "Bob")
    site.record("O1")
    site.record("O3", email=BOB)
    await site.quiet()
    await begin(site, 1)
    site.want("other@example.com", "Other")
    await site.quiet()
    await switch(site, 1, 1)
    assert site.contact(ANN).data["FIRSTNAME"] == "Ann" and site.held(BOB) is None
    assert site.records() == {"O1": "open"}
    site.want(ANN, "Anna")
    await at_rest(site)
    assert site.contact(ANN).data["FIRSTNAME"] == "Anna"
    site.want(ANN, None)
    await at_rest(site)
    assert site.held(ANN) is None


@on_site(delivery=EVENT)
async def test_back_is_another_switch(site: Site) -> None:
    await shop(site)
    await begin(site, 1)
    site.want(ANN, "Anna", despatched=site.now)
    site.want(BOB, "Bob")
    site.record("O2")
    await switch(site, 1, 1)
    await at_rest(site)
    assert site.records() == {"O2": "open"}
    # The former generation goes on meanwhile.
    site.generation = 0
    site.want(BOB, "Bobby")
    await site.quiet()
    assert site.contact(BOB).data["FIRSTNAME"] == "Bob"
    await switch(site, 0, 2)
    for key, email in (("O1", ANN), ("O3", BOB)):
        site.record(key, email=email)
    site.item(7)
    await at_rest(site)
    assert (site.contact().data["FIRSTNAME"], site.contact(BOB).data["FIRSTNAME"]) == ("Ann", "Bobby")
    assert site.records() == {"O1": "open", "O2": "open", "O3": "open"}


@on_site(delivery=EVENT)
async def test_an_order_that_is_given_again_changes_nothing(site: Site) -> None:
    await shop(site)
    await begin(site, 1)
    await shop(site)
    await begin(site, 1)
    await switch(site, 1, 1)
    site.want(ANN, "Anna")
    await at_rest(site)
    site.forget_calls()
    order(site, "activate", 0, 1)
    order(site, "activate", 1, 1)
    await at_rest(site)
    assert [row.active for row in rows(site)] == [1, 1]
    assert site.calls() == []


@on_site(delivery=EVENT)
async def test_a_generation_that_is_dropped_leaves_nothing(site: Site) -> None:
    await shop(site)
    await begin(site, 1)
    await shop(site)
    hold(site, 4)
    await site.quiet()
    assert shadows(site)
    order(site, "drop", 1)
    await at_rest(site)
    assert shadows(site) == []
    site.want(ANN, "Other")
    await at_rest(site)
    assert shadows(site) == []
    assert [row.kept for row in rows(site)] == [(), ()]


@on_site(delivery=EVENT)
async def test_the_active_generation_is_never_dropped(site: Site) -> None:
    await shop(site)
    order(site, "drop", 0)
    site.want(ANN, "Anna")
    await at_rest(site)
    assert site.contact().data["FIRSTNAME"] == "Anna"


@on_site(delivery=EVENT)
async def test_nobody_is_in_what_is_kept_who_was_erased(site: Site) -> None:
    await shop(site)
    await begin(site, 1)
    await shop(site)
    site.generation = 0
    site.erase()
    await at_rest(site)
    site.generation = 1
    site.want(ANN, "Ann")
    site.record("O1")
    await site.quiet()
    assert not [key for key in shadows(site) if ANN.encode() in key]
    site.forget_calls()
    site.erase()
    await site.quiet()
    assert site.calls() == [], "the other generation passes on the same erasure"


@on_site(delivery=EVENT)
async def test_a_new_generation_learns_which_follow_ups_were_done(site: Site) -> None:
    await shop(site)
    topic = site.topics.of_generation(1).orders
    await begin(site, 1)
    learned = [change.pk for value in site.broker.published[topic] for change in site.topics.orders.unpack(value)]
    assert 9 in learned
    site.generation = 0
    site.credit(10)
    await site.quiet()
    learned = [change.pk for value in site.broker.published[topic] for change in site.topics.orders.unpack(value)]
    assert 10 in learned


@pytest.mark.parametrize("seed", range(12))
@on_site()
async def test_at_rest_the_account_holds_what_the_active_generation_wants(site: Site, seed: int) -> None:
    random, number, most = Random(seed), 0, generation_switch._MOST
    generation_switch._MOST = 3
    people = [f"p{one}@example.com" for one in range(8)]
    wanted: dict[int, dict[str, str | None]] = {0: {}, 1: {}, 2: {}}
    records: dict[int, dict[str, str | None]] = {0: {}, 1: {}, 2: {}}
    try:
        order(site, "begin", 1)
        order(site, "begin", 2)
        for _ in range(60):
            site.generation = random.choice((0, 1, 2))
            email, word = random.choice(people), random.choice(("A", "B", "C", None))
            match random.randrange(10):
                case 0:
                    number += 1
                    order(site, "activate", random.choice((0, 1, 2)), number)
                case 1:
                    # Only a worker that runs can be stopped.
                    await site.pass_(0.05)
                    await site.restart()
                case 2:
                    await site.pass_(random.choice((0.01, 0.1, 5)))
                case one if one < 6:
                    key = f"O{people.index(email) + 1}"
                    records[site.generation][key] = word
                    site.record(key, word, email)
                case _:
                    wanted[site.generation][email] = word
                    site.want(email, word)
        await at_rest(site)
        active = {row.active for row in rows(site)}
        assert len(active) == 1, "every partition gets every order"
        (site.generation,) = active
        for key, word in records[site.generation].items():
            # It is asked for what is missing, and says it again.
            site.record(key, word, people[int(key[1:]) - 1])
        await site.pass_(600)
        await at_rest(site)
        mine = {email: word for email, word in wanted[site.generation].items() if word is not None}
        held = {email: contact.data["FIRSTNAME"] for email in people if (contact := site.held(email)) is not None}
        assert held == mine
        assert site.open_parked() == {}
        assert site.records() == {
            key: word for key, word in records[site.generation].items() if word is not None and people[int(key[1:]) - 1] in mine
        }
    finally:
        generation_switch._MOST = most


@on_site(delivery=EVENT)
async def test_what_has_no_effect_is_no_change_on_its_way(site: Site) -> None:
    def joined() -> float:
        found = site.metrics.registry.get_sample_value("owdd_change_step_seconds_count", {"step": "joined", "lane": "live"})
        return found or 0

    await shop(site)
    await begin(site, 1)
    before = joined()
    assert before
    site.want(ANN, "Other")
    site.record("O1", "other")
    await site.quiet()
    assert joined() == before
    site.generation = 0
    site.want(ANN, "Anna")
    await site.quiet()
    assert joined() == before + 1
