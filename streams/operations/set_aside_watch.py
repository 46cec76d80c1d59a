"""Shows what is set aside now, in every worker: whichever of them runs, the numbers are there."""

import asyncio
from contextlib import suppress

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from streams.observability.metrics import Metrics
from streams.operations.set_aside import SetAsideFeed
from streams.settings import Settings

_SECONDS = 10.0


class SetAsideWatch:
    """Keeps the gauge in step with the topics, through a consumer of its own, which it starts and stops."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer, metrics: Metrics) -> None:
        self._consumer = consumer
        self._feed = SetAsideFeed(settings, consumer)
        self._gauge = metrics.set_aside

    async def run(self) -> None:
        """Look until it is cancelled."""
        async with self._consumer:
            while True:
                # While the broker is away nothing new is set aside either.
                with suppress(KafkaError, TimeoutError):
                    await self._feed.refresh()
                    self._show()
                await asyncio.sleep(_SECONDS)

    def _show(self) -> None:
        self._gauge.clear()
        for item in self._feed.counts():
            self._gauge.labels(item.kind, item.cause, item.trouble).set(item.count)
