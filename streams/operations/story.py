"""The story of one contact: why it is as it is, for a command line or a page. Made by ``streams/operations/story_reading.py``.

Everything here is personal data. Times are epoch milliseconds unless a name says otherwise.
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["right", "waiting", "attention", "absent"]
"""How a contact stands: as it should be, on its way, in need of a person, or not ours."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line for people, with an explanation below it."""

    level: Level
    headline: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FieldLine:
    """One data field: what it should hold, what Dotdigital has (None: nobody looked), the rule, and where the value comes from.

    ``differs`` None: it is not known.
    """

    name: str
    desired: str
    delivered: str | None
    differs: bool | None
    rule: str
    origin: str


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that Orderwise or Dotdigital says, with where that stands in the source's log, and since when we have it.

    ``kind``: account, person, order, credit note, consent. ``facts``: names and values.
    """

    kind: str
    title: str
    facts: dict[str, str]
    position: str = ""
    applied_at: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Something about the contact that is set aside: parked, held or frozen, with its meaning and the command for it."""

    kind: str
    what: str
    code: str
    since: int | None
    words: str
    remedy: str
    command: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing that is delivered for the contact: itself, a record, a follow-up. ``due`` None: nothing waits."""

    what: str
    state: str
    lane: str = ""
    due: int | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of the timeline. ``kind``: orderwise, applied, call, consent, due, hold."""

    at: int
    kind: str
    title: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is known of one address.

    Attributes:
        email: the address.
        at: when it was read.
        verdict: how it stands.
        facts: a few short facts, for the top.
        fields: data fields.
        inputs: what they were made of.
        deliveries: what should be in Dotdigital, and what waits.
        holds: what is set aside.
        timeline: what happened, the newest first.
        gaps: what could not be read, and why; empty: this is everything.
    """

    email: str
    at: int
    verdict: Verdict
    facts: dict[str, str] = field(default_factory=dict)
    fields: list[FieldLine] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    timeline: list[Moment] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
