"""The whole examination, part after part: one that cannot be made is a finding, and ends none of the others."""

from collections.abc import AsyncIterator
from typing import Final

from aiokafka.errors import KafkaError

from streams.core.errors import OwddError
from streams.operations.doctor.account import account, clock
from streams.operations.doctor.broker import broker, readers, state
from streams.operations.doctor.capture import connect, heartbeat
from streams.operations.doctor.findings import Examination, Finding, Patient, failed
from streams.operations.doctor.machine import machine

_PARTS: Final[tuple[tuple[str, Examination], ...]] = (
    ("machine", machine),
    ("broker", broker),
    ("state", state),
    ("workers", readers),
    ("connect", connect),
    ("heartbeat", heartbeat),
    ("account", account),
    ("clock", clock),
)
_NEED_THE_BROKER: Final = {"state", "workers", "heartbeat"}


async def examine(patient: Patient) -> AsyncIterator[Finding]:
    """Every finding, as soon as it is known."""
    unreachable = False
    for name, part in _PARTS:
        if unreachable and name in _NEED_THE_BROKER:
            continue
        try:
            async for finding in part(patient):
                yield finding
        except OwddError as error:
            unreachable |= name == "broker"
            yield failed(name, error)
        except (KafkaError, TimeoutError) as error:
            unreachable |= name == "broker"
            fix = "Check the broker's log, and the rights of OWDD_KAFKA_USER"
            yield Finding(name, "fail", f"Kafka: {type(error).__name__}: {error}", fix)
