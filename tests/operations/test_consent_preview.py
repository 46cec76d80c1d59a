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
    "twice@shop.co.uk": Effect.NONE,
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
    assert {person.address: person.effect for person in concerned(database)} == EXPECTED


async def test_people_are_keyed_hashes_unless_personal_data_are_asked_for(database: sqlite3.Connection) -> None:
    await filled(database)
    counts, shown = _summary(database, 1, b"key")
    assert (counts[Effect.UNSUBSCRIBED], counts[Effect.NONE], len(shown)) == (2, 4, 4)
    assert not any("@" in str(value) or "thanks" in str(value) for person in shown for value in person.values())
    _, shown = _summary(database, 20, None)
    assert {person["who"] for person in shown} >= {"out@shop.co.uk", "odd@shop.co.uk"}
    assert "no thanks" in {person["words"] for person in shown}
