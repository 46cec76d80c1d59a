"""What would change if a generation took effect: what it wants against what is wanted now, task by task, field by field.

Read from the changelog of the outbox, one partition after the other, so that memory holds one of them at most. Of records only
digests are stored, so of a changed one it is known that it differs, and not in what.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import TopicPartition

from streams.dispatch.outbox.generations import ROW, GenerationsRow, read_generations
from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.shadow_rows import held_key, shadow_key
from streams.dispatch.outbox.tasks import Family, family_of, owner_of
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import GONE, FollowUpDeliveryState, RecordDeliveryState
from streams.kafka.reader import read_to_end, reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import tables
from streams.messages.dead_letters import keyed_hash
from streams.settings import Settings

_TASKS = tuple(family.value.encode() for family in Family)


@dataclass(slots=True)
class Differences:
    """What a switch would do.

    Attributes:
        compared: deliveries that were looked at.
        changes: how many of each family are created, changed, withdrawn, or held as they are.
        fields: of contacts that change, how many differ in each data field.
        examples: some of them, by the keyed hash of the contact or variant.
    """

    compared: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, str]] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """Deliveries that follow; imports take many of them in one call."""
        return sum(count for name, count in self.changes.items() if not name.endswith(" held"))


async def differences(settings: Settings, generation: int, examples: int) -> Differences:
    """Compare what ``generation`` wants with what is wanted now.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found = Differences()
    hash_key = settings.hash_key.get_secret_value().encode()
    async with reader(KafkaConfig.of(settings)) as consumer:
        for partition in range(settings.partitions):
            rows: dict[bytes, bytes] = {}
            async for record in read_to_end(consumer, [TopicPartition(tables(settings)["outbox"], partition)]):
                if record.key is None:
                    continue
                if record.value is None:
                    rows.pop(record.key, None)
                else:
                    rows[record.key] = record.value
            for task, what, fields in changed_tasks(rows, generation):
                found.changes[what] += 1
                found.fields.update(fields)
                if len(found.examples) < examples:
                    whose = keyed_hash(owner_of(task).encode(), hash_key)
                    found.examples.append({"whose": whose, "what": what, "fields": ", ".join(sorted(fields))})
            found.compared += sum(key[:1] in _TASKS for key in rows)
    return found


def changed_tasks(rows: dict[bytes, bytes], generation: int) -> Iterator[tuple[str, str, set[str]]]:
    """The tasks whose delivery would differ: which, how, and in which fields of a contact."""
    known = GenerationsRow() if ROW not in rows else read_generations(rows[ROW])
    if generation == known.active:
        return
    prefix = shadow_key(generation, "")
    tasks = {key.decode() for key in rows if key[:1] in _TASKS}
    tasks |= {key[len(prefix) :].decode() for key in rows if key.startswith(prefix)}
    for task in sorted(tasks):
        codec = CODECS[family_of(task)]
        now = codec.decode(rows[task.encode()]) if task.encode() in rows else codec.kind()
        key = shadow_key(generation, task)
        new = codec.decode(rows[key]) if key in rows else None
        held = isinstance(now, RecordDeliveryState) and held_key(generation, now.source) in rows
        if (difference := _difference(now, new, held=held)) is not None:
            yield task, f"{family_of(task).label} {difference[0]}", difference[1]


def _difference(now: Any, new: Any, *, held: bool) -> tuple[str, set[str]] | None:
    match now:
        case ContactDeliveryState():
            return _contact(now, new)
        case RecordDeliveryState():
            return _record(now, new, held=held)
        case FollowUpDeliveryState():
            wanted = None if new is None else new.desired
            if now.done or wanted == now.desired:
                return None
            return ("withdrawn" if wanted is None else "created" if now.desired is None else "changed"), set()
    return None


def _contact(now: ContactDeliveryState, new: ContactDeliveryState | None) -> tuple[str, set[str]] | None:
    wanted = now.fields is not None
    if now.erase is not None or (new is None and not wanted):
        return None
    if new is None:
        return "withdrawn", set()
    if new.hash is None:
        return ("held", set()) if wanted else None
    if new.fields is None or not wanted:
        word = "withdrawn" if wanted else "created"
        return None if (new.fields is not None) == wanted else (word, set())
    before, after = orjson.loads(now.fields or b"{}"), orjson.loads(new.fields)
    fields = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    if now.consent.erp.signal is not new.consent.erp.signal:
        fields.add("consent")
    if now.despatched != new.despatched:
        fields.add("recent buyers' list")
    return ("changed", fields) if fields else None


def _record(now: RecordDeliveryState, new: RecordDeliveryState | None, *, held: bool) -> tuple[str, set[str]] | None:
    there = now.hash not in (None, GONE)
    wanted = new is not None and new.hash not in (None, GONE)
    if held and new is None:
        return ("held", set()) if there else None
    if there and wanted:
        return None if new is not None and new.hash == now.hash else ("changed", set())
    return None if there == wanted else ("withdrawn" if there else "created", set())
