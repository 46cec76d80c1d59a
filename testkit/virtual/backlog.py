"""What must still be delivered, and how long each change took until it was."""

import asyncio
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.core.lanes import Lane
from streams.domain.debounce import Debounce
from streams.messages.changes import Change, ChangeKind, DesiredContact, DesiredRecord
from testkit.virtual.trace import Deliverable, deliverable_of
from testkit.virtual.wire import ParsedCall, canonical

_NOTHING = canonical({})
"""What a call carries that is about the list or an opt-out alone."""


@dataclass(slots=True)
class _Open:
    """A change that no call has carried yet; ``out``: its opt-out, which a call must state explicitly."""

    at: int
    lane: Lane
    content: bytes | None
    out: bool


class Late(NamedTuple):
    """A change that waited longer than its lane may: when it was made, its deadline, and when it was sent (epoch ms)."""

    lane: Lane
    made: int
    deadline: int
    sent: int


@dataclass(slots=True)
class Carried:
    """How long changes waited for their request: ``delays`` in ms by lane.

    ``drained`` is the last request (epoch ms) for a change made up to ``relief``.
    """

    relief: int = 0
    delays: dict[Lane, "array[int]"] = field(default_factory=lambda: {lane: array("q") for lane in Lane})
    late: list[Late] = field(default_factory=list)
    drained: int = 0


class Backlog:
    """Changes against calls. A call delivers every change of a deliverable up to the content that it carries."""

    def __init__(self, collections: dict[ChangeKind, str], debounce: Debounce) -> None:
        self._collections = collections
        self._debounce = debounce
        self._open: dict[Deliverable, list[_Open]] = defaultdict(list)
        self._subscribed: set[Deliverable] = set()
        self._held: dict[Deliverable, bytes] = {}
        self.desired: dict[Deliverable, bytes] = {}
        self.carried = Carried()
        self.idle = asyncio.Event()
        self.idle.set()

    def wanted(self, change: Change, at: int) -> bool:
        """Note a change made at ``at`` (epoch ms); False when it wants nothing that was not wanted before."""
        deliverable = deliverable_of(change, self._collections)
        content, out = self._content(change), False
        if isinstance(change.row, DesiredContact):
            if deliverable not in self.desired and change.row.opted:
                self._subscribed.add(deliverable)
            # Who never was subscribed has no opt-out to send.
            out = change.row.opted is False and deliverable in self._subscribed
            if out:
                self._subscribed.remove(deliverable)
        if self.desired.get(deliverable) == content and not out:
            return False
        self.desired[deliverable] = content
        waiting = self._open[deliverable]
        waiting.append(_Open(at, Lane(change.lane), content, out))
        self.idle.clear()
        if self._held.get(deliverable) == content and not any(change.out for change in waiting):
            # What was changed back before it was delivered needs no call.
            self._close(deliverable)
        return True

    def delivered(self, said: ParsedCall, at: int, *, refused: bool) -> None:
        """Note a call of ``at`` (epoch ms) that was answered well; ``refused``: the contact is unsubscribed by now."""
        if said.content != _NOTHING:
            self._held[said.deliverable] = said.content
        waiting = self._open.get(said.deliverable)
        if waiting is None:
            self._overtaken(said, at)
            return
        upto = max((number for number, change in enumerate(waiting) if change.content == said.content), default=-1)
        for number, change in enumerate(waiting):
            if number <= upto:
                change.content = None
            change.out = change.out and not refused
        for change in [change for change in waiting if change.content is None and not change.out]:
            waiting.remove(change)
            self._done(change, at)
        if not waiting:
            self._close(said.deliverable)

    def _overtaken(self, said: ParsedCall, at: int) -> None:
        """A call that was under way carried what was changed back meanwhile."""
        content = self.desired.get(said.deliverable)
        if content is not None and said.content not in (_NOTHING, content):
            self._open[said.deliverable].append(_Open(at, Lane.LIVE, content, out=False))
            self.idle.clear()

    def _close(self, deliverable: Deliverable) -> None:
        del self._open[deliverable]
        if not self._open:
            self.idle.set()

    @property
    def outstanding(self) -> int:
        """Deliverables with a change that no call has carried."""
        return len(self._open)

    def begin(self, relief: int) -> None:
        """Count from here on."""
        self.carried = Carried(relief)

    def give_up(self, at: int) -> None:
        """What was never carried has waited until ``at``; it has no delay."""
        for waiting in self._open.values():
            for change in waiting:
                self._late(change, at)

    def _done(self, change: _Open, at: int) -> None:
        self.carried.delays[change.lane].append(at - change.at)
        self._late(change, at)

    def _late(self, change: _Open, at: int) -> None:
        if change.at <= self.carried.relief:
            self.carried.drained = max(self.carried.drained, at)
        deadline = change.at + int(self._debounce.window(change.lane).longest * 1000)
        if at > deadline:
            self.carried.late.append(Late(change.lane, change.at, deadline, at))

    def _content(self, change: Change) -> bytes:
        match change.row:
            case DesiredContact(fields=bytes(content)) | DesiredRecord(content=content):
                return canonical(content)
        raise TypeError(f"no trace says {change.kind.name} without content")
