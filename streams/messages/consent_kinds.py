"""The kind of change by which corrections of consent are stopped."""

from typing import ClassVar

from streams.messages.changes import Change, ChangeKind


class CorrectionsStoppedChange(Change, tag=ChangeKind.CORRECTIONS_STOPPED.value):
    """A correction of consent had another result than expected: none is made any more, in every partition; key: ``*``."""

    kind: ClassVar[ChangeKind] = ChangeKind.CORRECTIONS_STOPPED
    row: None
