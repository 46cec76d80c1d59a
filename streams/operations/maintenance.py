"""Entries of the audit trail for what operators do to topics and state."""

from streams.core.clock import Clock
from streams.kafka.producer import BatchProducer
from streams.messages.audit import Maintained, MaintenanceAction
from streams.messages.audit_log import AuditLog
from streams.settings import Settings

_KEY = b"maintenance"


async def record_maintenance(settings: Settings, action: MaintenanceAction, operator: str, clock: Clock) -> None:
    """Write down that ``operator`` does it: once nothing refuses any more, and before the first change.

    Raises:
        aiokafka.errors.KafkaError: the broker did not acknowledge; nothing may be changed then.
    """
    async with BatchProducer(settings) as producer:
        await AuditLog.of(settings, producer).write(Maintained(clock.now_ms(), operator, action), _KEY)
