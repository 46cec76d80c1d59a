"""Whom the words in the consent column concern: captured contacts and accounts against Dotdigital as it is. Changes nothing.

By ``docs/delivery-rules.md`` section 8, of one address over all its contact rows. Of a row that the mapping excludes only an
opt-out counts. Nobody is created at an address that only such rows name, that is shared by many accounts, or whose account is
not here.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiokafka import TopicPartition

from streams.domain.consent import refused
from streams.dotdigital.contact_pages import ContactPage
from streams.kafka.reader import committed_reader, partitions_of, read_span
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping
from streams.operations.systems_audit.database import add_indexes
from streams.operations.systems_audit.gather import Gatherer, TableFacts

_ACCOUNT = "CREATE TABLE account (address TEXT PRIMARY KEY, status TEXT)"
_PEOPLE = """
WITH named AS (
  SELECT a.address, a.customer, p.opted, p.word, h.id IS NOT NULL AS house, h.id IS NOT NULL OR c.id IS NOT NULL AS here,
    a.excluded OR (h.id IS NULL AND COALESCE(c.excluded, 0)) AS excluded
  FROM addresses a JOIN people p ON p.id = a.id
    LEFT JOIN customers c ON c.id = a.customer LEFT JOIN house h ON h.id = a.customer
  WHERE a.source = 'contact'
), owned AS (
  SELECT address, customer FROM named WHERE here AND NOT house AND NOT excluded
  UNION SELECT a.address, a.id FROM addresses a JOIN customers c ON c.id = a.id LEFT JOIN house h ON h.id = a.id
  WHERE a.source = 'customer' AND NOT c.excluded AND h.id IS NULL AND NOT EXISTS (
    SELECT 1 FROM people p JOIN addresses b ON b.source = 'contact' AND b.id = p.id WHERE p.customer = a.id AND NOT b.excluded)
), owners AS (SELECT address, COUNT(*) AS accounts FROM owned GROUP BY address)
SELECT n.address, MAX(n.opted = 0), MAX(NOT n.excluded AND n.opted),
  MIN(n.excluded OR n.customer IS NULL) OR MAX(NOT n.excluded AND NOT n.here AND n.customer IS NOT NULL),
  COALESCE(o.accounts, 0),
  GROUP_CONCAT(DISTINCT CASE WHEN n.opted IS NULL AND NOT n.excluded THEN NULLIF(n.word, '') END), account.status
FROM named n LEFT JOIN owners o ON o.address = n.address LEFT JOIN account ON account.address = n.address
GROUP BY n.address ORDER BY n.address
"""
"""A row without an account creates nobody, and holds up nobody else. ``named``: the answers at each address. ``owned``: the
accounts that count towards a shared address, by their persons or, if these have no address, by themselves."""


class Effect(StrEnum):
    """What follows from the words of one address, the most urgent first."""

    UNSUBSCRIBED = "unsubscribed"
    UNKNOWN_WORD = "unknown_word"
    CONFLICT = "conflict"
    CREATED_SUBSCRIBED = "created_subscribed"
    CREATED_UNSUBSCRIBED = "created_unsubscribed"
    NONE = "none"

    @property
    def meaning(self) -> str:
        """For people."""
        return _MEANINGS[self]


_MEANINGS = {
    Effect.UNSUBSCRIBED: "subscribed in Dotdigital, and out: unsubscribed",
    Effect.UNKNOWN_WORD: "subscribed in Dotdigital, and a word that the mapping does not know: nothing, a person decides",
    Effect.CONFLICT: "in, and unsubscribed or suppressed in Dotdigital: nothing, a person decides",
    Effect.CREATED_SUBSCRIBED: "in, and not in Dotdigital: created subscribed",
    Effect.CREATED_UNSUBSCRIBED: "not in, and not in Dotdigital: created unsubscribed",
    Effect.NONE: "nothing changes; also: excluded, shared or without its account, and not in Dotdigital",
}

CHANGING = (Effect.UNSUBSCRIBED, Effect.CONFLICT, Effect.UNKNOWN_WORD, Effect.CREATED_SUBSCRIBED)
"""What is another because of the words, or waits for a person."""


@dataclass(frozen=True, slots=True)
class Concerned:
    """One address, what follows for it, and the unknown words of its rows, joined by commas."""

    address: str
    effect: Effect
    words: str
    status: str | None


async def read_rows(
    kafka: KafkaConfig, mapping: Mapping, database: sqlite3.Connection, report: Callable[[int, int], None]
) -> list[TableFacts]:
    """Read the captured contact table and that of accounts up to where they end now; what was read of each.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    gatherer = Gatherer(mapping, database)
    tables = {mapping.topic(table): table for table in (mapping.contact.table, mapping.customer.table)}
    found = await partitions_of(kafka, [*tables])
    places = [TopicPartition(topic, number) for topic, numbers in found.items() for number in numbers]
    async with committed_reader(kafka) as consumer:
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        total, read = sum(ends[place] - begins[place] for place in places), 0
        for place in places:
            async for record in read_span(consumer, place, begins[place], ends[place]):
                read += 1
                if record.value is not None:
                    gatherer.add(tables[place.topic], record)
                if read % 2_000 == 0:
                    report(read, total)
    add_indexes(database)
    return [gatherer.tables[table.casefold()] for table in tables.values()]


async def read_account(pages: AsyncIterator[ContactPage], database: sqlite3.Connection, report: Callable[[int], None]) -> int:
    """Read every contact's status; how many there are.

    Raises:
        DotdigitalError: a call failed.
    """
    database.execute(_ACCOUNT)
    count = 0
    async for page in pages:
        rows: list[tuple[Any, ...]] = [(contact.email, contact.email_status) for contact in page.contacts if contact.email]
        database.executemany("INSERT OR REPLACE INTO account VALUES (?, ?)", rows)
        count += len(rows)
        report(count)
    return count


def concerned(database: sqlite3.Connection, shared_by: int) -> Iterator[Concerned]:
    """Every address of a contact row, in order, with what follows for it; so many accounts (``shared_by``) share an address."""
    for address, out, opted_in, held, accounts, words, status in database.execute(_PEOPLE):
        opted = False if out else True if opted_in else None
        held = held or accounts >= shared_by
        effect = Effect.NONE if held and status is None else _effect(opted, words or "", status)
        yield Concerned(address, effect, words or "", status)


def _effect(opted: bool | None, words: str, status: str | None) -> Effect:
    if status is None:
        return Effect.CREATED_SUBSCRIBED if opted else Effect.CREATED_UNSUBSCRIBED
    if refused(status):
        return Effect.CONFLICT if opted else Effect.NONE
    if opted is False:
        return Effect.UNSUBSCRIBED
    # Also beside an "in" of another row: the word may mean out.
    return Effect.UNKNOWN_WORD if words else Effect.NONE
