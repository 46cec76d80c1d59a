"""The outbox's rows of all workers: those that are open here, and over HTTP those of the others."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.tasks import family_of
from streams.operations.state_client import StateClient, StateUnavailableError
from streams.operations.state_queries import (
    AddressQuery,
    AddressReply,
    HeldQuery,
    HeldReply,
    HeldRow,
    Query,
    Reply,
    StoredTask,
    TaskSliceQuery,
    TasksQuery,
    TasksReply,
)
from streams.operations.state_replies import StateReplies

OTHERS_CLOSED = "not all partitions are open here: set OWDD_WORKERS and OWDD_STATE_TOKEN, so that other workers can be asked"

_BYTES = 32 * 2**10
"""Bytes of task keys in one question; a worker takes twice as many."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """``here`` answers for this worker; ``workers`` for the others, None where this one is alone."""

    here: StateReplies
    workers: StateClient | None

    async def rows(self, tasks: Iterable[str]) -> dict[str, StoredTask]:
        """The rows of all ``tasks``.

        Raises:
            StateUnavailableError: no worker that can be asked has the partition of one of them open.
        """
        found: dict[str, StoredTask] = {}
        for some in _chunks(tasks):
            found |= _merged([self.here.reply(TasksQuery(some))])
            if missing := [task for task in some if task not in found]:
                others, reason = await self._of_others(TasksQuery(missing))
                found |= _merged(others)
                if not all(task in found for task in missing):
                    raise StateUnavailableError(reason)
        return found

    async def slices(self, partition: int, prefix: str, after: str = "") -> AsyncIterator[dict[str, StoredTask]]:
        """All rows of one partition whose task keys begin with ``prefix``, those behind ``after``, in order.

        Raises:
            StateUnavailableError: as :meth:`rows`.
        """
        more = True
        while more:
            query = TaskSliceQuery(partition, prefix, after)
            replies = [self.here.reply(query)]
            found = [reply for reply in replies if isinstance(reply, TasksReply)]
            if not found:
                others, reason = await self._of_others(query)
                found = [reply for reply in others if isinstance(reply, TasksReply)]
                if not found:
                    raise StateUnavailableError(reason)
            yield found[0].rows
            more, after = found[0].more, next(reversed(found[0].rows), after)

    async def held(self) -> list[HeldRow]:
        """The documents that are held or frozen, as far as workers can be asked."""
        replies = [self.here.reply(HeldQuery()), *(await self._of_others(HeldQuery()))[0]]
        rows = {(row.table, row.key): row for reply in replies if isinstance(reply, HeldReply) for row in reply.rows}
        return list(rows.values())

    async def address(self, keyed_hash: str) -> str | None:
        """The address that has this keyed hash; None: none of ours."""
        query = AddressQuery(keyed_hash)
        replies = [self.here.reply(query), *(await self._of_others(query))[0]]
        return next((reply.email for reply in replies if isinstance(reply, AddressReply) and reply.email is not None), None)

    async def _of_others(self, query: Query) -> tuple[list[Reply], str]:
        """What the others reply; and if that is not all, why."""
        if self.workers is None:
            return [], OTHERS_CLOSED
        replies = await self.workers.ask([query], "")
        found = [reply for response in replies.responses for reply in response.replies if reply is not None]
        return found, f"no worker has a partition of the table outbox open{replies.reasons}"


def _merged(replies: Iterable[Reply | None]) -> dict[str, StoredTask]:
    return {task: row for reply in replies if isinstance(reply, TasksReply) for task, row in reply.rows.items()}


def row_of(task: str, stored: StoredTask) -> Any:
    """The row of a task as it was stored; None: there is none."""
    return None if stored.value is None else CODECS[family_of(task)].decode(stored.value)


def _chunks(tasks: Iterable[str]) -> Iterator[list[str]]:
    some: list[str] = []
    size = 0
    for task in tasks:
        size += len(task.encode())
        if some and size > _BYTES:
            yield some
            some, size = [], len(task.encode())
        some.append(task)
    if some:
        yield some
