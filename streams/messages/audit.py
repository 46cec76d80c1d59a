"""The audit topic: what operators did, and what was erased where. It outlives everything it speaks of, and names no person.

Entries are appended by :class:`streams.messages.audit_log.AuditLog` alone, each as a link of its writer's chain.
"""

from typing import Literal, TypeAlias

import msgspec


class OperatorAction(msgspec.Struct, frozen=True, gc=False, tag="acted", tag_field="what"):
    """An operator retried or dropped dead letters of one code; ``places`` says which, as ``owdd dlq`` names them."""

    at: int
    by: str
    action: Literal["retry", "drop"]
    code: str
    count: int
    places: list[str]


class ErasureRequested(msgspec.Struct, frozen=True, gc=False, tag="requested", tag_field="what"):
    """Somebody (``by``; ``erp`` for the mapped flag) asked that a person be forgotten; ``digest`` in hex."""

    at: int
    by: str
    digest: str


class ErasureResult(msgspec.Struct, frozen=True, gc=False, tag="erased", tag_field="what"):
    """One partition of a stage holds nothing of the person any more; ``rows`` held something.

    From dispatch ``stage`` is ``dotdigital`` and ``answer`` says what Dotdigital did. ``generation``: of the joins, from those.
    """

    digest: str
    stage: str
    partition: int
    rows: int
    at: int
    answer: str | None = None
    generation: int = 0


class RemovalsDecided(msgspec.Struct, frozen=True, gc=False, tag="decided", tag_field="what"):
    """An operator released or discarded so many removals of a kind that the brake had held."""

    at: int
    by: str
    decision: Literal["release", "discard"]
    kind: str
    count: int


class WritesControlled(msgspec.Struct, frozen=True, gc=False, tag="controlled", tag_field="what"):
    """An operator paused all writes to Dotdigital, ``everything``: opt-outs and erasures too; or resumed them."""

    at: int
    by: str
    action: Literal["pause", "resume"]
    everything: bool


class ErasuresRekeyed(msgspec.Struct, frozen=True, gc=False, tag="rekeyed", tag_field="what"):
    """An operator brought ``count`` erasures under the key ``key_id``; entries before it have digests under former keys."""

    at: int
    by: str
    key_id: str
    count: int


class PersonExported(msgspec.Struct, frozen=True, gc=False, tag="exported", tag_field="what"):
    """An operator exported all that we hold of a person; ``digest`` in hex."""

    at: int
    by: str
    digest: str


MaintenanceAction: TypeAlias = Literal["clear topics", "reread", "accept mapping", "withdraw rows"]
"""What is done to topics and state; all but the last while the workers are stopped."""


class Maintained(msgspec.Struct, frozen=True, gc=False, tag="maintained", tag_field="what"):
    """An operator emptied the topics between the stages, had topics read again, accepted a changed mapping, or wrote deletions.

    Those of captured rows that a snapshot did not show.
    """

    at: int
    by: str
    action: MaintenanceAction


class ReplaySteered(msgspec.Struct, frozen=True, gc=False, tag="replayed", tag_field="what"):
    """An operator has started, paused, resumed or cancelled a replay, or it is done.

    ``rows`` were selected, and so many ``sent`` to be read again until then.
    """

    at: int
    by: str
    action: Literal["start", "pause", "resume", "cancel", "done"]
    run: str
    rows: int = 0
    sent: int = 0


class GenerationSteered(msgspec.Struct, frozen=True, gc=False, tag="generation", tag_field="what"):
    """An operator has begun a generation of the joins, let it take effect as activation ``number``, or dropped it."""

    at: int
    by: str
    action: Literal["begin", "activate", "drop"]
    generation: int
    number: int


class ReconcileSteered(msgspec.Struct, frozen=True, gc=False, tag="reconciled", tag_field="what"):
    """A comparison with Dotdigital was started, cancelled, or is over; ``by`` is ``schedule`` where nobody asked for it.

    ``execute``: differences are put right. ``differences`` were found, and for so many deliveries (``healed``) dispatch was
    asked to deliver again.
    """

    at: int
    by: str
    action: Literal["start", "cancel", "done", "failed"]
    run: str
    scope: str
    execute: bool
    differences: int = 0
    healed: int = 0


class TrailCheckpoint(msgspec.Struct, frozen=True, gc=False, tag="checkpoint", tag_field="what"):
    """An operator has sealed the trail as it was, and perhaps let its oldest part be deleted.

    Attributes:
        at: when (epoch ms).
        by: who.
        begins: the first offset that stays, by partition.
        ends: the offset behind the last sealed entry, by partition.
        count: how many entries are sealed.
        digest: the keyed digest of the sealed entries' links.
        problems: how many problems the operator accepted with it.
    """

    at: int
    by: str
    begins: dict[int, int]
    ends: dict[int, int]
    count: int
    digest: str
    problems: int = 0


Entry: TypeAlias = (
    OperatorAction
    | ErasureRequested
    | ErasureResult
    | ErasuresRekeyed
    | PersonExported
    | RemovalsDecided
    | WritesControlled
    | ReplaySteered
    | GenerationSteered
    | ReconcileSteered
    | Maintained
    | TrailCheckpoint
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


def write_audit(entry: Entry) -> bytes:
    """The value of an audit record."""
    return _encode(entry)


def read_audit(value: bytes) -> Entry:
    """What an audit record says.

    Raises:
        msgspec.DecodeError: it was not written by :func:`write_audit`.
    """
    entry: Entry = _decode(value)
    return entry
