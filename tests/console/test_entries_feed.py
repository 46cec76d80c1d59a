"""The console reads the entries whole only when their topics have changed, and starts again after a failure."""

from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.console import entries_feed as module
from streams.console import following
from streams.console.entries_feed import EntriesFeed
from streams.operations.dlq_filter import Filter
from streams.operations.dlq_store import DeadLetterStore
from streams.settings import Settings


class Kafka:
    """What the consumers, the feed and the store were asked; ``changes`` is what the feed says, one by one."""

    def __init__(self, *changes: bool | Exception) -> None:
        self.changes = iter(changes)
        self.open = 0
        self.read = self.started = self.stopped = 0

    async def start(self) -> None:
        self.started += 1

    async def stop(self) -> None:
        self.stopped += 1

    async def refresh(self) -> bool:
        found = next(self.changes)
        if isinstance(found, Exception):
            raise found
        return found

    def counts(self) -> Iterator[Any]:
        return iter(())

    async def entries(self, selection: Filter) -> list[Any]:
        self.read += 1
        return list(range(self.open))[: selection.limit]


def feed_of(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> EntriesFeed:
    monkeypatch.setattr(following, "reader", lambda _: kafka)
    monkeypatch.setattr(module, "SetAsideFeed", lambda *_: kafka)
    monkeypatch.setattr(DeadLetterStore, "entries", kafka.entries)
    return EntriesFeed(Settings())


async def test_entries_are_read_again_only_after_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(True, False, False, True)
    feed = feed_of(kafka, monkeypatch)
    for read in (1, 1, 1, 2):
        await feed.refresh()
        assert kafka.read == read
    assert (kafka.started, kafka.stopped) == (1, 0)


async def test_after_a_failure_there_is_a_new_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(True, KafkaConnectionError(), True)
    feed = feed_of(kafka, monkeypatch)
    await feed.refresh()
    with pytest.raises(KafkaConnectionError):
        await feed.refresh()
    await feed.refresh()
    await feed.stop()
    assert (kafka.read, kafka.started, kafka.stopped) == (2, 2, 2)


async def test_there_is_a_most_that_is_kept_and_what_is_beyond_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(True, True)
    feed = feed_of(kafka, monkeypatch)
    for kafka.open, kept, more in ((2000, 2000, False), (2001, 2000, True)):
        await feed.refresh()
        assert (len(feed.entries), feed.more) == (kept, more)
