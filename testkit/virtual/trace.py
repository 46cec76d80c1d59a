"""A recorded trace: what should stand in Dotdigital, change by change, as dispatch gets it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from streams.mapping import Mapping
from streams.messages.changes import Change, ChangeKind, pack
from testkit.virtual.event_loop import ORIGIN_MS

Deliverable: TypeAlias = tuple[str, str]
"""What Dotdigital holds under one key: ``contact`` and the address, or an insight collection and the record's key."""

CONTACT = "contact"

START_MS = ORIGIN_MS + 3_600_000
"""When every trace begins (epoch ms): an hour is left to deliver what was delivered before."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change, ``at`` milliseconds after the trace began."""

    at: int
    change: Change


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace, always the same for the same name and seed.

    ``before`` yields what was delivered before it begins. Dotdigital cannot be reached during ``outage`` (seconds, from and
    to). The pressure is over at ``relief`` (seconds): from there on the time to drain counts.
    """

    name: str
    about: str
    before: Callable[[], Iterator[Change]]
    events: Callable[[], Iterator[Event]]
    relief: float
    outage: tuple[float, float] | None = None

    def checksum(self) -> str:
        """Identifies everything in it."""
        digest = sha256()
        for change in self.before():
            digest.update(pack([change]))
        for event in self.events():
            digest.update(event.at.to_bytes(8, "big") + pack([event.change]))
        return digest.hexdigest()[:16]


def collections_of(mapping: Mapping) -> dict[ChangeKind, str]:
    """The collection of each kind of record that traces hold."""
    parts = {ChangeKind.DESIRED_RECORD: mapping.delivery.orders, ChangeKind.DESIRED_CATALOGUE: mapping.delivery.catalogue}
    return {kind: part.collection for kind, part in parts.items() if part is not None}


def deliverable_of(change: Change, collections: dict[ChangeKind, str]) -> Deliverable:
    """What ``change`` is about; ``collections`` names the collection of each kind of record."""
    if change.kind is ChangeKind.DESIRED_CONTACT:
        return CONTACT, change.key
    return collections[change.kind], str(change.pk)
