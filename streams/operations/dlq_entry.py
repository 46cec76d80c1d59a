"""One dead letter or parked delivery, as an operator sees it: its place and its failure, without personal data.

There are two kinds: the dead letters of ingest and of the stages behind it (``ingest``), and parked deliveries
(``delivery``). An entry's *place* identifies it: kind, partition and offset, as in ``ingest/3@981``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import msgspec
import orjson

from streams.core.errors import OwddError
from streams.dispatch.outbox.parked import Parked
from streams.messages.change_heads import heads
from streams.messages.dead_letters import Coordinates, newest_position

EntryKind: TypeAlias = Literal["ingest", "delivery"]
KINDS: tuple[EntryKind, ...] = get_args(EntryKind)

INGEST_STAGE = "ingest"

_PLACE = re.compile(r"(?P<kind>ingest|delivery)/(?P<partition>\d{1,9})@(?P<offset>\d{1,18})")
_ADDRESS = re.compile(rb"[^\s\"\\<>()',;]+@[^\s\"\\<>()',;]+")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """An entry's place in the topic of its kind."""

    kind: EntryKind
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.kind}/{self.partition}@{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The place that ``list`` prints.

        Raises:
            OwddError: ``text`` is not a place.
        """
        found = _PLACE.fullmatch(text)
        if found is None:
            raise OwddError(f"{text!r} is not the place of an entry; 'owdd dlq list' prints places such as ingest/3@981")
        kind: EntryKind = "ingest" if found["kind"] == "ingest" else "delivery"
        return cls(kind, int(found["partition"]), int(found["offset"]))


@dataclass(frozen=True, slots=True)
class DeadLetterEntry:
    """The description of an entry, without its content.

    ``stage``: the stage that dead-lettered the record, or the kind of the parked delivery. ``origin``: the record's first place
    in Kafka. ``at``: when it was set aside (epoch ms). ``outcome``: how it ended, None while it is open.
    """

    position: Position
    at: int
    stage: str
    code: str
    reason: str
    attempts: int
    key_hash: str
    origin: Coordinates | None = None
    outcome: str | None = None

    def facts(self) -> dict[str, Any]:
        """Everything, for print."""
        origin = None if self.origin is None else str(self.origin)
        rest = {name: getattr(self, name) for name in ("at", "stage", "code", "reason", "attempts", "key_hash")}
        return {"place": str(self.position), **rest, "origin": origin, "outcome": self.outcome}


def dead_letter_entry(record: Any) -> DeadLetterEntry:
    """The entry of a record of the dead-letter topic; a record of another producer gets empty members."""
    facts = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    number = {
        name: int(text) if (text := facts.get(name, "")).isdecimal() else 0 for name in ("partition", "offset", "attempts")
    }
    return DeadLetterEntry(
        position=Position("ingest", record.partition, record.offset),
        at=record.timestamp,
        stage=facts.get("stage", ""),
        code=facts.get("code", ""),
        reason=facts.get("reason", ""),
        attempts=number["attempts"] or 1,
        key_hash=facts.get("key-hash", ""),
        origin=Coordinates(facts["topic"], number["partition"], number["offset"], newest_position(facts))
        if facts.get("topic")
        else None,
    )


def parked_entry(record: Any, parked: Parked) -> DeadLetterEntry:
    """A record of the topic of parked deliveries."""
    return DeadLetterEntry(
        position=Position("delivery", record.partition, record.offset),
        at=parked.last,
        stage=parked.task,
        code=parked.code,
        reason=f"{parked.error_class}: {parked.reason}",
        attempts=parked.attempts,
        key_hash=(record.key or b"").decode(errors="replace"),
    )


def names_in(key: bytes | None, value: bytes | None) -> Iterator[bytes]:
    """The names by which a dead letter can be found: its key, the key's columns, and its state rows and addresses."""
    yield key or b""
    try:
        columns = orjson.loads(key or b"")
    except orjson.JSONDecodeError:
        columns = None
    if isinstance(columns, dict):
        yield from (str(column).encode() for column in columns.values())
    try:
        changes = heads(value or b"")
    except msgspec.MsgspecError:
        yield from (address.lower() for address in _ADDRESS.findall(value or b""))
        return
    for change in changes:
        yield from (change.key.encode(), change.key[1:].encode(), str(change.pk).encode())
