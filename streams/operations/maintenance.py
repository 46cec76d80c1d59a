"""Entries of the audit trail for what operators do to topics and state."""

from streams.core.clock import Clock
from streams.kafka.producer import BatchProducer
from streams.messages.audit import Maintained, MaintenanceAction
from streams.messages.audit_log import AuditLog
from streams.settings import Settings

_KEY = b"maintenance"


async def record_maintenance(settings: Settings, action: MaintenanceAction, operator: str, clock: Clock) -> None:
    """Write down that ``operator`` has done it. Afterwards, for it may have been refused.

    Raises:
        aiokafka.errors.KafkaError: the broker did not acknowledge; it is done all the same.
    """
    async with BatchProducer(settings) as producer:
        await AuditLog.of(settings, producer).write(Maintained(clock.now_ms(), operator, action), _KEY)
