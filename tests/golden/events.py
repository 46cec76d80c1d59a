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
        told = json.loads(line)
        value = told["value"]
        event = Event(told["topic"], told["key"].encode(), None if value is None else value.encode(), told["headers"])
        assert told["case"] not in found.setdefault(told["mode"], {}), "each case has a name of its own"
        found[told["mode"]][told["case"]] = event
    return found


GOLDEN = _read()
"""Events by mode and case."""
