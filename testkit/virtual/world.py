"""One contender plays one trace: real calls against the sandbox's real code, in virtual time."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from streams.domain.debounce import Debounce
from streams.mapping import Mapping
from streams.messages.changes import Change
from testkit.sandbox.store import Store
from testkit.virtual.account import Terms, open_account
from testkit.virtual.backlog import Backlog, Carried
from testkit.virtual.contender import Contender, Surroundings
from testkit.virtual.event_loop import VirtualClock
from testkit.virtual.network import Call, Network
from testkit.virtual.trace import CONTACT, START_MS, Event, Trace, collections_of
from testkit.virtual.wire import held, holdings

_CHUNK = 1000
_SETTLE = 900.0
"""Seconds after the last call, for reports of imports to be read."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it. ``changes`` counts events that wanted something new; times are epoch ms.

    ``undelivered`` is what no call had carried when patience ended, ``wrong`` what Dotdigital holds otherwise in the end.
    """

    trace: Trace
    changes: int
    calls: list[Call]
    carried: Carried
    undelivered: int
    wrong: int


class UndeliveredError(Exception):
    """A contender did not deliver in time what was before the trace."""


class World:
    """The account, the way to it, and who keeps count."""

    def __init__(self, mapping: Mapping, terms: Terms, debounce: Debounce, clock: VirtualClock, directory: Path) -> None:
        self.clock = clock
        self.ledger = Backlog(collections_of(mapping), debounce)
        self.box = open_account(mapping, terms, clock)
        self.network = Network(self.box, clock, self.ledger, terms.reply_seconds)
        self.surroundings = Surroundings(clock, self.network, mapping, terms, debounce, directory)
        self._tiers = terms.tiers

    async def play(self, trace: Trace, make: Callable[[Surroundings], Contender], *, patience: float) -> Played:
        """Deliver what was before, then the trace; wait up to ``patience`` seconds after its last change.

        Raises:
            UndeliveredError: the contender cannot even deliver what was before.
        """
        contender = make(self.surroundings)
        running = asyncio.create_task(contender.run())
        try:
            await self._before(trace, contender)
            changes = await self._feed(trace, contender)
            with suppress(TimeoutError):
                await self._until_idle(running, patience)
            undelivered = self.ledger.outstanding
            self.ledger.give_up(self.clock.now_ms())
            await self._sleep_until(self.clock.now_ms() + int(_SETTLE * 1000))
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        return Played(trace, changes, self.network.calls, self.ledger.carried, undelivered, self.wrong())

    async def _before(self, trace: Trace, contender: Contender) -> None:
        """Without limits: nobody counts these calls."""
        batch: list[Change] = []
        for change in trace.before():
            self.ledger.wanted(change, self.clock.now_ms())
            batch.append(change)
        for start in range(0, len(batch), _CHUNK):
            contender.feed(batch[start : start + _CHUNK])
        try:
            await asyncio.wait_for(self.ledger.idle.wait(), (START_MS - self.clock.now_ms()) / 1000 - _SETTLE)
        except TimeoutError:
            raise UndeliveredError("what was before the trace is not delivered") from None
        await self._sleep_until(START_MS)
        self.box.store.limits.update(self._tiers)
        self.network.calls = []
        self.ledger.begin(START_MS + int(trace.relief * 1000))

    async def _feed(self, trace: Trace, contender: Contender) -> int:
        cut = asyncio.create_task(self._outage(trace.outage)) if trace.outage else None
        changes = 0
        for at, events in _by_time(trace.events()):
            await self._sleep_until(START_MS + at)
            batch = [event.change for event in events]
            changes += sum(self.ledger.wanted(change, START_MS + at) for change in batch)
            contender.feed(batch)
        if cut is not None:
            await cut
        return changes

    async def _outage(self, between: tuple[float, float]) -> None:
        for seconds, down in zip(between, (True, False), strict=True):
            await self._sleep_until(START_MS + int(seconds * 1000))
            self.network.down = down

    async def _until_idle(self, running: asyncio.Task[None], patience: float) -> None:
        """The contender may also end by an error, which is raised."""
        idle = asyncio.create_task(self.ledger.idle.wait())
        async with asyncio.timeout(patience):
            await asyncio.wait([idle, running], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()

    async def _sleep_until(self, moment: int) -> None:
        await asyncio.sleep(max(0, moment - self.clock.now_ms()) / 1000)

    def wrong(self) -> int:
        """How many deliverables Dotdigital does not hold as they were wanted last."""
        store = self.box.store
        store.jobs.settle(store.clock().timestamp())
        records = dict(holdings(store))
        return sum(
            not (_holds(store, key, content) if kind == CONTACT else records.get((kind, key)) == content)
            for (kind, key), content in self.ledger.desired.items()
        )


def _holds(store: Store, email: str, content: bytes) -> bool:
    contact = store.find("email", email)
    return contact is not None and contact.binned is None and held(contact, content) == content


def _by_time(events: Iterator[Event]) -> Iterator[tuple[int, list[Event]]]:
    for at, group in groupby(events, key=lambda event: event.at):
        yield at, list(group)
