"""The canary's beginning: one into every partition, once a minute, from one worker."""

import asyncio
from typing import cast

import pytest

from streams.core.lanes import Lane
from streams.ingest import canary
from streams.kafka.producer import BatchProducer
from streams.messages.changes import HERE
from streams.messages.kinds import CanaryChange
from streams.messages.topics import Topics

TOPICS = Topics.of("t")


class Sent:
    """A producer that keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[tuple[str, int, bytes]] = []

    async def send_one(self, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        self.records.append((topic, partition, value))


async def test_it_waits_for_the_lead_and_then_sends_one_into_every_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sent, leads = Sent(), iter([False, False, True, False])

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            raise asyncio.CancelledError

    monkeypatch.setattr("streams.ingest.canary.asyncio.sleep", sleep)
    made = canary.Canary(cast(BatchProducer, sent), TOPICS, 3, lambda: next(leads), lambda: 7)
    with pytest.raises(asyncio.CancelledError):
        await made.run()
    assert slept == [1.0, 1.0, 60.0, 1.0]
    assert [(topic, partition) for topic, partition, _ in sent.records] == [
        (TOPICS.orders, partition) for partition in range(3)
    ]
    for _, _, value in sent.records:
        assert TOPICS.orders.unpack(value) == [CanaryChange(HERE, 0, b"", Lane.LIVE, 7, None)]
