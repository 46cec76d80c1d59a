"""Custom events (v3). They are accepted in bulk and never reported on: an event of nobody is dropped in silence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from streams.dotdigital.responses import stamp
from streams.dotdigital.tiers import Operation
from streams.dotdigital.transport import ApiGroup

MOST_EVENTS: Final = 5000
"""Events in one import."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a contact. ``at``: UTC epoch seconds; ``content``: the JSON object of its data."""

    email: str
    type: str
    event_id: str
    at: int
    content: bytes

    def encode(self) -> bytes:
        """The event as it goes out."""
        body: dict[str, Any] = {
            "contactIdentity": {"identifier": "email", "value": self.email},
            "type": self.type,
            "id": self.event_id,
            "eventTimestamp": stamp(self.at),
            "eventData": orjson.Fragment(self.content),
        }
        return orjson.dumps(body)


class EventCalls(ApiGroup):
    """Calls for events."""

    async def import_events(self, events: Sequence[Event]) -> None:
        """Tell up to 5000 events; one that is malformed has all of them refused."""
        body = b"[%b]" % b",".join(event.encode() for event in events)
        await self._call(Operation.IMPORT_EVENTS, "POST", "/events/v3/import", body)
