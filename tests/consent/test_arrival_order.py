"""The same rows give the same status, whichever table came first, and however long the next one took."""

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.consent.consent_harness import HOUSE, World
from tests.consent.test_consent_stories import becomes, in_erp

EMAILS = ("a@example.com", "b@example.com")
DAY = 86_400.0
people = st.lists(
    st.tuples(st.sampled_from(EMAILS), st.sampled_from([1, 2, HOUSE]), st.sampled_from([True, False, None])), max_size=5
)
"""Contact rows: an address, the account, and what the ERP says of consent."""
orders = st.lists(st.sampled_from(EMAILS), max_size=2)


def statuses(
    people: list[tuple[str, int, bool | None]], orders: list[str], tables: tuple[str, ...], *, notified: bool
) -> list[str | None]:
    """What the account shows in the end if the tables are read in that order, each to its end before the next begins."""
    world = World(bin_days=0.0, wait=DAY)
    try:
        for table in tables:
            match table:
                case "accounts":
                    for account in (1, 2):
                        world.account(account)
                        world.settle()
                case "orders":
                    for number, email in enumerate(orders):
                        world.order(email, number + 1)
                        world.settle()
                case _:
                    for number, (email, account, opted) in enumerate(people):
                        world.person(number + 1, email, account, opted=opted)
                        world.settle()
                    if notified:
                        world.contacts_loaded()
            world.settle()
        if not notified:
            world.clock.advance(DAY)
        world.settle()
        return [world.status(email) for email in EMAILS]
    finally:
        world.close()


@settings(deadline=None, max_examples=12)
@given(people=people, orders=orders, notified=st.booleans())
def test_every_order_of_tables_gives_one_status(
    people: list[tuple[str, int, bool | None]], orders: list[str], notified: bool
) -> None:
    found = {
        tables: statuses(people, orders, tables, notified=notified) for tables in permutations(("accounts", "people", "orders"))
    }
    for email, *shown in zip(EMAILS, *found.values(), strict=True):
        words = {opted for place, _, opted in people if place == email}
        expected = "unsubscribed" if False in words else "subscribed" if True in words else "unsubscribed"
        there = bool(words) or email in orders
        assert set(shown) == {expected if there else None}, email


def test_a_refusal_moves_with_the_person_though_others_wait_at_the_old_address_for_the_first_load() -> None:
    world = World(bin_days=0.0, wait=365 * DAY)
    in_erp(world, EMAILS[0], opted=True)
    found = world.contact(EMAILS[0])
    assert found is not None
    world.box.store.bin(found)
    world.box.store.purge()
    world.order(EMAILS[0], 1)
    world.settle()
    world.box.store.create({"email": EMAILS[0]})
    becomes(world, EMAILS[0], "unsubscribed")
    in_erp(world, EMAILS[1], opted=True)
    assert world.status(EMAILS[1]) == "unsubscribed"
    world.close()


def test_nobody_is_created_early_at_an_address_that_somebody_left() -> None:
    world = World(bin_days=0.0, wait=365 * DAY)
    left, new = EMAILS
    for number in (1, 2):
        world.row(number, left, opted=None)
    world.settle()
    world.row(1, new, opted=True)
    world.settle()
    assert (world.status(left), world.status(new)) == (None, "subscribed")
    world.row(2, left, opted=True)
    world.settle()
    assert world.status(left) == "subscribed"
    world.close()


def refused_at(email: str) -> World:
    """Before the contact table's first load is over: a contact of Orderwise has refused in Dotdigital."""
    world = World(bin_days=0.0, wait=365 * DAY)
    in_erp(world, email, opted=True)
    becomes(world, email, "unsubscribed")
    return world


def test_a_refusal_that_came_along_waits_for_no_first_load_where_a_contact_is() -> None:
    left, new = EMAILS
    world = refused_at(left)
    world.box.store.create({"email": new})
    in_erp(world, new, opted=None)
    assert world.status(new) == "unsubscribed"
    world.close()


def test_a_refusal_that_came_along_to_nobody_creates_nobody_and_is_not_repeated() -> None:
    left, new = EMAILS
    world = refused_at(left)
    in_erp(world, new, opted=None)
    assert world.status(new) is None
    calls = world.box.store.log.total
    for _ in range(5):
        world.clock.advance(600)
        world.settle()
    assert world.box.store.log.total == calls
    world.contacts_loaded()
    world.settle()
    assert world.status(new) == "unsubscribed"
    world.close()
