"""Whom the words in the consent column concern, by the rows and the account; nobody's address is shown unless asked for."""

import sqlite3
from collections.abc import AsyncIterator, Iterator

import pytest

from streams.cli.consent import _summary
from streams.dotdigital.contact_calls import Contact
from streams.dotdigital.contact_pages import ContactPage
from streams.operations.consent_preview import Effect, concerned, read_account
from streams.operations.systems_audit.database import audit_database
from streams.operations.systems_audit.gather import Gatherer
from tests.capture.records import ROWS as ROWS_OF_TABLES
from tests.operations.test_systems_audit import SITE, Plants


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with audit_database(SITE) as made:
        yield made


async def pages(statuses: dict[str, str]) -> AsyncIterator[ContactPage]:
    contacts = tuple(Contact(number, status, email) for number, (email, status) in enumerate(statuses.items()))
    yield ContactPage(contacts[:1], "more")
    yield ContactPage(contacts[1:], None)


ROWS: dict[str, list[str | None]] = {
    "out@shop.co.uk": ["0"],
    "both@shop.co.uk": ["1", "0"],
    "in@shop.co.uk": ["1"],
    "left@shop.co.uk": ["1"],
    "odd@shop.co.uk": ["No thanks"],
    "odd-gone@shop.co.uk": ["No thanks"],
    "silent@shop.co.uk": [None],
    "new@shop.co.uk": ["1", None],
    "new-out@shop.co.uk": ["0"],
    "twice@shop.co.uk": ["No thanks", "1"],
    "blank@shop.co.uk": ["1", " "],
}
ACCOUNT = {
    "out@shop.co.uk": "subscribed",
    "both@shop.co.uk": "pendingoptin",
    "in@shop.co.uk": "subscribed",
    "left@shop.co.uk": "unsubscribed",
    "odd@shop.co.uk": "subscribed",
    "odd-gone@shop.co.uk": "suppressed",
    "silent@shop.co.uk": "subscribed",
    "twice@shop.co.uk": "subscribed",
    "blank@shop.co.uk": "subscribed",
    "other@shop.co.uk": "subscribed",
}
EXPECTED = {
    "out@shop.co.uk": Effect.UNSUBSCRIBED,
    "both@shop.co.uk": Effect.UNSUBSCRIBED,
    "in@shop.co.uk": Effect.NONE,
    "left@shop.co.uk": Effect.CONFLICT,
    "odd@shop.co.uk": Effect.UNKNOWN_WORD,
    "odd-gone@shop.co.uk": Effect.NONE,
    "silent@shop.co.uk": Effect.NONE,
    "new@shop.co.uk": Effect.CREATED_SUBSCRIBED,
    "new-out@shop.co.uk": Effect.CREATED_UNSUBSCRIBED,
    "twice@shop.co.uk": Effect.UNKNOWN_WORD,
    "blank@shop.co.uk": Effect.NONE,
}


async def filled(database: sqlite3.Connection) -> None:
    plants, gatherer = Plants({"customer_contact": {"1": {}}}), Gatherer(SITE, database)
    for email, words in ROWS.items():
        for word in words:
            plants.person(1, email, cc_marketing_opt_in=word)
    for table, record in plants.records:
        gatherer.add(table, record)
    assert not gatherer.tables["customer_contact"].unreadable
    assert await read_account(pages(ACCOUNT), database, lambda _: None) == len(ACCOUNT)


async def test_each_address_has_the_effect_of_all_its_words(database: sqlite3.Connection) -> None:
    await filled(database)
    assert {person.address: person.effect for person in concerned(database, 5)} == EXPECTED


async def test_people_are_keyed_hashes_unless_personal_data_are_asked_for(database: sqlite3.Connection) -> None:
    await filled(database)
    counts, shown = _summary(concerned(database, 5), 1, b"key")
    assert (counts[Effect.UNSUBSCRIBED], counts[Effect.NONE], len(shown)) == (2, 4, 4)
    assert not any("@" in str(value) or "thanks" in str(value) for person in shown for value in person.values())
    _, shown = _summary(concerned(database, 5), 20, None)
    assert {person["who"] for person in shown} >= {"out@shop.co.uk", "odd@shop.co.uk"}
    assert "no thanks" in {person["words"] for person in shown}


RELAYED, EXCLUDED, BOTH = "x1@marketplace.amazon.co.uk", "staff@shop.co.uk", "staff-too@shop.co.uk"
SHARED, OWN, NO_ACCOUNT, ORPHAN = "shared@shop.co.uk", "own@shop.co.uk", "early@shop.co.uk", "orphan@shop.co.uk"


@pytest.mark.parametrize("word", ["1", "0", "No thanks"])
@pytest.mark.parametrize("status", [None, "subscribed", "unsubscribed"])
async def test_whom_exclusions_and_shared_addresses_concern(word: str, status: str | None) -> None:
    plants = Plants({"customer_contact": {"1": {}}, "customer_detail": {"1": ROWS_OF_TABLES["customer_detail"]}})
    accounts = [plants.row("customer_detail", cd_statement_email=OWN, cd_invoice_email=None) for _ in range(5)]
    staff = plants.customer()
    for customer, email in [
        (accounts[0], RELAYED),
        (staff, EXCLUDED),
        (staff, BOTH),
        (accounts[0], BOTH),
        (7_777, NO_ACCOUNT),
        (0, ORPHAN),
        (0, BOTH),
        (accounts[4], OWN),
        *((account, SHARED) for account in accounts[:2]),
    ]:
        plants.person(customer, email, cc_marketing_opt_in=word)
    shared_by_two = SITE.exclude.model_copy(update={"accounts": frozenset({staff}), "shared_by": 2})
    site = SITE.model_copy(update={"exclude": shared_by_two})
    with audit_database(site) as database:
        gatherer = Gatherer(site, database)
        for table, record in plants.records:
            gatherer.add(table, record)
        there = {email: status for email in (RELAYED, EXCLUDED, BOTH, SHARED, OWN, NO_ACCOUNT, ORPHAN) if status is not None}
        await read_account(pages(there), database, lambda _: None)
        found = {person.address: person.effect for person in concerned(database, 2)}
    opts_out = Effect.UNSUBSCRIBED if (word, status) == ("0", "subscribed") else Effect.NONE
    usual = {
        (None, "1"): Effect.CREATED_SUBSCRIBED,
        (None, "0"): Effect.CREATED_UNSUBSCRIBED,
        (None, "No thanks"): Effect.CREATED_UNSUBSCRIBED,
        ("subscribed", "No thanks"): Effect.UNKNOWN_WORD,
        ("unsubscribed", "1"): Effect.CONFLICT,
    }.get((status, word), opts_out)
    waiting = Effect.NONE if status is None else usual
    expected = {RELAYED: opts_out, EXCLUDED: opts_out, BOTH: usual, SHARED: waiting, OWN: waiting}
    assert found == expected | {NO_ACCOUNT: waiting, ORPHAN: waiting}


async def test_an_account_whose_persons_have_addresses_shares_none_of_its_own() -> None:
    plants = Plants({"customer_contact": {"1": {}}, "customer_detail": {"1": ROWS_OF_TABLES["customer_detail"]}})
    for number in range(5):
        account = plants.row("customer_detail", cd_statement_email=OWN, cd_invoice_email=None)
        plants.person(account, OWN if number == 0 else f"person{number}@shop.co.uk", cc_marketing_opt_in="1")
    with audit_database(SITE) as database:
        gatherer = Gatherer(SITE, database)
        for table, record in plants.records:
            gatherer.add(table, record)
        await read_account(pages({}), database, lambda _: None)
        assert {person.effect for person in concerned(database, 2)} == {Effect.CREATED_SUBSCRIBED}
