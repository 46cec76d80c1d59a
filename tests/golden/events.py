"""The golden events, read from the committed file."""

import json
from dataclasses import dataclass

from streams.capture.envelope import Decoded, RowEvent, decode
from tests.golden.generate import EVENTS


@dataclass(frozen=True, slots=True)
class Event:
    """One record as Kafka would have it."""

    topic: str
    key: bytes
    value: bytes | None
    headers: dict[str, str]

    def decoded(self) -> Decoded:
        """What our decoder makes of it."""
        return decode(self.key, self.value)

    def row(self) -> RowEvent:
        """The same, which must be a change of a row."""
        found = self.decoded()
        assert isinstance(found, RowEvent)
        return found


def _read() -> dict[str, dict[str, Event]]:
    found: dict[str, dict[str, Event]] = {}
    for line in EVENTS.read_bytes().splitlines():
        published = json.loads(line)
        value = published["value"]
        event = Event(
            published["topic"], published["key"].encode(), None if value is None else value.encode(), published["headers"]
        )
        assert published["case"] not in found.setdefault(published["mode"], {}), "each case has a name of its own"
        found[published["mode"]][published["case"]] = event
    return found


GOLDEN = _read()
"""Events by mode and case."""
