"""Reconciliations: what an operator or the schedule asks for, how far it is, and what it found.

Nothing here names a person: contacts are keyed hashes.
"""

from typing import Literal, TypeAlias

import msgspec

RECONCILIATIONS_PARTITION = 0
"""The partition of topic ``reconciliations`` that holds the runs: they are few."""

Scope: TypeAlias = Literal["full", "sample", "contact"]
RunState: TypeAlias = Literal["asked", "running", "done", "failed", "cancelled"]
SCHEDULE = "schedule"
"""Who asks for a run that nobody asked for; and the key of the record that says since when there is a schedule."""


class DriftExample(msgspec.Struct, frozen=True):
    """One difference: its class, the keyed hash of its contact, the key of its record, and what differs.

    ``owner`` is empty for a catalogue record. ``detail`` are names of data fields, or statuses.
    """

    drift: str
    owner: str
    record: str
    detail: tuple[str, ...] = ()


class ReconcileRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run as it stands in topic ``reconciliations`` under its id. Times are epoch ms.

    Attributes:
        id: names the run.
        by: who asked for it.
        asked: when.
        scope: everything, a sample of contacts, or one contact.
        sample: how many contacts.
        contact: the keyed hash of the one contact's address.
        execute: what is found is put right.
        state: what has become of it.
        reason: why it failed, or why its last try did while it runs.
        began: when a worker took it up.
        ended: when it was over.
        phase: what is being done.
        contacts: contacts that were read; likewise ``orders`` and ``items``.
        suspects: tasks that looked different at first, and ``checked`` of them so far.
        drift: differences by class. ``since``: by class, when a complete comparison first found some without a break.
        others: what is there and not ours, by kind.
        healed: tasks that dispatch was asked to deliver again.
        unsettled: suspects that changed all the time, so that nothing is known of them.
        unchecked: suspects that are too many to be looked at in one run.
        examples: some differences of each class.
    """

    id: str
    by: str
    asked: int
    scope: Scope = "full"
    sample: int = 0
    contact: str = ""
    execute: bool = False
    state: RunState = "asked"
    reason: str = ""
    began: int = 0
    ended: int = 0
    phase: str = ""
    contacts: int = 0
    orders: int = 0
    items: int = 0
    suspects: int = 0
    checked: int = 0
    drift: dict[str, int] = {}
    since: dict[str, int] = {}
    others: dict[str, int] = {}
    healed: int = 0
    unsettled: int = 0
    unchecked: int = 0
    examples: list[DriftExample] = []

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def complete(self) -> bool:
        """Whether it has compared everything."""
        return self.state == "done" and self.scope == "full"


class ScheduleBegun(msgspec.Struct, frozen=True):
    """Since when there is a schedule (epoch ms): the first comparison is due an interval later."""

    at: int


class CancelAsked(msgspec.Struct, frozen=True):
    """An operator wants a run to end, under ``<id>/cancel``."""

    by: str
    at: int


write_reconciliation = msgspec.json.Encoder().encode
"""The value of a record of topic ``reconciliations``."""
read_reconciliation = msgspec.json.Decoder(ReconcileRun).decode
"""A run; raises msgspec.DecodeError if it is none."""
read_schedule = msgspec.json.Decoder(ScheduleBegun).decode
"""Since when there is a schedule; raises msgspec.DecodeError if it does not say so."""

_CANCEL = b"/cancel"


def run_key(run: str) -> bytes:
    """The key of a run."""
    return run.encode()


def cancel_key(run: str) -> bytes:
    """The key under which it is asked that the run end: a worker writes the other one all the time."""
    return run.encode() + _CANCEL


def cancelled_run(key: bytes) -> str | None:
    """The run of a record that asks for its end; None: it is another record."""
    return key.removesuffix(_CANCEL).decode() if key.endswith(_CANCEL) else None
