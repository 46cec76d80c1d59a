"""Delivery events: what became of every attempt to deliver. The records of the topic ``deliveries`` (JSON).

One struct for each outcome, distinguished by the field ``event``; a struct has no field that its outcome lacks.
``at`` is when the event was written (epoch ms), ``task`` names what was sent (:mod:`streams.dispatch.outbox.tasks`),
``digest`` identifies the content that was answered. ``import_id`` names the import whose report says so; None: a single call.

``opt_outs``: of the opt-outs that the contact's row counts, the call passed on so many; None: there was none.

Events of a task reach the owner of the task; events of an import reach every partition that has tasks in it.
"""

from typing import Literal, TypeAlias

import msgspec

from streams.dotdigital.imports import ImportState

CreatedAs: TypeAlias = Literal["unsubscribed", "subscribed"]
"""The status with which we create a contact."""


class ObservedContact(msgspec.Struct, frozen=True, gc=False):
    """A contact as Dotdigital showed it: ``status`` of its e-mail channel, ``updated`` in UTC epoch seconds."""

    status: str
    updated: int


class ListRefusal(msgspec.Struct, frozen=True, gc=False):
    """Dotdigital refused to put a contact on the recent buyers' list, and took the data without it.

    ``code`` is Dotdigital's; ``despatched`` the despatch that asked for it (epoch s); ``whole_list``: nobody can join.
    """

    code: str
    despatched: int
    whole_list: bool


class ImportedTask(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What an import holds of a task.

    ``joined``: the contact is put on the list. ``contact`` is whom a record goes to. ``created_as``: the import creates the
    contact, with this status; ``attempted_before``: a call before it may have, with that one. ``opt_outs``: as in the events.
    """

    task: str
    digest: bytes
    joined: bool = False
    contact: int | None = None
    created_as: CreatedAs | None = None
    attempted_before: CreatedAs | None = None
    opt_outs: int | None = None


class _Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="event"):
    at: int

    @property
    def outcome(self) -> str:
        """The name of the outcome, as it stands in the record and in metrics."""
        return str(self.__struct_config__.tag)


class _TaskEvent(_Event, kw_only=True, frozen=True):
    task: str


class _ImportEvent(_Event, kw_only=True, frozen=True):
    import_id: str


class CreationAttempted(_TaskEvent, kw_only=True, frozen=True, tag="creation-attempted"):
    """Written before a call that creates the contact: it must be known even if the response is lost."""

    created_as: CreatedAs


class CreationWithdrawn(_TaskEvent, kw_only=True, frozen=True, tag="creation-withdrawn"):
    """The attempt certainly created nothing; ``attempted_before`` is how an earlier one, still unanswered, may have."""

    attempted_before: CreatedAs | None = None


class OptOutSent(_TaskEvent, kw_only=True, frozen=True, tag="opt-out-sent"):
    """Opt-outs were passed on without data, or beside data that Dotdigital refused; ``unsubscribed``: the call did it."""

    opt_outs: int
    unsubscribed: bool = False


class ContactOptedOut(_TaskEvent, kw_only=True, frozen=True, tag="opted-out"):
    """An opt-out that comes from a changed word list was granted and passed on; ``unsubscribed``: the call did it."""

    unsubscribed: bool = False


class ContactLooked(_TaskEvent, kw_only=True, frozen=True, tag="looked"):
    """Written before a contact goes, and when people left it: what it shows, and how we created it if we did.

    Afterwards it may be gone. ``departures``: of those that the row counts, the next addresses of so many know what there is.
    """

    observed: ObservedContact | None = None
    created_as: CreatedAs | None = None
    departures: int = 0


class CorrectionAttempted(_TaskEvent, kw_only=True, frozen=True, tag="correction-attempted"):
    """Written before a call that subscribes a contact which we created unsubscribed: it is sent once."""


class CreationCorrected(_TaskEvent, kw_only=True, frozen=True, tag="corrected"):
    """A contact that we created unsubscribed is subscribed, as Orderwise said later; ``observed``: read back."""

    observed: ObservedContact


class CorrectionEnded(_TaskEvent, kw_only=True, frozen=True, tag="correction-ended"):
    """The status was not corrected, for ``code``. ``again``: a later reading may allow it; ``stops``: none is made any more."""

    code: str
    again: bool = False
    stops: bool = False


class ContactCreated(_TaskEvent, kw_only=True, frozen=True, tag="created"):
    """We created the contact. ``observed`` is None where it would only show what we sent ourselves."""

    digest: bytes
    contact: int
    created_as: CreatedAs
    opt_outs: int | None = None
    joined: bool = False
    list_refusal: ListRefusal | None = None
    observed: ObservedContact | None = None
    import_id: str | None = None


class ContactUpdated(_TaskEvent, kw_only=True, frozen=True, tag="updated"):
    """The contact was there, and holds the content now.

    ``created_as``: the call saw that we had created it; ``attempted_before``: a call before the import may have.
    ``exists_since``: when Dotdigital says that it was created (UTC epoch s); 0: not said.
    """

    digest: bytes
    contact: int
    created_as: CreatedAs | None = None
    exists_since: int = 0
    attempted_before: CreatedAs | None = None
    opt_outs: int | None = None
    joined: bool = False
    list_refusal: ListRefusal | None = None
    observed: ObservedContact | None = None
    import_id: str | None = None


class MovedContact(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What is known of a contact that has another address now; the fields are those of the outbox's rows.

    ``digest`` and ``opt_outs``: the content and the opt-outs that the call certainly passed on. ``observed``: what it showed;
    None: that would only show what we sent ourselves. ``refusal_at``: position of Dotdigital's refusal, if it said one last.
    ``carried`` and ``lifted``: of refusals from former addresses.
    """

    contact: int
    digest: bytes | None = None
    opt_outs: int | None = None
    observed: ObservedContact | None = None
    created_as: CreatedAs | None = None
    created_at: int = 0
    touched: bool = False
    unsubscribed_by_us: bool = False
    listed: bool = False
    join_unconfirmed: bool = False
    list_refused_at: int | None = None
    refusal_at: bytes | None = None
    carried: bytes = b""
    lifted: bytes = b""


class ContactRenamed(_TaskEvent, kw_only=True, frozen=True, tag="renamed"):
    """The contact has the address ``to`` now, to which its person moved; ``left_at``: when, as that address asked for it."""

    to: str
    left_at: bytes
    contact: MovedContact


class RenameDeclined(_TaskEvent, kw_only=True, frozen=True, tag="rename-declined"):
    """The contact stays at its address, and is treated as any that somebody left; ``to`` may have a contact of its own.

    ``moved_on``: its person has yet another address, which asks for it in the place of ``to``.
    """

    to: str
    left_at: bytes
    moved_on: bool = False


class ContactCleared(_TaskEvent, kw_only=True, frozen=True, tag="cleared"):
    """The contact left us and is not ours: our data fields were emptied."""

    digest: bytes
    contact: int
    opt_outs: int | None = None


class ContactDeleted(_TaskEvent, kw_only=True, frozen=True, tag="deleted"):
    """The contact left us, and we had created it."""

    digest: bytes


class ContactAbsent(_TaskEvent, kw_only=True, frozen=True, tag="absent"):
    """The contact left us, and there was nothing to remove."""

    digest: bytes


class ContactErased(_TaskEvent, kw_only=True, frozen=True, tag="erased"):
    """The person was forgotten: suppressed and deleted, or not there."""


class ContactMissing(_TaskEvent, kw_only=True, frozen=True, tag="missing"):
    """There is no such contact any more: whatever we know of it no longer holds.

    ``found_by``: the task of a record or follow-up whose call found out; None: the contact's own call did.
    """

    found_by: str | None = None


class ListLeft(_TaskEvent, kw_only=True, frozen=True, tag="list-left"):
    """The contact is off the recent buyers' list."""


class RecordStored(_TaskEvent, kw_only=True, frozen=True, tag="stored"):
    """An insight record holds the content."""

    digest: bytes
    import_id: str | None = None


class RecordRemoved(_TaskEvent, kw_only=True, frozen=True, tag="removed"):
    """An insight record is gone."""


class FollowUpAccepted(_TaskEvent, kw_only=True, frozen=True, tag="accepted"):
    """Dotdigital accepted an event, of which it gives no report; it is never sent again."""


class FollowUpDelivered(_TaskEvent, kw_only=True, frozen=True, tag="delivered"):
    """The report of an enrolment says that the contact is on the programme; it is never enrolled again for that."""


class TaskParked(_TaskEvent, kw_only=True, frozen=True, tag="parked"):
    """Dotdigital refused the content for good; ``tries`` counts the failures in a row, this one included.

    ``opt_outs``: of a contact's opt-outs the call knew so many; None: it knew none, or an older release wrote the event.
    """

    digest: bytes
    code: str
    tries: int
    opt_outs: int | None = None


class ImportStarted(_ImportEvent, kw_only=True, frozen=True, tag="import-started"):
    """An import is about to be called for (under an id of ours), or was accepted (under Dotdigital's)."""

    kind: str
    tasks: list[ImportedTask]


class ImportEnded(_ImportEvent, kw_only=True, frozen=True, tag="import-ended"):
    """The import is over for us, in ``state`` (``running``: we gave up waiting); its report's outcomes stand before."""

    state: ImportState


class ImportIdVoid(_ImportEvent, kw_only=True, frozen=True, tag="import-id-void"):
    """Nothing runs under this id of ours: the import never began, or Dotdigital has given it an id."""


class PartitionResumed(_Event, kw_only=True, frozen=True, tag="partition-resumed"):
    """Stands behind everything that was answered before a worker took the partition over."""

    fence: str


ContactDelivered: TypeAlias = (
    ContactCreated
    | ContactUpdated
    | ContactOptedOut
    | CreationCorrected
    | CorrectionEnded
    | ContactRenamed
    | RenameDeclined
    | ContactCleared
    | ContactDeleted
    | ContactAbsent
    | ContactErased
    | ContactMissing
)
"""How the delivery of a contact can end."""
Checkpoint: TypeAlias = CreationAttempted | CreationWithdrawn | OptOutSent | ContactLooked | CorrectionAttempted
"""What must be durable although the delivery has not ended."""
RecordDelivered: TypeAlias = RecordStored | RecordRemoved
FollowUpDone: TypeAlias = FollowUpAccepted | FollowUpDelivered
"""How the delivery of a follow-up can end for good."""
TaskEvent: TypeAlias = ContactDelivered | Checkpoint | RecordDelivered | ListLeft | FollowUpDone | TaskParked
ImportEvent: TypeAlias = ImportStarted | ImportEnded | ImportIdVoid
DeliveryEvent: TypeAlias = TaskEvent | ImportEvent | PartitionResumed

write_event = msgspec.json.Encoder().encode
"""The record of an event."""
read_event = msgspec.json.Decoder(DeliveryEvent).decode
"""The event of a record; raises msgspec.DecodeError if it is none."""
