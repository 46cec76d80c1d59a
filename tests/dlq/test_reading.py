"""What the commands read of the topics: the entries that they are asked for, and no actions from before any of them was there."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streams.core.errors import RecordError
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.messages.audit import OperatorAction, write_audit
from streams.messages.changes import partition_of
from streams.messages.dead_letters import Coordinates, DeadLetter
from streams.operations.dlq_entry import Position
from streams.operations.dlq_filter import Filter
from streams.operations.dlq_store import DeadLetterStore
from streams.operations.set_aside import SetAsideFeed, SetAsideKind
from tests.dlq.dlq_harness import CAPTURED, PARTITIONS, LetterBox, letter_box

DAY_MS = 86_400_000
NOW = 1_793_000_000_000
LETTERS, OLD_ACTIONS, NEW_ACTIONS = 600, 500, 3
PLACE = 1
CODE = "bad_text"
VALUE = b'{"after":"' + b"x" * 10_000 + b'"}'


@pytest_asyncio.fixture
async def store(broker: Path) -> AsyncIterator[LetterBox]:
    """A month of dead letters, one every hour, and an audit topic of five years of which the last two days are about some."""
    # Records may be older than this test, and stay.
    kept = {"message_timestamp_type": "CreateTime", "retention_ms": "-1"}
    async with letter_box(broker, f"dlq-{uuid4().hex[:8]}", **kept) as opened:
        topics, kafka = opened.topics, opened.settings.kafka_bootstrap
        async with AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=20) as producer:
            for number in range(LETTERS):
                letter = DeadLetter(Coordinates(CAPTURED, 1, number), b"{}", VALUE, RecordError(CODE, "a column"), "ingest")
                await producer.send(
                    topics.dead_letters, VALUE, b"{}", PLACE, letter_at(number), headers=letter.headers(opened.hash_key)
                )
            for number in range(OLD_ACTIONS):
                at = NOW - (1_800 - number) * DAY_MS
                await producer.send(topics.audit, action(number), CODE.encode(), of_code(), at)
            for number in (LETTERS - 2, LETTERS - 1):
                await producer.send(topics.audit, action(number), CODE.encode(), of_code(), letter_at(number) + 1)
            # Another release's, which hides no other.
            await producer.send(topics.audit, b'["Unheard"]', CODE.encode(), of_code(), NOW)
        yield opened


def letter_at(number: int) -> int:
    return NOW - (LETTERS - number) * 3_600_000


def action(number: int) -> bytes:
    place = str(Position("ingest", PLACE, number))
    return write_audit(OperatorAction(NOW, "ops", "drop", CODE, 1, [place]))


def of_code() -> int:
    return partition_of(CODE, PARTITIONS)


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Records that consumers were given meanwhile, by topic."""
    found: Counter[str] = Counter()
    getmany = AIOKafkaConsumer.getmany

    async def counting(self: Any, *places: Any, **options: Any) -> Any:
        records = await getmany(self, *places, **options)
        found.update({place.topic: len(some) for place, some in records.items()})
        return records

    with monkeypatch.context() as patched:
        patched.setattr(AIOKafkaConsumer, "getmany", counting)
        yield found


async def test_what_is_asked_for_is_read_and_little_more(store: LetterBox, monkeypatch: pytest.MonkeyPatch) -> None:
    box, dead, audit = DeadLetterStore(store.settings), store.topics.dead_letters, store.topics.audit
    with counted(monkeypatch) as read:
        entry, record = await box.record(Position("ingest", PLACE, LETTERS - 1))
    assert (entry.outcome, record.value) == ("drop", VALUE)
    assert read[dead] <= 20
    assert read[audit] == NEW_ACTIONS, "those of two days, not of five years"

    with counted(monkeypatch) as read:
        found = await box.entries(Filter(limit=10))
    assert [entry.position.offset for entry in found] == [*range(10)], "an action is older than any entry"
    assert read[dead] < LETTERS
    assert read[audit] == NEW_ACTIONS

    with counted(monkeypatch) as read:
        found = await box.entries(Filter(since=letter_at(500), until=letter_at(520)))
    assert [entry.position.offset for entry in found] == [*range(500, 521)]
    assert read[dead] < LETTERS
    assert read[audit] == NEW_ACTIONS

    with counted(monkeypatch) as read:
        assert await store.act("drop", [found[0], found[-1]]) == 2
    assert read[dead] <= 60
    found = await box.entries(Filter(code=CODE))
    assert {*range(LETTERS)} - {entry.position.offset for entry in found} == {500, 520, LETTERS - 2, LETTERS - 1}


async def test_the_gauge_counts_without_the_actions_of_five_years(store: LetterBox, monkeypatch: pytest.MonkeyPatch) -> None:
    async with reader(KafkaConfig.of(store.settings)) as consumer:
        feed = SetAsideFeed(store.settings, consumer)
        with counted(monkeypatch) as read:
            await feed.refresh()
        assert {(one.kind, one.cause): one.count for one in feed.counts()} == {(SetAsideKind.DEAD_LETTER, CODE): LETTERS - 2}
        assert read[store.topics.audit] == NEW_ACTIONS
