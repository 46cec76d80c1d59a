"""What one stage tells the next: the changes packed into the records of our own topics.

A record's value is a msgpack array of :class:`Change`. Tags and field orders are a wire format: append, never reorder; a
breaking change needs a new application version (``OWDD_APP_VERSION``) and a rebuild.
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import IntEnum
from typing import Literal, TypeAlias
from zlib import crc32

import msgspec

from streams.capture import rows

OrderStatus: TypeAlias = Literal["open", "held", "part_despatched", "despatched", "completed", "cancelled"]


class Kind(IntEnum):
    """What a change is about, and hence which part of which state row it touches."""

    CUSTOMER = 1
    CONTACT = 2
    HEADER = 3
    DETAIL = 4
    TOTAL = 5
    LINE = 6
    DESPATCH = 7
    STATUS = 8
    OWNER = 9
    ASK = 10
    ANSWER = 11
    FACT = 12
    PART = 13
    DESIRED = 14
    CONSENT = 15


class _Message(msgspec.Struct, array_like=True, frozen=True, gc=False, tag_field="_tag"):
    pass


class Owner(_Message, frozen=True, tag=20):
    """Order ``order`` has the line (or had it: ``live`` False)."""

    order: int
    live: bool


class Ask(_Message, frozen=True, tag=21):
    """Credit note ``credit`` gives back the line: tell it whether the line exists, now and whenever that changes."""

    credit: int


class Answer(_Message, frozen=True, tag=22):
    """Whether the line that a credit note asked about exists."""

    line: int
    exists: bool


class Fact(_Message, frozen=True, tag=23):
    """One live order or credit note, as its buyer needs it. ``net`` is in the reporting currency, exact."""

    number: str | None
    at: int
    status: OrderStatus
    credit: bool
    net: Decimal
    despatched: int | None

    @property
    def counts(self) -> bool:
        """Cancelled documents exist, but add nothing."""
        return self.status != "cancelled"


class Totals(_Message, frozen=True):
    """Sums and extremes over facts; times are UTC epoch seconds, ``first``/``last`` are (time, order id)."""

    live: int = 0
    orders: int = 0
    spend: Decimal = Decimal(0)
    refunds: int = 0
    refunded: Decimal = Decimal(0)
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None
    despatched: int | None = None
    last_refund: int | None = None


class Part(_Message, frozen=True, tag=24):
    """What one buyer says about one address."""

    first_name: str | None
    last_name: str | None
    account: str | None
    trade: bool
    opted: bool | None
    totals: Totals
    last_number: str | None
    last_status: OrderStatus | None


class Left(_Message, frozen=True, tag=25):
    """A buyer no longer has the address; ``moved_to`` is where the person went, if known."""

    moved_to: str | None


class Desired(_Message, frozen=True, tag=26):
    """The content that a contact should have: JSON of its data fields, or None when it should not be ours any more."""

    fields: bytes | None
    opted: bool | None
    moved_to: str | None


class Consent(_Message, frozen=True, tag=27):
    """An unsubscribe that another address of the same person brings along."""


CapturedRow: TypeAlias = (
    rows.Customer | rows.Contact | rows.Header | rows.Detail | rows.Total | rows.Line | rows.Despatch | rows.StatusText
)
Message: TypeAlias = CapturedRow | Owner | Ask | Answer | Fact | Part | Left | Desired | Consent


class Change(msgspec.Struct, array_like=True, gc=False):
    """One change of one state row.

    ``key`` names the state row (and decides the partition), ``pk`` the thing inside it; ``born`` is the epoch millisecond
    at which the oldest cause of this change was appended to Kafka; ``keep`` names fields that the source could not tell.
    """

    kind: Kind
    key: str
    pk: int | str
    position: bytes
    lane: int
    born: int
    row: Message | None
    keep: tuple[str, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Change]).decode


def pack(changes: Iterable[Change]) -> bytes:
    """The value of one record that carries ``changes`` in order."""
    return _encode(list(changes))


def unpack(value: bytes) -> list[Change]:
    """The changes of one record.

    Raises:
        msgspec.DecodeError: the value was not written by :func:`pack` of a compatible release.
    """
    return _decode(value)


def partition_of(key: str, partitions: int) -> int:
    """The partition that owns a state row, in every topic and table of ours."""
    return crc32(key.encode()) % partitions
