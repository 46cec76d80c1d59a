"""Faust's Kafka transport, with a short fetch wait and whole fetches delivered at once.

Faust hard-codes ``fetch_max_wait_ms=1500``. aiokafka has one fetch per broker under way; when its partitions are idle it stays
there for the whole wait, and partitions that were read empty in the meantime are not asked again until it returns. With a
dozen topics on one broker that holds up every busy partition for seconds.

Faust delivers message by message, and makes four tasks to wait for each. Beside stages that hold the loop for milliseconds
that let about 250 records a second through, whatever the backlog (both measured: docs/performance.md).
"""

import asyncio
from typing import Any, ClassVar

import faust
from faust.transport.drivers import aiokafka as driver

FETCH_WAIT_MS = 20
_YIELD_EVERY = 100


class _Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is untyped
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class _Consumer(driver.Consumer):  # type: ignore[misc]  # as above
    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Read and deliver until the end, as the method that this replaces; a rebalance ends a delivery in the same way."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                messages = [message async for _, message in self.getmany(timeout=1.0)]
                # A fetch that was ready must not keep the loop from others.
                await asyncio.sleep(0)
                if messages and not self.should_stop:
                    await self.wait_first(self._deliver(messages), self.suspend_flow.wait())
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def _deliver(self, messages: list[Any]) -> None:
        for count, message in enumerate(messages, 1):
            if not self.flow_active or message.generation_id != self.app.consumer_generation_id:
                return
            place, offset = message.tp, message.offset
            read = self._read_offset[place]
            if read is not None and offset < read:
                continue
            # No gaps are made good here, as Faust does for compacted topics: ours have none. What looks like one is what was
            # read while Faust was going back to the committed offset, and is still in hand; it would be committed unprocessed.
            await self.callback(message)
            self._read_offset[place] = offset
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)


class ShortFetchTransport(driver.Transport):  # type: ignore[misc]  # as above
    """The aiokafka transport; its consumer asks for new records every few milliseconds."""

    Consumer: ClassVar[Any] = _Consumer


def install(app: faust.App) -> None:
    """Make ``app`` consume through :class:`ShortFetchTransport`."""
    app.transport = ShortFetchTransport(app.conf.broker_consumer, app)
