"""What would change if other joins took effect: what they want against what is wanted now, task by task, field by field.

A generation is read from the changelog of the outbox, one partition after the other, so that memory holds one of them at most.
Of records only digests are stored there, so of a changed one it is known that it differs, and not in what.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias

import orjson
from aiokafka import TopicPartition

from streams.dispatch.outbox.generations import ROW, GenerationsRow, read_generations
from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.shadow_rows import held_key, shadow_key
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, Work, family_of, owner_of, task_of
from streams.domain.consent import Signal
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.digester import Digester
from streams.domain.record_state import GONE, FollowUpDeliveryState, RecordDeliveryState
from streams.kafka.reader import read_to_end, reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import tables
from streams.mapping import Mapping as SiteMapping
from streams.messages.dead_letters import keyed_hash
from streams.settings import Settings

_TASKS = tuple(family.value.encode() for family in Family)

Outcome: TypeAlias = Literal["created", "changed", "withdrawn", "held"]
ListChange: TypeAlias = Literal["joined", "left"]
Fields: TypeAlias = Mapping[str, tuple[Any, Any]]
"""What a field is, and what it would be; None: it is not there."""


@dataclass(frozen=True, slots=True)
class TaskDifference:
    """One delivery that would differ.

    Attributes:
        task: which one.
        word: what becomes of it; what is held stays as it was delivered.
        work: how it is sent; None: nothing is.
        fields: in which it differs, as far as the content is known.
        list_change: what becomes of a contact's place on the recent buyers' list.
    """

    task: str
    word: Outcome
    work: Work | None = None
    fields: Fields = field(default_factory=dict)
    list_change: ListChange | None = None

    @property
    def what(self) -> str:
        """For people."""
        return f"{family_of(self.task).label} {self.word}"


@dataclass(frozen=True, slots=True)
class RecentBuyers:
    """Who is on the recent buyers' list now, and who would be: the number of days may differ too."""

    now: SitePolicy
    new: SitePolicy
    at_s: float

    @classmethod
    def of(cls, settings: Settings, now: SiteMapping, new: SiteMapping, at_s: float) -> Self:
        """By two mappings, at a time (UTC epoch seconds)."""
        digest, hash_key = Digester(*settings.erasure_keys), settings.hash_key.get_secret_value().encode()
        return cls(SitePolicy.of(now, digest, hash_key), SitePolicy.of(new, digest, hash_key), at_s)

    def change(self, now: ContactDeliveryState, new: ContactDeliveryState | None) -> ListChange | None:
        """What becomes of a contact's place."""
        before = self.now.listed_until(now) > self.at_s
        after = new is not None and self.new.listed_until(new) > self.at_s
        return None if before == after else "joined" if after else "left"


@dataclass(frozen=True, slots=True)
class Examples:
    """How many differences are shown one by one, and by what key people are hashed; None: as they are, with what differs."""

    most: int
    hash_key: bytes | None

    @classmethod
    def of(cls, settings: Settings, most: int, *, personal: bool) -> Self:
        """As an operator asks for them."""
        return cls(most, None if personal else settings.hash_key.get_secret_value().encode())

    def shown(self, found: TaskDifference) -> dict[str, str]:
        """One of them, for print."""
        owner = owner_of(found.task)
        whose = owner if self.hash_key is None else keyed_hash(owner.encode(), self.hash_key)
        names = sorted(found.fields)
        if self.hash_key is None:
            names = [f"{name}: {_text(found.fields[name][0])} → {_text(found.fields[name][1])}" for name in names]
        if found.list_change is not None:
            names.append(f"list place {found.list_change}")
        return {"whose": whose, "what": found.what, "fields": ", ".join(names)}


@dataclass(slots=True)
class Differences:
    """What a switch would do.

    Attributes:
        compared: deliveries that were looked at.
        changes: how many of each family are created, changed, withdrawn, or held as they are.
        places: contacts that join or leave the recent buyers' list.
        fields: by family, how many differ in each field, as far as the content is known.
        due: what is to be sent, by family and by the way in which it goes.
        examples: some of them, by the keyed hash of the contact or variant.
    """

    compared: int = 0
    changes: Counter[tuple[Family, Outcome]] = field(default_factory=Counter)
    places: Counter[ListChange] = field(default_factory=Counter)
    fields: dict[Family, Counter[str]] = field(default_factory=dict)
    due: Counter[tuple[Family, Work]] = field(default_factory=Counter)
    examples: list[dict[str, str]] = field(default_factory=list)

    @property
    def differing(self) -> int:
        """Deliveries that do not stay as they are."""
        return sum(count for (_, word), count in self.changes.items() if word != "held")

    def add(self, found: TaskDifference, examples: Examples) -> None:
        """Count one."""
        family = family_of(found.task)
        self.changes[family, found.word] += 1
        self.fields.setdefault(family, Counter()).update(found.fields.keys())
        if found.list_change is not None:
            self.places[found.list_change] += 1
        if found.work is not None:
            self.due[family, found.work] += 1
        if len(self.examples) < examples.most:
            self.examples.append(examples.shown(found))


async def differences(settings: Settings, generation: int, lists: RecentBuyers, examples: Examples) -> Differences:
    """Compare what ``generation`` wants with what is wanted now.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found = Differences()
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
            for difference in changed_tasks(rows, generation, lists):
                found.add(difference, examples)
            found.compared += sum(key[:1] in _TASKS for key in rows)
    return found


def changed_tasks(rows: Mapping[bytes, bytes], generation: int, lists: RecentBuyers) -> Iterator[TaskDifference]:
    """The deliveries that would differ, from rows of the outbox."""
    known = GenerationsRow() if ROW not in rows else read_generations(rows[ROW])
    if generation == known.active:
        return
    prefix = shadow_key(generation, "")
    tasks = {key.decode() for key in rows if key[:1] in _TASKS}
    tasks |= {key[len(prefix) :].decode() for key in rows if key.startswith(prefix)}
    of_held_orders = _with_held_orders(rows, generation)
    for task in sorted(tasks):
        codec = CODECS[family_of(task)]
        now = codec.decode(rows[task.encode()]) if task.encode() in rows else codec.kind()
        key = shadow_key(generation, task)
        new = codec.decode(rows[key]) if key in rows else None
        held = task in of_held_orders or _cannot_be_found(rows, generation, task)
        if (difference := task_difference(task, now, new, lists, held=held)) is not None:
            yield difference


def _with_held_orders(rows: Mapping[bytes, bytes], generation: int) -> set[str]:
    """The records of orders that the generation holds, and their contacts."""
    if not any(key.startswith(held_key(generation)) for key in rows):
        return set()
    mark, codec = Family.RECORD.value.encode(), CODECS[Family.RECORD]
    records = [key.decode() for key in rows if key[:1] == mark and held_key(generation, codec.decode(rows[key]).source) in rows]
    return {*records, *(task_of(Family.CONTACT, owner_of(record)) for record in records)}


def _cannot_be_found(rows: Mapping[bytes, bytes], generation: int, task: str) -> bool:
    """Whether the row with the address of a record's contact cannot be read, so that the generation knows of neither."""
    contact = task_of(Family.CONTACT, owner_of(task))
    if family_of(task) is not Family.RECORD or contact.encode() not in rows or shadow_key(generation, contact) in rows:
        return False
    row: ContactDeliveryState = CODECS[Family.CONTACT].decode(rows[contact.encode()])
    return row.unreadable


def task_difference(task: str, now: Any, new: Any, lists: RecentBuyers, *, held: bool) -> TaskDifference | None:
    """One delivery: ``now`` and ``new`` are rows of its family; ``new`` is None where nothing was ever wanted of it.

    ``held``: the new joins hold the order that the delivery is about, or one whose record the contact has.
    """
    match now:
        case ContactDeliveryState():
            return _contact(task, now, new, lists, held=held)
        case RecordDeliveryState():
            return _record(task, now, new, held=held)
        case FollowUpDeliveryState():
            wanted = None if new is None else new.desired
            if now.done or wanted == now.desired:
                return None
            if wanted is None:
                return TaskDifference(task, "withdrawn")
            return TaskDifference(task, "created" if now.desired is None else "changed", Work.FOLLOW_UP)
    return None


def _contact(
    task: str, now: ContactDeliveryState, new: ContactDeliveryState | None, lists: RecentBuyers, *, held: bool
) -> TaskDifference | None:
    wanted, stays = now.fields is not None, new is not None and new.fields is not None
    if now.erase is not None or not (wanted or stays or new is not None):
        return None
    if (new is not None and new.hash is None) or (new is None and (held or now.unreadable)):
        return TaskDifference(task, "held") if wanted else None
    change, upsert = lists.change(now, new), Work.EXISTING if now.known else Work.NEW
    if not stays:
        return TaskDifference(task, "withdrawn", Work.ALONE if now.known else None, list_change=change) if wanted else None
    if not wanted:
        return TaskDifference(task, "created", upsert, list_change=change)
    fields = dict(_changed_fields(now.fields, new.fields if new is not None else None))
    work = upsert if fields or change == "joined" else Work.LIST if change == "left" else None
    before, after = now.consent.erp.signal, Signal.SILENT if new is None else new.consent.erp.signal
    if before is not after:
        fields["consent"] = (before.name.lower(), after.name.lower())
        work = Work.ALONE if after is Signal.OUT else work
    return TaskDifference(task, "changed", work, fields, change) if fields or change is not None else None


def _record(task: str, now: RecordDeliveryState, new: RecordDeliveryState | None, *, held: bool) -> TaskDifference | None:
    there = now.hash not in (None, GONE)
    stays = new is not None and new.hash not in (None, GONE)
    if (held and new is None) or (new is not None and new.hash is None):
        return TaskDifference(task, "held") if there else None
    if not stays:
        return TaskDifference(task, "withdrawn", Work.RECORD_ALONE) if there else None
    work = Work.CATALOGUE if family_of(task) is Family.CATALOGUE else Work.RECORD
    if not there:
        return TaskDifference(task, "created", work)
    if new is None or new.hash == now.hash:
        return None
    known = now.content is not None and new.content is not None
    return TaskDifference(task, "changed", work, dict(_changed_fields(now.content, new.content)) if known else {})


def _changed_fields(before: bytes | None, after: bytes | None) -> Iterator[tuple[str, tuple[Any, Any]]]:
    old, new = orjson.loads(before or b"{}"), orjson.loads(after or b"{}")
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield name, (old.get(name), new.get(name))


def _text(value: Any) -> str:
    return "nothing" if value is None else orjson.dumps(value).decode()
