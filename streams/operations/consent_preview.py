"""Whom the words in the consent column concern: the captured contact rows against the account as it is. Changes nothing.

By ``docs/delivery-rules.md`` section 8, of one address over all its contact rows. Exclusions and shared addresses, which hold
back data but no opt-out, are not looked at.
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
from streams.operations.systems_audit.gather import Gatherer, TableFacts

_ACCOUNT = "CREATE TABLE account (address TEXT PRIMARY KEY, status TEXT)"
_PEOPLE = """
SELECT a.address, MIN(p.opted), MAX(p.opted), GROUP_CONCAT(DISTINCT CASE WHEN p.opted IS NULL THEN p.word END), account.status
FROM addresses a JOIN people p ON p.id = a.id LEFT JOIN account ON account.address = a.address
WHERE a.source = 'contact' GROUP BY a.address ORDER BY a.address
"""


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
    Effect.NONE: "nothing changes",
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
) -> TableFacts:
    """Read the captured contact table up to where it ends now.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    gatherer, table = Gatherer(mapping, database), mapping.contact.table
    topic = mapping.topic(table)
    found = await partitions_of(kafka, [topic])
    places = [TopicPartition(topic, number) for number in found.get(topic, [])]
    async with committed_reader(kafka) as consumer:
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        total, read = sum(ends[place] - begins[place] for place in places), 0
        for place in places:
            async for record in read_span(consumer, place, begins[place], ends[place]):
                read += 1
                if record.value is not None:
                    gatherer.add(table, record)
                if read % 2_000 == 0:
                    report(read, total)
    return gatherer.tables[table.casefold()]


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


def concerned(database: sqlite3.Connection) -> Iterator[Concerned]:
    """Every address of a contact row, in order, with what follows for it."""
    for address, least, most, words, status in database.execute(_PEOPLE):
        opted = None if least is None else bool(least) and bool(most)
        yield Concerned(address, _effect(opted, words or "", status), words or "", status)


def _effect(opted: bool | None, words: str, status: str | None) -> Effect:
    if status is None:
        return Effect.CREATED_SUBSCRIBED if opted else Effect.CREATED_UNSUBSCRIBED
    if refused(status):
        return Effect.CONFLICT if opted else Effect.NONE
    if opted is False:
        return Effect.UNSUBSCRIBED
    return Effect.UNKNOWN_WORD if opted is None and words else Effect.NONE
