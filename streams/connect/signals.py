"""Signal the connector to read tables again while it continues streaming: an incremental snapshot, requested through Kafka.

Topic and key are read from the running connector's own configuration: it ignores a signal whose key is not its
``topic.prefix``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from streams.capture.notifications import SOME_ROWS
from streams.connect.render import CLASSES, Config
from streams.core.errors import ConfigurationError
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping

# The time limit for one request to the broker.
_MILLISECONDS = 30_000


@dataclass(frozen=True, slots=True)
class Signal:
    """One message to the connector."""

    topic: str
    key: str
    value: bytes


def snapshot_signal(
    running: Config, mapping: Mapping, tables: Sequence[str], signal_id: str, where: str | None = None
) -> Signal:
    """The signal that makes the ``running`` connector read ``tables`` of ``mapping`` again.

    ``where``: a condition in the database's SQL, for the rows of the only table ("additional-conditions" in Debezium's
    documentation of incremental snapshots).

    Raises:
        ConfigurationError: a table is not mapped, there are several for a condition, or the connector accepts no signals.
    """
    if where is not None and len(tables) != 1:
        raise ConfigurationError("a condition is for one table", where="--where", remedy="Name one table at a time")
    spelt = {table.casefold(): table for table in mapping.tables}
    if strange := [table for table in tables if table.casefold() not in spelt]:
        raise ConfigurationError(
            f"not in the mapping: {', '.join(strange)}; mapped tables are {', '.join(sorted(mapping.tables))}"
        )
    if "kafka" not in running.get("signal.enabled.channels", "source").split(","):
        raise ConfigurationError("the running connector accepts no signals from Kafka; apply the rendered configuration first")
    if "signal.data.collection" not in running:
        raise ConfigurationError("the running connector has no signal table, which an incremental snapshot needs")
    source = mapping.source
    # SQL Server's collections include the database, PostgreSQL's do not. Entries are regular expressions, hence the escapes.
    parts = [source.schema_] if running["connector.class"] == CLASSES["postgres"] else [source.database, source.schema_]
    collections = [r"\.".join(re.escape(part) for part in (*parts, spelt[table.casefold()])) for table in tables]
    data: dict[str, Any] = {"data-collections": collections, "type": "INCREMENTAL"}
    if where is not None:
        signal_id = f"{SOME_ROWS}{signal_id}"
        data["additional-conditions"] = [{"data-collection": collections[0], "filter": where}]
    value = msgspec.json.encode({"id": signal_id, "type": "execute-snapshot", "data": data})
    prefix = running["topic.prefix"]
    return Signal(running.get("signal.kafka.topic", f"{prefix}-signal"), prefix, value)


async def send(kafka: KafkaConfig, signal: Signal) -> None:
    """Write the signal, acknowledged by all replicas.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer or has no such topic.
    """
    async with client.producer(kafka, acks="all", request_timeout_ms=_MILLISECONDS) as producer:
        await producer.send_and_wait(signal.topic, signal.value, signal.key.encode(), partition=0)
