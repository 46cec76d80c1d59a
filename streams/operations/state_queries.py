"""What a person may ask of the workers' state, and the replies: the wire format of ``POST /state`` (msgpack).

A query about one row is answered by the worker that owns its partition, and by nobody else; a search is answered by every
worker for the partitions that it owns. Replies contain personal data; ``streams/operations/state_page.py`` guards them.
"""

from typing import Any, TypeAlias

import msgspec

from streams.domain.buyers import BuyerRow
from streams.domain.contact_projection import ContactRow
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.held_reason import HeldReason
from streams.domain.order_tree import TreeEntry
from streams.domain.orders import OrderRow
from streams.domain.record_state import FollowUpDeliveryState, RecordDeliveryState

MOST_ORDERS = 40
"""Orders and credit notes of one buyer that a reply holds, the newest."""
MOST_RECORDS = 100
"""Records and follow-ups of one contact that a reply holds."""
MOST_HELD = 2_000
"""Held and frozen documents of one worker that a reply holds."""
MOST_FOUND = 50
"""Documents that a search finds on one worker."""
MOST_TASKS = 1_000
"""Rows of delivery tasks that a reply holds."""
MOST_QUERIES = 200
"""Queries of one request."""


class ContactQuery(msgspec.Struct, frozen=True, tag="contact"):
    """What every buyer gives to an address."""

    email: str


class DeliveryQuery(msgspec.Struct, frozen=True, tag="delivery"):
    """What should be delivered for an address, what was, and what waits."""

    email: str


class BuyerQuery(msgspec.Struct, frozen=True, tag="buyer"):
    """One buyer: its account, its persons with the address ``email``, its newest orders."""

    key: str
    email: str


class OrderQuery(msgspec.Struct, frozen=True, tag="order"):
    """The rows of one order or credit note."""

    order: int


class SearchQuery(msgspec.Struct, frozen=True, tag="search"):
    """Accounts and orders whose number is ``text``."""

    text: str


class AddressQuery(msgspec.Struct, frozen=True, tag="address"):
    """The address of which this is the keyed hash."""

    hash: str


class HeldQuery(msgspec.Struct, frozen=True, tag="held"):
    """All documents that are held or frozen."""


class PresentQuery(msgspec.Struct, frozen=True, tag="present"):
    """How many contacts, records, catalogue records and places on the list are delivered."""


class TasksQuery(msgspec.Struct, frozen=True, tag="tasks"):
    """The rows of these delivery tasks, of whichever of them the worker has the partition open."""

    tasks: list[str]


class TaskSliceQuery(msgspec.Struct, frozen=True, tag="task-slice"):
    """The rows of one partition whose task keys begin with ``prefix`` and are greater than ``after``, in order."""

    partition: int
    prefix: str
    after: str = ""
    most: int = MOST_TASKS


Query: TypeAlias = (
    ContactQuery
    | DeliveryQuery
    | BuyerQuery
    | OrderQuery
    | SearchQuery
    | AddressQuery
    | HeldQuery
    | PresentQuery
    | TasksQuery
    | TaskSliceQuery
)


class ContactReply(msgspec.Struct, frozen=True, tag="contact"):
    """None: nobody ever had the address."""

    row: ContactRow | None


class TaskStanding(msgspec.Struct, frozen=True):
    """Where a task stands in the queue of its worker, and what holds it back."""

    state: str
    blockers: tuple[str, ...]


class DeliveryReply(msgspec.Struct, frozen=True, tag="delivery"):
    """The contact's own row, those of its records and follow-ups, and the tasks that wait, by task key.

    Contents of records are left out. ``more``: there are more records than :data:`MOST_RECORDS`.
    """

    row: ContactDeliveryState | None
    records: dict[str, RecordDeliveryState]
    follow_ups: dict[str, FollowUpDeliveryState]
    standings: dict[str, TaskStanding]
    more: bool = False


class BuyerReply(msgspec.Struct, frozen=True, tag="buyer"):
    """``orders``: the newest by order id. None: there is no such buyer."""

    row: BuyerRow | None
    orders: list[TreeEntry]


class OrderReply(msgspec.Struct, frozen=True, tag="order"):
    """``lines``: how many there are; they are left out of the row. None: nothing names that order."""

    row: OrderRow | None
    lines: int = 0


class SearchHit(msgspec.Struct, frozen=True):
    """One account or order: its buyer key or order id, and the addresses that it is delivered to."""

    kind: str
    key: str
    number: str
    emails: tuple[str, ...]


class SearchReply(msgspec.Struct, frozen=True, tag="search"):
    """``more``: there is more than :data:`MOST_FOUND`."""

    found: list[SearchHit]
    more: bool


class AddressReply(msgspec.Struct, frozen=True, tag="address"):
    """None: no address of this worker's has the hash."""

    email: str | None


class HeldRow(msgspec.Struct, frozen=True):
    """One document of a stage ``table`` that is held or frozen; a key may hold an address."""

    table: str
    key: str
    reason: HeldReason


class HeldReply(msgspec.Struct, frozen=True, tag="held"):
    """``more``: there are more than :data:`MOST_HELD`."""

    rows: list[HeldRow]
    more: bool


class PresentReply(msgspec.Struct, frozen=True, tag="present"):
    """One worker's counts, by kind (:class:`streams.messages.removals.RemovalKind`)."""

    counts: dict[str, int]


class StoredTask(msgspec.Struct, frozen=True, array_like=True):
    """A delivery task as it is stored; ``value`` None: nothing is known of it. ``waits``: something must be sent for it."""

    value: bytes | None
    waits: bool


class TasksReply(msgspec.Struct, frozen=True, tag="tasks"):
    """By task key. ``more``: of a slice, there are rows behind its last one."""

    rows: dict[str, StoredTask]
    more: bool = False


Reply: TypeAlias = (
    ContactReply | DeliveryReply | BuyerReply | OrderReply | SearchReply | AddressReply | HeldReply | PresentReply | TasksReply
)


class Request(msgspec.Struct, frozen=True):
    """Queries, who asks, and about whom, both as keyed hashes for the access log."""

    queries: list[Query]
    by: str
    about: str


class Response(msgspec.Struct, frozen=True):
    """A reply for each query; None: another worker has it. ``owned``: this worker's open partitions, by table."""

    replies: list[Reply | None]
    owned: dict[str, list[int]]


_encode = msgspec.msgpack.Encoder().encode
read_request = msgspec.msgpack.Decoder(Request).decode
read_response = msgspec.msgpack.Decoder(Response).decode


def write(message: Any) -> bytes:
    """A request or a response as it is sent."""
    return _encode(message)
