"""Shows the lag of every group that should run, whether its readers run or not: each worker watches all of them."""

import asyncio
from collections import defaultdict

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.core.clock import Clock
from streams.observability.backlog import Backlog, BacklogReader
from streams.observability.metrics import Metrics

_OLD_MS = 60_000
"""A measurement that is older shows nothing any more: an old number would look like a calm one."""


class LagProbe:
    """Sets the lag gauges of ``groups`` (and what each reads) every ``interval`` seconds; it starts and stops the clients."""

    def __init__(
        self,
        backlogs: BacklogReader,
        groups: dict[str, list[str]],
        metrics: Metrics,
        clock: Clock,
        interval: float = 10.0,
    ) -> None:
        self._backlogs = backlogs
        self._groups = groups
        self._metrics = metrics
        self._clock = clock
        self._interval = interval
        self._found: dict[str, dict[TopicPartition, Backlog]] = {}
        self._measured: dict[str, int] = {}
        self._shown: set[tuple[str, TopicPartition]] = set()

    async def run(self) -> None:
        """Probe until it is cancelled."""
        consumer, admin = self._backlogs.consumer, self._backlogs.admin
        await consumer.start()
        await admin.start()
        try:
            while True:
                await self.probe()
                await asyncio.sleep(self._interval)
        finally:
            await consumer.stop()
            await admin.close()

    async def probe(self) -> None:
        """Measure every group once."""
        for group, topics in self._groups.items():
            try:
                self._found[group] = await self._backlogs.measure(group, topics)
            except (KafkaError, TimeoutError):
                # The workers themselves report a broker that is away.
                if self._clock.now_ms() - self._measured.get(group, 0) > _OLD_MS:
                    self._found.pop(group, None)
            else:
                self._measured[group] = self._clock.now_ms()
        self._show()

    def _show(self) -> None:
        metrics, now = self._metrics, self._clock.now_ms() / 1000
        shown = {(group, place) for group, backlogs in self._found.items() for place in backlogs}
        if shown != self._shown:
            # Only then: hundreds of series cost more to make than to set. Nothing awaits between here and the last value, so no
            # scrape sees gauges that were cleared and not set again.
            for gauge in (metrics.lag_records, metrics.lag_seconds, metrics.end_offset, metrics.group_offset):
                gauge.clear()
            self._shown = shown
        for group, backlogs in self._found.items():
            ends: dict[str, int] = defaultdict(int)
            offsets: dict[str, int] = defaultdict(int)
            for place, backlog in backlogs.items():
                metrics.lag_records.labels(group, *place).set(backlog.records)
                metrics.lag_seconds.labels(group, *place).set(backlog.seconds(now))
                ends[place.topic] += backlog.end
                offsets[place.topic] += backlog.offset
            for topic, end in ends.items():
                metrics.end_offset.labels(group, topic).set(end)
                metrics.group_offset.labels(group, topic).set(offsets[topic])
