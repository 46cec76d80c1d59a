"""When a contender is done: every group committed to the end of every input, and the output stands still.

CPU is counted until then, so that the last commit and the last state flush are paid for; the wall clock stops at the last
record that was written (or, without output, at the last commit).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from bench.child import Child
from bench.errors import NotDrained
from streams.kafka import client
from streams.kafka.security import KafkaConfig

_POLL_SECONDS = 0.1
_STILL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Flow:
    """What a contender reads and writes: input topics by consumer group, and the output topics, or the file, that end it."""

    inputs: Mapping[str, Sequence[str]]
    outputs: Sequence[str] = ()
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Drained:
    """Monotonic moments: ``first`` and ``last`` sign of progress; ``committed``: lag zero, and nothing written since."""

    first: float
    last: float
    committed: float


class Watch:
    """Looks at offsets through one consumer and one admin client."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self._partitions = partitions
        self._consumer = client.consumer(KafkaConfig(bootstrap))
        self._admin = client.admin_client(KafkaConfig(bootstrap))

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        await self._admin.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._admin.close()
        await self._consumer.stop()

    async def ends(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """The end offset of every partition."""
        places = [TopicPartition(topic, number) for topic in topics for number in range(self._partitions)]
        found: dict[TopicPartition, int] = await self._consumer.end_offsets(places)
        return found

    async def lag(self, inputs: Mapping[str, Sequence[str]]) -> tuple[int, int]:
        """Records not yet committed, and records committed, over all groups."""
        behind = committed = 0
        for group, topics in inputs.items():
            done = await self._committed(group)
            for place, end in (await self.ends(topics)).items():
                offset = max(0, done[place].offset) if place in done else 0
                behind += end - offset
                committed += offset
        return behind, committed

    async def _committed(self, group: str) -> dict[TopicPartition, Any]:
        try:
            found: dict[TopicPartition, Any] = await self._admin.list_consumer_group_offsets(group)
        except KafkaError as error:
            # The coordinator of a young broker or a new group may not be there yet.
            if not error.retriable:
                raise
            return {}
        return found

    async def drained(self, flow: Flow, child: Child, timeout: float = 900.0) -> Drained:
        """Wait until the contender has worked off input that is there already.

        Raises:
            ChildDied: the contender ended.
            NotDrained: it took longer than ``timeout`` seconds.
        """
        before: tuple[int, int, int] | None = None
        first = last = committed = 0.0
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            child.check()
            behind, done = await self.lag(flow.inputs)
            written = sum((await self.ends(flow.outputs)).values()) + _size(flow.file)
            now = time.monotonic()
            if before is None:
                before = (behind, done, written)
            elif before != (behind, done, written):
                first = first or now
                if written != before[2] or not (flow.outputs or flow.file):
                    last = now
                before = (behind, done, written)
            if behind:
                committed = 0.0
            elif not committed:
                committed = now
            if committed and now - max(last, committed) >= _STILL_SECONDS:
                return Drained(first or now, last or now, max(last, committed))
            await asyncio.sleep(_POLL_SECONDS)
        raise NotDrained(f"{child.name} still lags by {behind} records after {timeout:g} s:\n{child.said(20)}")


def _size(file: Path | None) -> int:
    return file.stat().st_size if file is not None and file.exists() else 0
