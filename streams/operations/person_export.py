"""Everything that state and topics hold of one person, for a subject-access request.

Taken is what names the address, and nothing of others: of a record with changes of many only those that name it, of an account
what it contributes to this contact and the captured rows that have the address, not the account's row with everybody in it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final

import msgspec
import orjson

from streams.agents.buyers import PageRow
from streams.dispatch.outbox.parked import read_parked
from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.tasks import family_of
from streams.domain.buyers import BuyerRow
from streams.domain.contact_projection import ContactRow
from streams.domain.digester import Digester
from streams.domain.erasure import scrubbed
from streams.domain.orders import OrderRow
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured, tables
from streams.mapping import Mapping
from streams.messages.audit import read_audit
from streams.messages.erasure_requests import read_erasure_request
from streams.messages.topics import ChangeTopic, Topics
from streams.operations.dlq_entry import dead_letter_entry
from streams.settings import Settings

_ROWS: Final[dict[str, dict[str, type]]] = {
    "contacts": {"c": ContactRow},
    "buyers": {"b": BuyerRow, "p": PageRow},
    "orders": {"o": OrderRow},
}
"""The rows of persons, by table and first letter of the key."""

Progress = Callable[[str], None]
"""Called with the topic that is being read."""


class PersonExport:
    """Collects the export of one normalised address."""

    def __init__(self, settings: Settings, mapping: Mapping, email: str, progress: Progress) -> None:
        self._settings = settings
        self._mapping = mapping
        self._email = email
        self._bytes = email.encode()
        self._digests = Digester(*settings.erasure_keys).all(email)
        self._progress = progress

    async def collect(self) -> dict[str, Any]:
        """The export, ready for JSON: ``orderwise`` rows, ``state``, ``topics`` and ``audit``; empty parts are left out.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        topics = Topics.of(self._settings.app_id, self._settings.generation)
        rows = {topic: await self._latest(topic, _captured_row) for topic in captured(self._mapping)}
        state = {table: await self._state(table, changelog) for table, changelog in tables(self._settings).items()}
        passing: dict[str, list[Any]] = {topic: await self._changes(topic) for topic in topics.between_stages}
        passing[topics.deliveries] = [orjson.loads(record.value) async for record in self._naming(topics.deliveries)]
        passing[topics.parked] = await self._parked(topics.parked)
        letters = [record async for record in self._naming(topics.dead_letters)]
        passing[topics.dead_letters] = [dead_letter_entry(record).facts() | {"value": record.value} for record in letters]
        passing[topics.retries] = [_captured_row(record.key, record.value) async for record in self._naming(topics.retries)]
        audit = [read_audit(record.value) async for record in self._records(topics.audit)]
        digests = {digest.hex() for digest in self._digests}
        found = {
            "orderwise": _filled(rows),
            "state": _filled(state),
            "topics": _filled(passing | {topics.erasures: await self._erasures(topics.erasures)}),
            "audit": [msgspec.to_builtins(entry) for entry in audit if getattr(entry, "digest", None) in digests],
        }
        readable: dict[str, Any] = _readable(found)
        return readable

    async def _records(self, topic: str) -> AsyncIterator[Any]:
        self._progress(topic)
        async for record in read_topic(KafkaConfig.of(self._settings), topic, range(self._settings.partitions)):
            yield record

    async def _naming(self, topic: str) -> AsyncIterator[Any]:
        async for record in self._records(topic):
            if self._names(record):
                yield record

    def _names(self, record: Any) -> bool:
        return self._bytes in (record.key or b"").lower() or self._bytes in (record.value or b"").lower()

    async def _latest(self, topic: str, read: Callable[[bytes, bytes], Any]) -> list[Any]:
        """The rows of a compacted topic that name the person now."""
        rows: dict[bytes, Any] = {}
        async for record in self._records(topic):
            rows.pop(record.key, None)
            if record.value is not None and self._names(record) and (row := read(record.key, record.value)) is not None:
                rows[record.key] = row
        return list(rows.values())

    async def _state(self, table: str, changelog: str) -> list[Any]:
        def read(key: bytes, value: bytes) -> Any:
            # A buyer's row that has the address inside is an account's, with everybody in it.
            if table == "buyers" and self._bytes not in key.lower():
                return None
            row = _state_row(table, key, value)
            return None if row is None else {"key": key, "row": row}

        return await self._latest(changelog, read)

    async def _changes(self, topic: ChangeTopic[Any]) -> list[Any]:
        found: list[Any] = []
        async for record in self._naming(topic):
            # A record of another release stays out, as it does for the stage that reads the topic.
            with suppress(msgspec.MsgspecError):
                found += [change for change in topic.unpack(record.value) if self._is_about(change)]
        return found

    def _is_about(self, change: Any) -> bool:
        return change.key == self._email or scrubbed(change, self._email.__eq__) is not change

    async def _parked(self, topic: str) -> list[Any]:
        found = [read_parked(record.value) async for record in self._naming(topic)]
        return [parked for parked in found if parked.key == self._email]

    async def _erasures(self, topic: str) -> list[Any]:
        return [
            read_erasure_request(record.value)
            async for record in self._records(topic)
            if record.key in self._digests and record.value is not None
        ]


def _captured_row(key: bytes, value: bytes) -> Any:
    try:
        event = orjson.loads(value)
        return event.get("after") or event
    except (orjson.JSONDecodeError, AttributeError):
        return {"key": key, "value": value}


def _state_row(table: str, key: bytes, value: bytes) -> Any:
    if table == "outbox":
        with suppress(ValueError, KeyError, msgspec.MsgspecError):
            return CODECS[family_of(key.decode())].decode(value)
        return msgspec.msgpack.decode(value)
    kind = _ROWS.get(table, {}).get(key[:1].decode(errors="replace"))
    return None if kind is None else msgspec.msgpack.decode(value, type=kind)


def _filled(parts: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: found for name, found in parts.items() if found}


def _readable(value: Any) -> Any:
    """With names where state has positions only, and text for bytes."""
    match value:
        case msgspec.Struct():
            return {name: _readable(getattr(value, name)) for name in value.__struct_fields__}
        case dict():
            return {_text(key): _readable(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_readable(item) for item in value]
        case bytes():
            return _text(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()
