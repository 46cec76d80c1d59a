"""The outbox as a ledger: rows of delivery tasks as they are stored, for whoever compares them with what Dotdigital shows."""

from collections.abc import Iterable, Iterator
from itertools import islice

from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.row_saver import DIRTY
from streams.dispatch.outbox.tasks import owner_of
from streams.engine.table import StateTable
from streams.messages.changes import partition_of
from streams.operations.state_queries import MOST_TASKS, StoredTask, TaskSliceQuery, TasksQuery, TasksReply

_LARGEST = 2**20
"""Bytes of rows in a reply; one row more may be in it."""


def reply(table: StateTable | None, query: TasksQuery | TaskSliceQuery, partitions: int) -> TasksReply | None:
    """What of the query this worker's ``table`` of the outbox has open; None: nothing can be."""
    if table is None:
        return None
    if isinstance(query, TasksQuery):
        return TasksReply(dict(_rows(table, query.tasks, partitions)))
    return _slice(table, query) if query.partition in table.owned() else None


def _rows(table: StateTable, tasks: Iterable[str], partitions: int) -> Iterator[tuple[str, StoredTask]]:
    owned = table.owned()
    for task in tasks:
        place = partition_of(owner_of(task), partitions)
        if place in owned:
            yield task, StoredTask(table.get(place, task.encode()), _waits(table, place, task))


def _slice(table: StateTable, query: TaskSliceQuery) -> TasksReply:
    found: dict[str, StoredTask] = {}
    size = 0
    most = min(query.most, MOST_TASKS)
    for key, value in islice(table.scan(query.partition, query.prefix.encode(), query.after.encode()), most + 1):
        if len(found) == most or size > _LARGEST:
            return TasksReply(found, more=True)
        task = key.decode()
        found[task] = StoredTask(value, _waits(table, query.partition, task))
        size += len(value)
    return TasksReply(found)


def _waits(table: StateTable, partition: int, task: str) -> bool:
    value = table.get(partition, f"{DIRTY}{task}".encode())
    return value is not None and not DeliveryTask.stored(task, partition, value).timer
