"""Removals that the brake holds: what a person is shown, and the decision on it, which goes into the audit topic first."""

from dataclasses import dataclass

from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.audit import RemovalsDecided
from streams.messages.audit_log import AuditLog
from streams.messages.changes import EVERYWHERE
from streams.messages.removal_kinds import RemovalDecisionChange
from streams.messages.removals import BRAKE_PARTITION, Decision, HeldRemovals, RemovalDecision, RemovalKind, read_held
from streams.messages.topics import Topics
from streams.settings import Settings


async def held_removals(settings: Settings) -> list[HeldRemovals]:
    """What is held now, the oldest first.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    latest: dict[RemovalKind, HeldRemovals] = {}
    async for record in read_topic(KafkaConfig.of(settings), Topics.of(settings.app_id).removals, [BRAKE_PARTITION]):
        held = read_held(record.value)
        latest[held.kind] = held
    return sorted((held for held in latest.values() if held.count), key=lambda held: held.since)


@dataclass(frozen=True, slots=True)
class RemovalDecisions:
    """Decides for the person ``operator``."""

    producer: BatchProducer
    audit: AuditLog
    topics: Topics
    partitions: int
    operator: str
    clock: Clock

    async def decide(self, held: HeldRemovals, decision: Decision) -> None:
        """Release or discard the removals that ``held`` shows, and no others.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge; it may be repeated.
        """
        now = self.clock.now_ms()
        entry = RemovalsDecided(now, self.operator, decision, held.kind, held.count)
        await self.audit.write(entry, held.kind.encode())
        row = RemovalDecision(held.kind, decision == "release", held.upto)
        change = RemovalDecisionChange(EVERYWHERE, held.kind, b"", Lane.URGENT, now, row)
        value = self.topics.desired.pack([change])
        # The brake's own last: it counts anew once it has read the decision, and the others must have read it by then.
        for partition in sorted(range(self.partitions), key=lambda place: place == BRAKE_PARTITION):
            await self.producer.send_one(self.topics.desired, partition, None, value)
