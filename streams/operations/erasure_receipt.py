"""The receipt of an erasure: the results of every stage and of Dotdigital, from the audit topic."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.messages.audit import ErasureRequested, ErasureResult, read_audit

DOTDIGITAL = "dotdigital"
_POLL_MS = 200


class StageReceipt(msgspec.Struct, gc=False):
    """The result of one stage: how many of its ``expected`` partitions are done, and how many rows named the person."""

    expected: int
    partitions: int = 0
    rows: int = 0
    finished_at: int | None = None

    @property
    def done(self) -> bool:
        """Whether every partition has reported."""
        return self.partitions >= self.expected


class Receipt(msgspec.Struct, gc=False):
    """Proof of one erasure; no e-mail. Times are epoch milliseconds; ``finished_at`` is None while something is missing."""

    digest: str
    requested_at: int
    requested_by: str
    stages: dict[str, StageReceipt]
    answers: list[str] = []
    finished_at: int | None = None

    @classmethod
    def empty(cls, request: ErasureRequested, partitions: int, generations: int) -> Self:
        """The receipt before any result. Orders and buyers are searched in every partition, the joins by each generation."""
        stages = {
            "contacts": StageReceipt(generations),
            "orders": StageReceipt(generations * partitions),
            "buyers": StageReceipt(generations * partitions),
            DOTDIGITAL: StageReceipt(1),
        }
        return cls(request.digest, request.at, request.by, stages)

    def take(self, trace: ErasureResult) -> None:
        """Add the result of one partition of a stage."""
        part = self.stages.get(trace.stage)
        if part is None:
            return
        part.partitions += 1
        part.rows += trace.rows
        if part.done:
            part.finished_at = trace.at
        if trace.stage == DOTDIGITAL and trace.answer is not None:
            self.answers.append(trace.answer)
        if all(stage.done for stage in self.stages.values()):
            self.finished_at = max(stage.finished_at or 0 for stage in self.stages.values())


class Receipts:
    """Waits for the results of erasures that are requested from now on."""

    def __init__(self, consumer: AIOKafkaConsumer, partitions: int) -> None:
        self._consumer = consumer
        self._partitions = partitions

    async def wait(
        self, requests: Collection[ErasureRequested], generations: Collection[int], patience: float
    ) -> list[Receipt]:
        """The receipts, finished or, after ``patience`` seconds, as far as they are; ``generations`` of the joins must answer.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        receipts = {request.digest: Receipt.empty(request, self._partitions, len(generations)) for request in requests}
        seen: set[tuple[str, str, int, int]] = set()
        deadline = asyncio.get_running_loop().time() + patience
        while any(receipt.finished_at is None for receipt in receipts.values()):
            if asyncio.get_running_loop().time() > deadline:
                break
            for records in (await self._consumer.getmany(timeout_ms=_POLL_MS)).values():
                for record in records:
                    entry = read_audit(record.value)
                    if not isinstance(entry, ErasureResult) or entry.digest not in receipts:
                        continue
                    if entry.stage != DOTDIGITAL and entry.generation not in generations:
                        # One that was dropped meanwhile, or that began later.
                        continue
                    # A stage that did its work twice, after a crash, says so twice.
                    place = (entry.digest, entry.stage, entry.partition, entry.generation)
                    if place not in seen:
                        seen.add(place)
                        receipts[entry.digest].take(entry)
        return list(receipts.values())


@asynccontextmanager
async def receipts(kafka: KafkaConfig, audit: str, partitions: int) -> AsyncIterator[Receipts]:
    """Consume the audit topic from its present end on; enter it before the erasure is requested.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    places = [TopicPartition(audit, partition) for partition in range(partitions)]
    async with reader(kafka) as consumer:
        consumer.assign(places)
        for place, end in (await consumer.end_offsets(places)).items():
            consumer.seek(place, end)
        yield Receipts(consumer, partitions)
