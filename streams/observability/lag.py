"""How far behind a consumer group is, in records and in seconds, per topic."""

import asyncio
from collections import defaultdict
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from streams.clock import Clock
from streams.observability.metrics import Metrics


class Progress:
    """What this worker has finished: the next offset and the last timestamp per partition."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.next: dict[tuple[str, int], int] = {}
        self.stamp: dict[tuple[str, int], float] = {}

    def done(self, tp: Any, next_offset: int, timestamp: float) -> None:
        """Everything below ``next_offset`` is finished; ``timestamp`` (epoch seconds) is that of the last record."""
        place = (tp.topic, tp.partition)
        self.next[place] = next_offset
        self.stamp[place] = timestamp


class LagProbe:
    """Compares :class:`Progress` with the broker's end offsets, every ``interval`` seconds."""

    def __init__(
        self, bootstrap: str, progress: list[Progress], metrics: Metrics, clock: Clock, interval: float = 1.0
    ) -> None:
        self._bootstrap = bootstrap
        self._progress = progress
        self._metrics = metrics
        self._clock = clock
        self._interval = interval
        self._caught_up: dict[tuple[str, str, int], float] = {}
        self.records: dict[str, int] = {}

    async def run(self) -> None:
        """Probe for ever."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap)
        await consumer.start()
        try:
            while True:
                try:
                    await self._probe(consumer)
                except KafkaError:
                    pass  # the gauges keep their last value while the broker is away; the workers themselves report it
                await asyncio.sleep(self._interval)
        finally:
            await consumer.stop()

    async def _probe(self, consumer: AIOKafkaConsumer) -> None:
        from aiokafka import TopicPartition

        for progress in self._progress:
            places = list(progress.next)
            if not places:
                continue
            ends = await consumer.end_offsets([TopicPartition(*place) for place in places])
            now = self._clock.now_ms() / 1000
            records: dict[str, int] = defaultdict(int)
            seconds: dict[str, float] = defaultdict(float)
            for tp, end in ends.items():
                place = (progress.group, tp.topic, tp.partition)
                behind = max(0, end - progress.next[tp.topic, tp.partition])
                if not behind:
                    self._caught_up[place] = now
                    seconds[tp.topic] += 0
                else:
                    # The oldest waiting record is younger than the last finished one, and than the last time none waited.
                    since = max(progress.stamp[tp.topic, tp.partition], self._caught_up.get(place, 0.0))
                    seconds[tp.topic] = max(seconds[tp.topic], now - since)
                records[tp.topic] += behind
            for topic, behind in records.items():
                self._metrics.lag_records.labels(progress.group, topic).set(behind)
                self._metrics.lag_seconds.labels(progress.group, topic).set(seconds[topic])
            self.records[progress.group] = sum(records.values())
