"""The kinds of change by which the brake on removals works (:mod:`streams.messages.removals` has their content)."""

from typing import ClassVar

from streams.messages import removals
from streams.messages.changes import Change, ChangeKind


class RemovalTallyChange(Change, tag=ChangeKind.REMOVAL_TALLY.value):
    """How many removals a partition asks for; key and pk: the partition."""

    kind: ClassVar[ChangeKind] = ChangeKind.REMOVAL_TALLY
    row: removals.RemovalTally


class RemovalQueryChange(Change, tag=ChangeKind.REMOVAL_QUERY.value):
    """Every partition is asked for its tally; pk: the round."""

    kind: ClassVar[ChangeKind] = ChangeKind.REMOVAL_QUERY
    row: removals.RemovalQuery


class RemovalTickChange(Change, tag=ChangeKind.REMOVAL_TICK.value):
    """A round's wait is over; in partition 0, pk: the round."""

    kind: ClassVar[ChangeKind] = ChangeKind.REMOVAL_TICK
    row: removals.RemovalTick


class RemovalRulingChange(Change, tag=ChangeKind.REMOVAL_RULING.value):
    """What is granted to a partition; key and pk: the partition."""

    kind: ClassVar[ChangeKind] = ChangeKind.REMOVAL_RULING
    row: removals.RemovalRuling


class RemovalDecisionChange(Change, tag=ChangeKind.REMOVAL_DECISION.value):
    """A person's decision on held removals, in every partition; pk: the kind of removal."""

    kind: ClassVar[ChangeKind] = ChangeKind.REMOVAL_DECISION
    row: removals.RemovalDecision
