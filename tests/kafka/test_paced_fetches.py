"""A paced consumer rests after a few records, so that those behind them come together; it never rests in a backlog."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher

from streams.kafka.fetcher import FEW, PromptFetcher, pace
from testkit.virtual.event_loop import VirtualClock, run

PLACE = TopicPartition("in", 0)
REST = 0.12
ASKED = SimpleNamespace(topics=[(PLACE.topic, [(PLACE.partition, 0, 1)])])


class Log:
    """What a fetcher asks: so many records from offset 0 on, and when it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, records: int) -> None:
        self.asked: list[float] = []
        self._records = records
        monkeypatch.setattr(Fetcher, "_proc_fetch_request", self._answer)

    async def _answer(self, *_: Any) -> bool:
        self.asked.append(round(asyncio.get_running_loop().time(), 3))
        return self._records > 0

    def state_value(self, place: TopicPartition) -> Any:
        assert place == PLACE
        return SimpleNamespace(highwater=self._records)


def fetcher(rest: float) -> Any:
    made = PromptFetcher.__new__(PromptFetcher)
    made._rest_until, made._loop = {}, asyncio.get_running_loop()
    made._client = pace(SimpleNamespace(_client=SimpleNamespace()), rest)._client
    return made


def gaps(monkeypatch: pytest.MonkeyPatch, records: int, rest: float = REST) -> list[float]:
    """Seconds between four fetches, each of which begins as soon as the one before was answered."""
    log = Log(monkeypatch, records)

    async def main(_: VirtualClock) -> None:
        made = fetcher(rest)
        for _fetch in range(4):
            await made._proc_fetch_request(log, 1, ASKED)

    run(main)
    return [round(later - earlier, 3) for earlier, later in zip(log.asked, log.asked[1:], strict=False)]


def test_a_paced_consumer_rests_after_a_few_records(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gaps(monkeypatch, records=1) == [REST] * 3


def test_it_does_not_rest_in_a_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gaps(monkeypatch, records=FEW + 1) == [0.0] * 3


def test_it_does_not_rest_after_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gaps(monkeypatch, records=0) == [0.0] * 3


def test_other_consumers_never_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gaps(monkeypatch, records=1, rest=0.0) == [0.0] * 3


def test_a_rest_that_is_cancelled_ends_like_a_fetch_that_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(monkeypatch, records=1)

    async def main(_: VirtualClock) -> bool:
        made = fetcher(REST)
        await made._proc_fetch_request(log, 1, ASKED)
        resting = asyncio.create_task(made._proc_fetch_request(log, 1, ASKED))
        await asyncio.sleep(REST / 2)
        resting.cancel()
        return bool(await resting)

    assert run(main) is False
    assert len(log.asked) == 1
