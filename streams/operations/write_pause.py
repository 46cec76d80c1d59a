"""Pausing and resuming all writes to Dotdigital: into the audit topic first, then where every worker follows it."""

from dataclasses import dataclass

from streams.core.clock import Clock
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.audit import WritesControlled
from streams.messages.audit_log import AuditLog
from streams.messages.topics import Topics
from streams.messages.write_control import KEY, PARTITION, RUNNING, WriteControl, read_control, write_control
from streams.settings import Settings


async def current_control(settings: Settings) -> WriteControl:
    """The pause that is in force.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    control = RUNNING
    async for record in read_topic(KafkaConfig.of(settings), Topics.of(settings.app_id).controls, [PARTITION]):
        control = read_control(record.value)
    return control


@dataclass(frozen=True, slots=True)
class WritePause:
    """Pauses and resumes for the person ``operator``."""

    producer: BatchProducer
    audit: AuditLog
    topics: Topics
    operator: str
    clock: Clock

    async def set(self, *, paused: bool, everything: bool = False) -> WriteControl:
        """Pause or resume; ``everything``: opt-outs and erasures too.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge; it may be repeated.
        """
        control = WriteControl(self.clock.now_ms(), self.operator, paused, everything)
        entry = WritesControlled(control.at, control.by, "pause" if paused else "resume", everything)
        await self.audit.write(entry, KEY)
        await self.producer.send_one(self.topics.controls, PARTITION, KEY, write_control(control))
        return control
