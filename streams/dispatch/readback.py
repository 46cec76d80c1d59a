"""Read-back: what Dotdigital says of its contacts, fed into ``desired`` as if it were one more source.

First every contact is listed, then again and again those that changed since the last reading, less an overlap for clocks that
differ and changes that were under way. A page holds 5,000 contacts, so a million cost 200 calls, all of them in the bulk lane.

The listing filters by modification, and nothing published says that an unsubscribe by a click, a complaint or a suppression
modifies a contact. So v2's lists of who unsubscribed and who was suppressed since are read as well; the first reading does
without them, because it sees every contact's status.

One worker reads for all: the one that has partition 0 of the outbox. When everything that was read is durable, a mark says so
in every partition, so any one mark is proof of the whole reading, and a restart goes on from there. A listing that fails goes
on at its last page.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

import structlog

from streams.core.backoff import RetryPolicy
from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.domain.consent import refused
from streams.domain.versioned import version_bytes
from streams.dotdigital.contact_calls import Contact
from streams.dotdigital.contact_pages import ContactPage
from streams.dotdigital.errors import DataError, DotdigitalError, ThrottledError
from streams.dotdigital.suppression import Removal
from streams.engine.unit_of_work import packed
from streams.kafka.producer import BatchProducer
from streams.messages.changes import EVERYWHERE, ContactObserved, ReadbackWatermark, partition_of
from streams.messages.kinds import ContactObservedChange, DesiredChange, ReadbackWatermarkChange
from streams.messages.topics import ChangeTopic
from streams.observability.metrics import Metrics

log = structlog.get_logger()

OVERLAP = 300
"""Seconds before the last mark from which a reading starts."""
_LOOK_SECONDS = 5.0
"""How often a worker looks whether a reading is due, and whether it is the one to make it."""


class Listings(Protocol):
    """The calls that list contacts; times are UTC epoch seconds."""

    def contacts_since(self, modified: int | None, *, marker: str | None = None) -> AsyncIterator[ContactPage]:
        """Contacts that changed since then, or all; from ``marker`` on."""

    def unsubscribed_since(self, moment: int) -> AsyncIterator[tuple[Removal, ...]]:
        """Who unsubscribed since then."""

    def suppressed_since(self, moment: int) -> AsyncIterator[tuple[Removal, ...]]:
        """Who was suppressed since then."""


@dataclass(slots=True)
class _Reading:
    """A reading under way: its number, when it began, from when on it reads (None: all), and how far it is."""

    number: int
    upto: int
    since: int | None
    marker: str | None = None
    listed: bool = False


@dataclass(frozen=True, slots=True)
class ReadbackTopic:
    """Where readings are written: all partitions of the topic ``desired``."""

    producer: BatchProducer
    desired: ChangeTopic[DesiredChange]
    partitions: int


@dataclass(frozen=True, slots=True)
class ReadbackTurn:
    """Whose turn it is to read, and when.

    ``interval`` in seconds, 0: never. ``leads``: this worker is the one. ``watermark``: the oldest watermark in its partitions
    (UTC epoch seconds); None while one of them has none.
    """

    interval: float
    leads: Callable[[], bool]
    watermark: Callable[[], int | None]


class Readback:
    """Reads for the whole application, with the ``listings`` of the client's bulk lane."""

    def __init__(
        self,
        listings: Listings,
        topic: ReadbackTopic,
        turn: ReadbackTurn,
        clock: Clock,
        metrics: Metrics,
        rng: Random | None = None,
    ) -> None:
        self._listings = listings
        self._topic = topic
        self._turn = turn
        self._clock = clock
        self._metrics = metrics
        self._retry, self._failures = RetryPolicy(base=2.0), 0
        self._rng = rng or Random()  # jitter, not a secret
        self._busy = asyncio.Lock()
        self._reading: _Reading | None = None
        self._begun = self._done = 0
        self._upto: int | None = None
        self._started = self._now()

    async def run(self) -> None:
        """Read for ever.

        Raises:
            aiokafka.errors.KafkaError: what was read could not be written down; the worker must end.
        """
        while True:
            wait = await self.look()
            await asyncio.sleep(wait)

    async def look(self) -> float:
        """Read if it is time and this worker's turn, with an interval of 0 never; seconds until the next look.

        Raises:
            aiokafka.errors.KafkaError: as :meth:`run`.
        """
        if not (self._turn.interval and self._due() and self._turn.leads()):
            return _LOOK_SECONDS
        try:
            async with self._busy:
                await self._read()
        except DotdigitalError as error:
            return self._again(error)
        return _LOOK_SECONDS

    async def request(self) -> int:
        """Read what changed since the last mark; the new mark (UTC epoch seconds), of a reading that began after this call.

        Who calls while others wait shares a reading with them. The first reading of all is of every contact.

        Raises:
            DotdigitalError: a call failed; pages read so far are not read again.
            aiokafka.errors.KafkaError: as :meth:`run`.
        """
        asked = self._begun
        async with self._busy:
            while self._upto is None or self._done <= asked:
                await self._read()
            return self._upto

    def observe(self) -> None:
        """Set the gauge that changes with time alone; called before each scrape."""
        mark = self._mark()
        self._metrics.readback_age.set(max(0, self._now() - (self._started if mark is None else mark)))

    def _due(self) -> bool:
        mark = self._mark()
        return self._reading is not None or mark is None or self._now() - mark >= self._turn.interval

    def _begin(self) -> _Reading:
        self._begun += 1
        mark = self._mark()
        return _Reading(self._begun, self._now(), None if mark is None else mark - OVERLAP)

    async def _read(self) -> None:
        """Read once, or go on with what failed."""
        reading = self._reading = self._reading or self._begin()
        await self._all_of(reading)
        self._reading, self._done, self._upto, self._failures = None, reading.number, reading.upto, 0

    async def _all_of(self, reading: _Reading) -> None:
        if not reading.listed:
            await self._list(reading)
        if reading.since is not None:
            async for removals in self._listings.unsubscribed_since(reading.since):
                await self._publish("unsubscribed", [_removed(removal) for removal in removals], removed=True)
            async for removals in self._listings.suppressed_since(reading.since):
                await self._publish("suppressed", [_removed(removal) for removal in removals], removed=True)
        mark = ReadbackWatermarkChange(
            EVERYWHERE,
            0,
            _position(reading.upto),
            Lane.BULK,
            self._clock.now_ms(),
            ReadbackWatermark(reading.upto),
        )
        await self._send({partition: [mark] for partition in range(self._topic.partitions)})

    async def _list(self, reading: _Reading) -> None:
        try:
            async for page in self._listings.contacts_since(reading.since, marker=reading.marker):
                await self._publish("modified", page.contacts)
                reading.marker = page.marker
        except DataError:
            # Markers may expire; the next try begins at the first page.
            reading.marker = None
            raise
        reading.listed = True

    async def _publish(self, listing: str, contacts: Sequence[Contact], *, removed: bool = False) -> None:
        caused_at, places = self._clock.now_ms(), defaultdict[int, list[DesiredChange]](list)
        for contact in contacts:
            if contact.email:
                places[partition_of(contact.email, self._topic.partitions)].append(_found(contact, caused_at, removed=removed))
        await self._send(places)
        self._metrics.readback_contacts.labels(listing).inc(sum(map(len, places.values())))

    async def _send(self, places: Mapping[int, list[DesiredChange]]) -> None:
        producer, topic = self._topic.producer, self._topic.desired
        sends = (producer.send(topic, partition, packed(topic, changes)) for partition, changes in places.items())
        await asyncio.gather(*sends)

    def _mark(self) -> int | None:
        """The latest mark that is known to be durable."""
        return max((mark for mark in (self._turn.watermark(), self._upto) if mark is not None), default=None)

    def _now(self) -> int:
        return self._clock.now_ms() // 1000

    def _again(self, error: DotdigitalError) -> float:
        """Seconds until a failed reading goes on."""
        self._failures += 1
        log.warning("read-back failed", operation=error.operation, reason=type(error).__name__, failures=self._failures)
        wait = self._retry.delay(self._failures, self._rng)
        if isinstance(error, ThrottledError) and error.reset_at is not None:
            wait += max(0.0, error.reset_at - self._now())
        return wait


def _removed(removal: Removal) -> Contact:
    """The contact as its removal left it; its id is 0 when only the address is known."""
    return Contact(removal.contact_id, removal.reason, removal.email, removal.at)


def _found(contact: Contact, caused_at: int, *, removed: bool) -> ContactObservedChange:
    lane = Lane.URGENT if refused(contact.email_status) else Lane.BULK
    found = ContactObserved(contact.contact_id, contact.email_status, removed)
    return ContactObservedChange(contact.email, contact.contact_id, _position(contact.updated), lane, caused_at, found)


def _position(seconds: int) -> bytes:
    return version_bytes(seconds * 1_000_000)
