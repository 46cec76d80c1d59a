"""Faust's Kafka transport with a short fetch wait.

Faust hard-codes ``fetch_max_wait_ms=1500``. aiokafka has one fetch per broker under way; when its partitions are idle it stays
there for the whole wait, and partitions that were read empty in the meantime are not asked again until it returns. With a
dozen topics on one broker that holds up every busy partition for seconds (measured: docs/performance.md).
"""

from typing import Any, ClassVar

import faust
from faust.transport.drivers import aiokafka as driver

FETCH_WAIT_MS = 20


class _Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is untyped
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class _Consumer(driver.Consumer):  # type: ignore[misc]  # as above
    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class ShortFetchTransport(driver.Transport):  # type: ignore[misc]  # as above
    """The aiokafka transport; its consumer asks for new records every few milliseconds."""

    Consumer: ClassVar[Any] = _Consumer


def install(app: faust.App) -> None:
    """Make ``app`` consume through :class:`ShortFetchTransport`."""
    app.transport = ShortFetchTransport(app.conf.broker_consumer, app)
