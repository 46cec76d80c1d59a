"""Reads the story of one contact: its rows from the workers that own them, its newest delivery events from Kafka.

Three rounds of questions, because each names what the next is about: the contact names its buyers, a buyer its orders. All
workers are asked at once in each round.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.core.errors import OwddError
from streams.dispatch.policies import client_config
from streams.domain.buyers import AnyContribution
from streams.domain.versioned import Versioned
from streams.dotdigital.client import DotdigitalClient, unobserved
from streams.dotdigital.contact_calls import Contact
from streams.dotdigital.errors import DotdigitalError
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping
from streams.messages.changes import partition_of
from streams.messages.contributions import AddressLeft
from streams.messages.dead_letters import keyed_hash
from streams.messages.deliveries import TaskEvent
from streams.messages.topics import Topics
from streams.operations.delivery_events import read_events
from streams.operations.state_client import StateClient, StateUnavailableError
from streams.operations.state_queries import (
    AddressQuery,
    AddressReply,
    BuyerQuery,
    BuyerReply,
    ContactQuery,
    ContactReply,
    DeliveryQuery,
    DeliveryReply,
    OrderQuery,
    OrderReply,
    SearchHit,
    SearchQuery,
    SearchReply,
)
from streams.operations.story import Story
from streams.operations.story_deliveries import deliveries, holds, verdict
from streams.operations.story_fields import field_lines
from streams.operations.story_inputs import inputs
from streams.operations.story_material import BuyerMaterial, Material
from streams.operations.story_timeline import timeline
from streams.settings import Settings

MOST_BUYERS = 20
"""Buyers of one address that are read, those with the address now first."""
MOST_ORDERS = 60
"""Orders and credit notes of one contact whose rows are read, the newest."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found; ``gaps``: where it could not look."""

    found: list[SearchHit]
    gaps: list[str] = field(default_factory=list)

    @property
    def emails(self) -> list[str]:
        """The addresses that it leads to."""
        return list(dict.fromkeys(email for one in self.found for email in one.emails))


class Stories:
    """Reads stories for one person or program; to be used as an asynchronous context manager."""

    def __init__(self, settings: Settings, mapping: Mapping, by: str) -> None:
        """``by``: keyed hash of who asks.

        Raises:
            ConfigurationError: no workers or no token are named.
        """
        self._settings = settings
        self._mapping = mapping
        self._state = StateClient(settings, by)
        self._events = reader(KafkaConfig.of(settings))
        self._one_at_a_time = asyncio.Lock()
        self._hash_key = settings.hash_key.get_secret_value().encode()

    async def __aenter__(self) -> Self:
        await self._events.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._events.stop()
        await self._state.__aexit__(kind, error, trace)

    @property
    def state(self) -> StateClient:
        """The client of the workers."""
        return self._state

    def hash_of(self, email: str) -> str:
        """What stands for the address in logs and addresses of pages."""
        return keyed_hash(email.encode(), self._hash_key)

    async def search(self, text: str, by: str | None = None) -> SearchResult:
        """Find contacts by address, account or order number.

        Raises:
            StateUnavailableError: no worker answers.
        """
        text = text.strip()
        if "@" in text:
            email = text.lower()
            return SearchResult([SearchHit("contact", email, "", (email,))])
        replies = await self._state.ask([SearchQuery(text)], self.hash_of(text), by)
        parts = replies.every(0, SearchReply)
        gaps = replies.missing(["buyers", "orders"])
        if any(part.more for part in parts):
            gaps.append("there are more than are shown")
        unique = {(one.kind, one.key): one for part in parts for one in part.found}
        return SearchResult(list(unique.values()), gaps)

    async def address_of(self, hash_: str, by: str | None = None) -> str | None:
        """The address of which ``hash_`` is the keyed hash; None: no contact of ours.

        Raises:
            StateUnavailableError: no worker answers, or not every address could be looked at.
        """
        replies = await self._state.ask([AddressQuery(hash_)], hash_, by)
        parts = replies.every(0, AddressReply)
        if found := next((part.email for part in parts if part.email is not None), None):
            return found
        if replies.missing(["outbox", "contacts"]):
            raise StateUnavailableError("not every address could be looked at; try again in a moment")
        return None

    async def read(self, email: str, *, live: bool = False, by: str | None = None) -> Story:
        """The story of one address; ``live``: Dotdigital is asked what it has, by one call.

        Raises:
            StateUnavailableError: no worker has the address's partition open.
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        about = self.hash_of(email)
        material = await self._material(email, about, live=live, by=by)
        found, sent, held = list(inputs(material)), list(deliveries(material)), list(holds(material))
        return Story(
            email=email,
            at=material.at,
            verdict=verdict(material),
            facts=_facts(material),
            fields=field_lines(material),
            inputs=found,
            deliveries=sent,
            holds=held,
            timeline=timeline(material, found, sent, held),
            gaps=material.gaps,
        )

    async def _material(self, email: str, about: str, *, live: bool, by: str | None) -> Material:
        gaps: list[str] = []
        replies, looked = await asyncio.gather(
            self._state.ask([ContactQuery(email), DeliveryQuery(email)], about, by), self._look(email, gaps, live=live)
        )
        contact, delivery = replies.one(0, ContactReply).row, replies.one(1, DeliveryReply)
        if delivery.more:
            gaps.append("the contact has more order records than are shown")
        buyers, events = await asyncio.gather(
            self._buyers(contact.parts if contact is not None else {}, email, about, by),
            self._read_events(email, delivery, gaps),
        )
        if contact is not None and len(contact.parts) > len(buyers):
            gaps.append(f"{len(contact.parts)} accounts had the address; {len(buyers)} are shown")
        return Material(
            email=email,
            at=time.time_ns() // 1_000_000,
            mapping=self._mapping,
            connector=self._settings.source_kind,
            contact=contact,
            delivery=delivery,
            buyers=buyers,
            orders=await self._orders(buyers.values(), about, by),
            events=events,
            live=looked[0] if looked else None,
            looked=looked is not None,
            gaps=gaps,
        )

    async def _buyers(
        self, parts: dict[str, Versioned[AnyContribution]], email: str, about: str, by: str | None
    ) -> dict[str, BuyerMaterial]:
        keys = sorted(parts, key=lambda key: isinstance(parts[key].row, AddressLeft))[:MOST_BUYERS]
        if not keys:
            return {}
        replies = await self._state.ask([BuyerQuery(key, email) for key in keys], about, by)
        found = {key: replies.one(index, BuyerReply) for index, key in enumerate(keys)}
        return {key: BuyerMaterial(reply.row, reply.orders) for key, reply in found.items() if reply.row is not None}

    async def _orders(self, buyers: Iterable[BuyerMaterial], about: str, by: str | None) -> dict[int, OrderReply]:
        facts = [(cell.row.at, order) for buyer in buyers for order, cell in buyer.orders if cell.row is not None]
        wanted = [order for _, order in sorted(facts, reverse=True)[:MOST_ORDERS]]
        if not wanted:
            return {}
        replies = await self._state.ask([OrderQuery(order) for order in wanted], about, by)
        return {order: replies.one(index, OrderReply) for index, order in enumerate(wanted)}

    async def _read_events(self, email: str, delivery: DeliveryReply, gaps: list[str]) -> list[TaskEvent]:
        rows = [delivery.row, *delivery.records.values(), *delivery.follow_ups.values()]
        offsets = [offset for row in rows if row is not None for offset in row.events]
        topic = Topics.of(self._settings.app_id).deliveries
        place = TopicPartition(topic, partition_of(email, self._settings.partitions))
        try:
            async with self._one_at_a_time:
                return await read_events(self._events, place, offsets, email)
        except (KafkaError, TimeoutError):
            gaps.append("the calls could not be read: Kafka does not answer")
            return []

    async def _look(self, email: str, gaps: list[str], *, live: bool) -> tuple[Contact | None] | None:
        """What Dotdigital shows, in a tuple; None: it was not asked, or did not answer."""
        if not live:
            return None
        try:
            async with DotdigitalClient(client_config(self._settings), unobserved) as client:
                return (await client.find(email),)
        except (DotdigitalError, OwddError) as error:
            gaps.append(f"Dotdigital could not be asked: {error}")
            return None


def _facts(material: Material) -> dict[str, str]:
    row = material.delivery.row
    if row is None:
        return {}
    ours = row.creation.ours
    facts = {
        "Dotdigital's id": str(row.contact) if row.contact is not None else "none: the contact is not there",
        "created by": f"us, as {ours}" if ours else "somebody else" if row.contact is not None else "nobody",
        "recent-buyers list": "on it" if row.listed else "joining" if row.join_unconfirmed else "not on it",
    }
    if material.looked:
        facts["status in Dotdigital"] = material.live.email_status if material.live is not None else "no such contact"
    if row.moved_to:
        facts["people moved to"] = ", ".join(row.moved_to)
    return facts
