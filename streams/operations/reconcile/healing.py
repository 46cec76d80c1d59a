"""Puts differences right: nothing is written into Dotdigital from here, dispatch is asked to deliver again.

Each request names the delivery event up to which the row was compared, so one that comes late or twice finds a row that was
delivered since, and does nothing.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.dispatch.outbox.tasks import owner_of
from streams.domain.versioned import version_bytes
from streams.engine.unit_of_work import packed
from streams.kafka.producer import BatchProducer
from streams.messages.changes import ContactObserved, partition_of
from streams.messages.drift import DriftFound, DriftFoundChange, Lost
from streams.messages.kinds import ContactObservedChange, DesiredChange
from streams.messages.topics import Topics
from streams.operations.reconcile.checks import Checked

_LOST: Final[tuple[Lost, ...]] = ("content", "contact", "list place", "opt-out")


@dataclass(frozen=True, slots=True)
class Healing:
    """Asks through the outbox's topic."""

    producer: BatchProducer
    topics: Topics
    partitions: int
    clock: Clock

    async def heal(self, checked: Iterable[Checked]) -> None:
        """Have everything that differs put right, opt-outs and refusals first in line.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge; it may be repeated.
        """
        places = defaultdict[int, list[DesiredChange]](list)
        for one in checked:
            places[partition_of(owner_of(one.task), self.partitions)] += self._changes(one)
        for place, changes in places.items():
            if changes:
                await self.producer.send(self.topics.desired, place, packed(self.topics.desired, changes))

    def _changes(self, checked: Checked) -> list[DesiredChange]:
        owner, now = owner_of(checked.task), self.clock.now_ms()
        cures = {difference.cure for difference in checked.differences}
        found: list[DesiredChange] = []
        if "refusal" in cures and checked.contact is not None:
            contact = checked.contact
            seen, position = (
                ContactObserved(contact.contact_id, contact.email_status),
                version_bytes(contact.updated * 1_000_000),
            )
            found.append(ContactObservedChange(owner, contact.contact_id, position, Lane.URGENT, now, seen))
        if lost := tuple(one for one in _LOST if one in cures):
            lane = Lane.URGENT if "opt-out" in lost else Lane.BULK
            found.append(DriftFoundChange(owner, checked.task, b"", lane, now, DriftFound(lost, checked.event)))
        return found
