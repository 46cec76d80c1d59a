"""A stage's letter goes past ingest: who was erased since it was written is taken from it before it goes back."""

from collections.abc import AsyncIterator, Iterable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streams.capture import rows
from streams.core.clock import ManualClock
from streams.domain.digester import Digester
from streams.ingest.erased_addresses import ErasureFeed
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.messages.changes import Change, ChangeKind, DesiredContact, EraseAddress, pack
from streams.messages.contributions import AddressLeft
from streams.messages.dead_letters import Coordinates
from streams.messages.kinds import CHANGES
from streams.messages.topics import Topics
from streams.operations.dlq_actions import DeadLetterActions
from streams.operations.dlq_entry import DeadLetterEntry, Position
from streams.operations.dlq_store import DeadLetterStore
from streams.settings import Settings
from tests.wire import unpack

TOPICS = Topics.of("owdd")
ANN, BOB = "ann@example.com", "bob@example.com"
PLACE = Position("ingest", 0, 0)


class Sent:
    """A producer that remembers what was sent where."""

    def __init__(self) -> None:
        self.values: dict[str, list[bytes]] = {}

    async def send_one(
        self, topic: str, partition: int, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        self.values.setdefault(topic, []).append(value)

    async def append(self, topic: str, _partition: int, entries: Iterable[tuple[bytes, bytes, Any]]) -> None:
        self.values.setdefault(topic, []).extend(value for _, value, _ in entries)


def change(kind: ChangeKind, key: str, row: object) -> Change:
    return CHANGES[kind](key, 1, bytes(8), 1, 0, row)


def person(*emails: str) -> Change:
    return change(ChangeKind.CONTACT, "c1", rows.Contact(emails, "Ann", None, None))


def wanted(address: str) -> Change:
    return change(ChangeKind.DESIRED_CONTACT, address, DesiredContact(b"{}", None))


async def retried(topic: str, value: bytes, *gone: str) -> tuple[int, list[bytes]]:
    """How many of one letter were tried again, and what the stage is told, after ``gone`` were erased."""

    async def records(places: Iterable[Position]) -> AsyncIterator[tuple[Position, Any]]:
        for place in places:
            yield place, SimpleNamespace(key=None, value=value)

    erased, sent = ErasureFeed(KafkaConfig(""), TOPICS.erasures, 1, Digester(b"k")), Sent()
    for address in gone:
        erased.add(erased.digest(address))
    entry = DeadLetterEntry(PLACE, 0, "a stage", "cannot_apply", "", 1, "", Coordinates(topic, 0, 5))
    store, producer = cast(DeadLetterStore, SimpleNamespace(records=records)), cast(BatchProducer, sent)
    actions = DeadLetterActions(Settings(partitions=1), store, producer, erased, operator="ops", clock=ManualClock())
    done = await actions.act("retry", [entry], rate=1000, progress=lambda _: None)
    return done, sent.values.get(topic, [])


async def test_nothing_is_taken_from_it_while_nobody_was_erased() -> None:
    value = pack([person(ANN, BOB)])
    assert await retried(TOPICS.buyers, value) == (1, [value])
    assert await retried(TOPICS.buyers, b"?") == (1, [b"?"])


async def test_the_erased_are_taken_from_it_and_the_others_stay() -> None:
    done, (value,) = await retried(TOPICS.buyers, pack([person(ANN, BOB), person(BOB)]), ANN)
    assert (done, [change.row.emails for change in unpack(value) if isinstance(change.row, rows.Contact)]) == (
        1,
        [(BOB,), (BOB,)],
    )


@pytest.mark.parametrize(
    ("topic", "about"),
    [
        (TOPICS.buyers, change(ChangeKind.CONTACT, f"e{ANN}", rows.Contact((ANN,), "Ann", None, None))),
        (TOPICS.contacts, change(ChangeKind.BUYER_CONTRIBUTION, ANN, AddressLeft(None))),
        (TOPICS.desired, wanted(ANN)),
    ],
)
async def test_what_is_about_nobody_else_is_settled_and_reported_to_nobody(topic: str, about: Change) -> None:
    assert await retried(topic, pack([about]), ANN) == (1, [])


async def test_the_erasure_itself_is_reported_again() -> None:
    value = pack([change(ChangeKind.ERASURE, ANN, EraseAddress(b"digest"))])
    assert await retried(TOPICS.contacts, value, ANN) == (1, [value])


async def test_what_cannot_be_read_is_left_for_nobody_knows_whom_it_names() -> None:
    assert await retried(TOPICS.buyers, b"?", ANN) == (0, [])


async def test_what_was_answered_names_nobody_new() -> None:
    assert await retried(TOPICS.deliveries, b"{}", ANN) == (1, [b"{}"])
