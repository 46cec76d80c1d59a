"""Custom events (v3). They are accepted in bulk, and there is no report: Dotdigital drops an event of an unknown contact.

So an event is sent only after its contact was delivered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from streams.dotdigital.responses import stamp
from streams.dotdigital.tiers import Operation
from streams.dotdigital.transport import ApiGroup

MOST_EVENTS: Final = 5000
"""Dotdigital's limit of events in one import."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a contact. ``at``: UTC epoch seconds; ``content``: the JSON object of its data."""

    email: str
    type: str
    event_id: str
    at: int
    content: bytes

    def encode(self) -> bytes:
        """The event's JSON."""
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
        """Send up to 5000 events. One malformed event causes all of them to be refused.

        Raises:
            DataError: an event is malformed (``events:badJson``).
        """
        body = b"[%b]" % b",".join(event.encode() for event in events)
        await self._call(Operation.IMPORT_EVENTS, "POST", "/events/v3/import", body)
