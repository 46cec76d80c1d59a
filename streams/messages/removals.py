"""Removals and the brake on them: what partitions of the outbox and the owner of partition 0 say to each other.

A *removal* takes something from Dotdigital that we delivered, because Orderwise no longer gives it; so does an opt-out that
comes from a changed word list, for it cannot be taken back. Every partition numbers its
removals by kind, from 1 on; a grant is one number for each kind: everything up to it may go. The rules are in
``docs/delivery-rules.md``.
"""

from enum import StrEnum
from typing import Literal

import msgspec

BRAKE_PARTITION = 0
"""The partition whose owner rules for the whole account."""


class RemovalKind(StrEnum):
    """What is removed; each kind is counted by itself."""

    CONTACTS = "contacts"
    RECORDS = "records"
    CATALOGUE = "catalogue"
    LIST = "list"
    OPT_OUTS = "opt-outs"
    """Not what a row says, but what a changed word list of the mapping makes of it."""


class MinuteCount(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Removals asked for in one ``minute`` (epoch minutes): their ``count``, and the number of the last one."""

    minute: int
    last: int
    count: int


class KindTally(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One partition's removals of one kind.

    Attributes:
        present: how many things of the kind it has delivered that are still wanted.
        last: the number of its newest removal.
        sealed: that number when it was counted for the round under way.
        granted: up to which number removals were granted, or decided by a person.
        asked: removals of the last day, and all that wait for a grant, oldest first; not those that were taken back since, nor
            those that a person has decided.
        settled: removals up to that number are in ``asked`` no more: a person decided them, or they were granted
            more than a day ago.
    """

    present: int = 0
    last: int = 0
    sealed: int = 0
    granted: int = 0
    asked: tuple[MinuteCount, ...] = ()
    settled: int = 0


class RemovalTally(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one partition counts; ``round``: the last one that it was counted for. ``examples``: owners, personal data."""

    partition: int
    round: int
    kinds: dict[RemovalKind, KindTally]
    examples: dict[RemovalKind, tuple[str, ...]] = {}


class RemovalQuery(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The owner of partition 0 asks every partition for its tally."""

    round: int


class RemovalTick(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The wait of a round is over: time, which only a record can bring into a stage."""

    round: int


class RemovalRuling(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Up to which number a partition's removals are granted, by kind; ``held``: since when (epoch ms) a kind is held back."""

    granted: dict[RemovalKind, int]
    held: dict[RemovalKind, int]


class RemovalDecision(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A person has released or discarded the removals of a kind, up to a number for each partition: those that were shown."""

    kind: RemovalKind
    released: bool
    upto: dict[int, int]


class HeldRemovals(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The removals of one kind that are held back, or (``count`` 0) no longer are: a record of topic ``removals``.

    Attributes:
        kind: what is to be removed.
        since: when they were held back (epoch ms).
        at: when they were counted (epoch ms).
        count: how many wait.
        present: how many of the kind we have delivered besides.
        upto: the number of the last one, by partition: a decision is on these and no others.
        examples: some of their owners, addresses or variants; personal data.
    """

    kind: RemovalKind
    since: int
    at: int
    count: int
    present: int = 0
    upto: dict[int, int] = {}
    examples: tuple[str, ...] = ()


Decision = Literal["release", "discard"]
"""What a person may decide on held removals."""

write_held = msgspec.json.Encoder().encode
"""The value of a record of topic ``removals``; its key is the kind."""
read_held = msgspec.json.Decoder(HeldRemovals).decode
"""What such a record says; raises msgspec.DecodeError if it says nothing."""
