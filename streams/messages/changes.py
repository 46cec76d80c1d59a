"""What one stage publishes to the next: the changes packed into the records of our own topics.

A record's value is a msgpack array of :class:`Change`. Tags and field orders are a wire format: append, never reorder; a
breaking change needs a new application version (``OWDD_APP_VERSION``) and a rebuild.
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import IntEnum
from typing import ClassVar, Literal, TypeAlias
from zlib import crc32

import msgspec

EVERYWHERE = "*"
"""The key of a change that every partition must hear of."""
HERE = "."
"""The key of a change that a stage leaves to itself, in the partition where it works."""

_encode = msgspec.msgpack.Encoder().encode

OrderStatus: TypeAlias = Literal["open", "held", "part_despatched", "despatched", "completed", "cancelled"]


class ChangeKind(IntEnum):
    """What a change is about, and hence which part of which state row it touches."""

    CUSTOMER = 1
    CONTACT = 2
    HEADER = 3
    DETAIL = 4
    TOTAL = 5
    LINE = 6
    DESPATCH = 7
    STATUS = 8
    LINE_OWNERSHIP = 9
    LINE_QUERY = 10
    LINE_REPLY = 11
    ORDER_FACT = 12
    BUYER_CONTRIBUTION = 13
    DESIRED_CONTACT = 14
    CARRIED_REFUSAL = 15
    PRODUCT = 16
    VARIANT = 17
    PRICE = 18
    STOCK = 19
    CATEGORY = 20
    MEMBERSHIP = 21
    RETURN = 22
    VARIANT_INFO = 23
    RECIPIENTS_QUERY = 24
    RECIPIENTS_REPLY = 25
    CREDITED_AMOUNT = 26
    DESIRED_RECORD = 27
    DESIRED_CATALOGUE = 28
    DESIRED_FOLLOW_UP = 29
    CONTACT_OBSERVED = 30
    ERASURE = 31
    RESEND_REQUEST = 32
    READBACK_WATERMARK = 33
    UNPARK = 34
    FOLLOW_UP_DELIVERED = 35
    SWEEP = 36
    RECIPIENTS_SWEEP = 37
    CREDITED_ORDER = 38
    MOVE_QUERY = 39
    MOVE_ANSWER = 40
    MOVED_RECORD = 41
    DRIFT_FOUND = 42
    REMOVAL_TALLY = 50
    REMOVAL_QUERY = 51
    REMOVAL_TICK = 52
    REMOVAL_RULING = 53
    REMOVAL_DECISION = 54
    CANARY = 60
    BARRIER = 61
    CORRECTIONS_STOPPED = 62
    GENERATION_ORDER = 70
    GENERATION_SLICE = 71
    HELD_ORDER = 72


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False, tag_field="_tag"):
    """Base of the contents that are told apart by a tag."""


class LineOwnership(Message, frozen=True, tag=20):
    """Order ``order`` has the line (or had it: ``live`` False)."""

    order: int
    live: bool


class LineQuery(Message, frozen=True, tag=21):
    """Credit note ``credit`` gives back the line, and needs to know whether it exists, now and whenever that changes."""

    credit: int


class LineReply(Message, frozen=True, tag=22):
    """Whether the line that a credit note asked about exists, and in which order it is, or was last."""

    line: int
    exists: bool
    order: int | None = None


class Parcel(Message, frozen=True):
    """The latest despatch: UTC epoch seconds, the order, the consignment number, and the carrier."""

    at: int
    order: int
    consignment: str | None
    carrier: str | None


class OrderFact(Message, frozen=True, tag=23):
    """One live order or credit note, as its buyer needs it.

    ``net`` is in the reporting currency, exact; ``skus`` is what was bought, as text. ``parcel``: of its latest despatch.
    """

    number: str | None
    at: int
    status: OrderStatus
    credit: bool
    net: Decimal
    despatched: int | None
    skus: str | None = None
    parcel: Parcel | None = None

    @property
    def counts(self) -> bool:
        """Cancelled documents exist, but add nothing."""
        return self.status != "cancelled"


class Totals(Message, frozen=True):
    """Sums and extremes over facts; times are UTC epoch seconds, ``first``/``last`` are (time, order id).

    ``paid``: orders of more than 0.00, which make the average; a free replacement is none.
    """

    live: int = 0
    orders: int = 0
    spend: Decimal = Decimal(0)
    refunds: int = 0
    refunded: Decimal = Decimal(0)
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None
    despatched: int | None = None
    last_refund: int | None = None
    paid: int = 0
    parcel: Parcel | None = None


class ConsentAnswer(msgspec.Struct, array_like=True, frozen=True, gc=False, order=True):
    """What one contact row answers about consent. ``digest`` identifies the row and its very word; 0: not known.

    ``out``: the word list of the mapping reads an opt-out in it.
    """

    digest: int
    out: bool


class DesiredContact(Message, frozen=True, tag=26):
    """The content that a contact should have: JSON of its data fields, or None when it should not be ours any more.

    ``moved_to``, ``left_at``, ``came_from``, ``same_person``: as in what buyers publish. ``despatched``: when something was
    last despatched to it (UTC epoch seconds), for the recent buyers' list. ``held``: what it should hold cannot be worked out:
    what was delivered stays, but for an opt-out; ``shared``: because the address is one of many. ``words`` identifies the word
    list by which ``opted`` was read; 0: not known. ``unread``: consent has a column, and no contact row of it was read.
    ``answers``: what ``opted`` follows from, whatever the list is. ``unreadable``: a row has the address no longer, but one
    that nobody can read, so newer rows alone do not say that anybody is here.
    """

    fields: bytes | None
    opted: bool | None
    moved_to: tuple[str, ...] = ()
    despatched: int | None = None
    left_at: bytes = b""
    held: bool = False
    words: int = 0
    unread: bool = False
    same_person: bool = False
    came_from: tuple[tuple[str, bytes], ...] = ()
    shared: bool = False
    answers: tuple[ConsentAnswer, ...] = ()
    unreadable: bool = False


class CarriedRefusal(Message, frozen=True, tag=27):
    """An unsubscribe that another address of the same person brings along."""


class VariantInfo(Message, frozen=True, tag=28):
    """What orders need to know of a variant.

    ``gone``: some of it is only remembered, because the variant's row was deleted or has lost it.
    """

    product: int | None
    sku: str | None
    name: str | None
    gone: bool = False


class RecipientsQuery(Message, frozen=True, tag=29):
    """An order asks its buyer, or the contact of the address on it, whom its record belongs to, now and whenever that changes.

    ``own``: that address; empty if it was an erased person's. ``contact``: the contact row of the person who ordered.
    """

    own: str | None
    contact: int | None = None


class RecipientsReply(Message, frozen=True, tag=38):
    """Whom an order's record belongs to, if it asked with an own address of ``group`` and with that ``contact``.

    ``stranger``: the address on the order is not the account's. A contact replies with its own address, if anybody has it.
    """

    group: str
    address: str | None
    contact: int | None = None
    stranger: bool = False


class RecipientsSweep(Message, frozen=True, tag=39):
    """What is left of a change of addresses: orders of ``groups`` behind ``after``, of which ``reached`` were reached so far.

    Orders have the group of the address on them and of the person who ordered; none: all of them.
    """

    groups: tuple[str, ...]
    after: str = ""
    reached: int = 0


class CreditedOrder(Message, frozen=True, tag=42):
    """What credit notes need to know of an order that they give back: whom it belongs to, and whether it ``counts``."""

    address: str | None
    counts: bool = True


class CreditedLine(Message, frozen=True):
    """What one credit note gives back of one line: ``amount`` in the reporting currency, exact."""

    line: int
    quantity: Decimal
    amount: Decimal


class CreditedAmount(Message, frozen=True, tag=31):
    """What one credit note gives back of an order, in the reporting currency, exact; ``lines``: what of it is that of lines."""

    amount: Decimal
    at: int
    lines: tuple[CreditedLine, ...] = ()


class DesiredRecord(Message, frozen=True, tag=32):
    """An insight record as it should be: its JSON, and the id (order or variant) that can be asked to publish it again.

    Without content the record must not exist, as far as that source is concerned; ``moved``: the source has another one now, at
    another contact or under another key. ``successor``: the new key, if the contact is the same. ``held``: nobody knows what it
    should be, so what was wanted last stays wanted.
    """

    content: bytes
    source: int
    moved: bool = False
    successor: str = ""
    held: bool = False


class DesiredFollowUp(Message, frozen=True, tag=33):
    """One credit note, which is delivered to Dotdigital once; ``amount`` in ``currency``."""

    number: str | None
    at: int
    amount: Decimal
    currency: str


class ContactObserved(Message, frozen=True, tag=34):
    """What a reading of Dotdigital says of a contact: its id, the status of its e-mail channel (lower case).

    ``removed``: it is from the list of those who unsubscribed or were suppressed, and dated so.
    """

    contact: int
    status: str
    removed: bool = False


class ReadbackWatermark(Message, frozen=True, tag=36):
    """Everything that Dotdigital knew at ``upto`` (UTC epoch seconds) stands before this in the partition."""

    upto: int


class EraseAddress(Message, frozen=True, tag=35):
    """A person must be forgotten; ``digest`` is the keyed digest of the address."""

    digest: bytes


class Sweep(Message, frozen=True, tag=37):
    """What is left to do of changes that reach many rows of one partition, slice by slice: ``reached`` were so far.

    ``things``: the ids of what changed: statuses, variants, or a product or category. ``after``: the last row that was looked
    at; statuses are looked for together, all others one after the other.
    """

    things: tuple[int, ...]
    after: str = ""
    reached: int = 0


class Change(msgspec.Struct, array_like=True, gc=False, tag_field="_kind"):
    """What every change has; only its kinds (:mod:`streams.messages.kinds`) are ever made, and each narrows ``row``.

    Attributes:
        kind: which part of which state row it touches; on the wire the tag, the array's first element.
        key: names the state row, and decides the partition; :data:`EVERYWHERE` is all, :data:`HERE` the emitter's own.
        pk: names the thing inside the state row (a primary key, a buyer, a record's key).
        position: orders the versions of that thing: a source position for captured rows, else a row version of the emitter.
            Empty where every change counts, however often and in whatever order it comes.
        lane: how urgent it is (:class:`~streams.core.lanes.Lane`); a stage passes on the most urgent of its causes.
        caused_at: epoch milliseconds at which the oldest cause of this change was appended to Kafka.
        row: the content; None withdraws the thing where the kind allows it.
        keep: fields of a captured row that the source did not send (unavailable values). They keep their stored values.
    """

    kind: ClassVar[ChangeKind]

    key: str
    pk: int | str
    position: bytes
    lane: int
    caused_at: int
    row: object
    keep: tuple[str, ...] = ()


class JoinedChange(Change):
    """What the joins want of the outbox, and which ``generation`` of them does."""

    generation: int = 0


def pack(changes: Iterable[Change]) -> bytes:
    """The value of one record that carries ``changes`` in order."""
    return _encode(list(changes))


def partition_of(key: str, partitions: int) -> int:
    """The partition that owns a state row, in every topic and table of ours."""
    return crc32(key.encode()) % partitions
