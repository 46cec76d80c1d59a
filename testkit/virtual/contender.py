"""What every contender is: something that is fed changes and calls Dotdigital for ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from streams.domain.debounce import Debounce
from streams.mapping import Mapping
from streams.messages.changes import Change
from testkit.virtual.account import PASSWORD, USER, Terms
from testkit.virtual.event_loop import VirtualClock

CONNECTIONS = 8
URL = "http://sandbox"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a contender is given; ``debounce`` and ``directory`` (an empty one, for state) concern ours alone."""

    clock: VirtualClock
    transport: httpx.AsyncBaseTransport
    mapping: Mapping
    terms: Terms
    debounce: Debounce
    directory: Path

    def http(self) -> httpx.AsyncClient:
        """A plain client of the account, for those who bring none."""
        return httpx.AsyncClient(transport=self.transport, base_url=URL, auth=(USER, PASSWORD), timeout=30.0)


class Contender(Protocol):
    """One way of delivering."""

    def feed(self, changes: Sequence[Change]) -> None:
        """Changes that were made now."""

    async def run(self) -> None:
        """Deliver for ever."""
