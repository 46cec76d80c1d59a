"""What generations of the joins want that do not take effect now: rows beside the outbox's own, under the prefix ``s``.

A shadow row is a task's row of which only the desired half is used, without a record's content: the active generation's rows
are the ledger, and these become part of it when their generation takes effect. Under ``h`` stand the orders that a generation
holds, with the tasks that were frozen for it when it took effect. Only while there is a second generation is there any.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.tasks import Family, family_of, task_of
from streams.domain import wanted
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import ChangeKind, JoinedChange

_SHADOW, _HELD = "s", "h"
_FAMILIES = {
    ChangeKind.DESIRED_CONTACT: Family.CONTACT,
    ChangeKind.DESIRED_RECORD: Family.RECORD,
    ChangeKind.DESIRED_CATALOGUE: Family.CATALOGUE,
    ChangeKind.DESIRED_FOLLOW_UP: Family.FOLLOW_UP,
}

_encode = msgspec.msgpack.Encoder().encode
_decode_tasks = msgspec.msgpack.Decoder(list[str]).decode


def task_wanted(change: JoinedChange) -> str | None:
    """The task that a change of the joins is about; None: it wants none."""
    family = _FAMILIES.get(change.kind)
    if family is None:
        return None
    return (
        task_of(family, change.key) if family in (Family.CONTACT, Family.CATALOGUE) else task_of(family, change.key, change.pk)
    )


def keep(unit: UnitOfWork, task: str, change: Any) -> bool:
    """Keep what a generation wants of a task, without effect; False when it is older than what is kept."""
    codec, key = CODECS[family_of(task)], _key(change.generation, task)
    row = codec.load(unit, key)
    match family_of(task):
        case Family.CONTACT:
            done = wanted.keep_contact(row, change.row, change.position)
        case Family.FOLLOW_UP:
            done = wanted.keep_follow_up(row, change.row)
        case _:
            done = wanted.keep_record(row, change.row, change.position)
    if done:
        codec.save(unit, key, row)
    return done


def load(unit: UnitOfWork, generation: int, task: str) -> Any | None:
    """What the generation wants of a task; None: it has never said."""
    codec = CODECS[family_of(task)]
    value = unit.get(codec.key(_key(generation, task)))
    return None if value is None else codec.decode(value)


def put(unit: UnitOfWork, generation: int, task: str, row: Any | None) -> None:
    """Keep ``row`` as what the generation wants of a task; None: nothing is kept of it."""
    codec, key = CODECS[family_of(task)], _key(generation, task)
    if row is not None:
        codec.save(unit, key, row)
    elif unit.get(codec.key(key)) is not None:
        unit.put(codec.key(key), None)


def tasks_behind(unit: UnitOfWork, generation: int, after: str) -> Iterator[str]:
    """The tasks of which the generation wants something, behind ``after``, as committed before this unit."""
    prefix = _key(generation, "").encode()
    for key, _ in unit.scan(prefix, prefix + after.encode()):
        yield key[len(prefix) :].decode()


def written(unit: UnitOfWork, generation: int) -> Iterator[str]:
    """The tasks of which the unit has kept what the generation wants."""
    prefix = _key(generation, "").encode()
    yield from (key[len(prefix) :].decode() for key, value in unit.writes.items() if value and key.startswith(prefix))


def forget_person(unit: UnitOfWork, generations: Iterable[int], email: str) -> None:
    """An address is erased: nothing is wanted of it any more, in any generation."""
    for generation in generations:
        for family in (Family.CONTACT, Family.FOLLOW_UP, Family.RECORD):
            prefix = _key(generation, task_of(family, email)).encode()
            for key in {prefix, *(found for found, _ in unit.scan(prefix + b"\0"))}:
                put(unit, generation, key[len(_key(generation, "")) :].decode(), None)
            for key in [key for key, value in unit.writes.items() if value and key.startswith(prefix + b"\0")]:
                unit.put(key, None)


def hold(unit: UnitOfWork, generation: int, order: int, tasks: Iterable[str] = ()) -> None:
    """The generation holds an order, for which ``tasks`` are frozen."""
    unit.put(held_key(generation, order), _encode(sorted({*(held(unit, generation, order) or ()), *tasks})))


def held(unit: UnitOfWork, generation: int, order: int) -> list[str] | None:
    """The tasks that are frozen for an order; None: it is not held."""
    value = unit.get(held_key(generation, order))
    return None if value is None else _decode_tasks(value)


def release(unit: UnitOfWork, generation: int, order: int) -> None:
    """The generation does not hold the order any more."""
    if unit.get(held_key(generation, order)) is not None:
        unit.put(held_key(generation, order), None)


def drop_some(unit: UnitOfWork, generation: int, most: int) -> bool:
    """Delete so many rows of a generation; False: there is none left."""
    for prefix in (_key(generation, "").encode(), held_key(generation)):
        for key, _ in unit.scan(prefix):
            if most <= 0:
                return True
            unit.put(key, None)
            most -= 1
    return False


def _key(generation: int, task: str) -> str:
    return f"{_SHADOW}{generation}\0{task}"


def shadow_key(generation: int, task: str) -> bytes:
    """Where is kept what the generation wants of a task."""
    return _key(generation, task).encode()


def held_key(generation: int, order: int | str = "") -> bytes:
    """Where is kept that the generation holds an order."""
    return f"{_HELD}{generation}\0{order}".encode()
