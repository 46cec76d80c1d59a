"""Routes a captured row to the documents that it belongs to: to the new ones with its content, to former ones as a removal.

Pure functions. If a row's parent changed (an order line was moved to another order, a contact to another account, a guest to
another address), the row is sent to the new parent and, as a removal at the same position, to the old one. The removal of a
contact contains the new address of the person, so that an opt-out can follow.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec.structs import replace
from prometheus_client import Counter

from streams.capture import values
from streams.capture.addresses import address_field
from streams.capture.envelope import UNAVAILABLE, RowEvent
from streams.capture.images import after_image
from streams.capture.reader import TableReader, column_of, readers, words_for_no_address
from streams.capture.rows import CapturedRow, Contact, Despatch, Header, Return
from streams.core.errors import RecordError
from streams.core.lanes import Lane
from streams.domain.orders import address_key, customer_key, unknown_key
from streams.mapping import Mapping
from streams.mapping.tables import Products
from streams.messages.changes import EVERYWHERE, Change, ChangeKind
from streams.messages.contributions import AddressLeft
from streams.messages.kinds import (
    CategoryRowChange,
    ContactRowChange,
    CustomerRowChange,
    DespatchRowChange,
    DetailRowChange,
    HeaderRowChange,
    LineRowChange,
    MembershipRowChange,
    PriceRowChange,
    ProductChange,
    ProductRowChange,
    ReturnRowChange,
    StatusRowChange,
    StockRowChange,
    TotalRowChange,
    VariantRowChange,
)
from streams.messages.topics import ChangeTopic, Topics

C = TypeVar("C", bound=Change)

_DATED = (Header, Despatch, Return)

Parents: TypeAlias = Callable[[dict[str, Any], int], tuple[str, ...]]
Routed: TypeAlias = tuple[ChangeTopic[Any], Change]
"""A change with the topic that carries it; :class:`Route` saw to it that they belong together."""


@dataclass(frozen=True, slots=True)
class Route(Generic[C]):
    """One mapped table: how to read it, what its changes are, and to which keys of which topic they go.

    ``change`` is their struct, of a kind that the topic carries.
    """

    reader: TableReader
    topic: ChangeTopic[C]
    change: type[C]
    parents: Parents


class Router:
    """Turns row events into changes, by the mapping."""

    def __init__(self, mapping: Mapping, topics: Topics, dates: Counter | None = None) -> None:
        """``dates`` counts dates that mean nothing, by table."""
        self._source, self._contact, self._house = mapping.source, mapping.contact, mapping.house_accounts
        self._dates = dates
        routes = {route.reader.table: route for route in _routes(mapping, topics)}
        # SQL Server's names do not differ in letter case only.
        self._routes = {table.casefold(): route for table, route in routes.items()} | routes

    def route(self, event: RowEvent, caused_at: int) -> Iterator[Routed]:
        """The changes that ``event`` makes, each with its topic; ``caused_at`` is its append time in epoch milliseconds.

        Raises:
            RecordError: the row cannot be read, or ``not_mapped`` if the mapping does not have its table. It may be raised
                after some changes were returned: discard them.
        """
        route = self._routes.get(event.table) or self._routes.get(event.table.casefold())
        if route is None:
            raise RecordError("not_mapped", "source.table is not in the mapping")
        key = route.reader.primary_key(event.key)
        lane = _lane(route.change.kind, event)
        row: CapturedRow | None = None
        now: tuple[str, ...] = ()
        after: dict[str, Any] | None = None
        if event.after is not None:
            image = after_image(event, route.reader)
            row = self._dated(event, caused_at, route.reader.read(image.columns))
            if isinstance(row, Contact) and row.unreadable and event.before is not None:
                row = self._with_former_address(route, row, event.before, image.columns)
            # With the placeholders, which are no values: a parent that is not known is not taken for none.
            after = image.columns
            if image.missing:
                after = after | {name: event.after[name] for name in image.missing}
            now = route.parents(after, key)
            for parent in now:
                yield route.topic, route.change(parent, key, event.position, lane, caused_at, row, image.keep)
        if event.before is None:
            return
        gone = AddressLeft(row.named[0]) if isinstance(row, Contact) and row.named and not row.unreadable else None
        for parent in self._former(route, event.before, after, key):
            yield route.topic, route.change(parent, key, event.position, lane, caused_at, gone)

    def _with_former_address(self, route: Route[Any], row: Contact, before: dict[str, Any], after: dict[str, Any]) -> Contact:
        """A house account's person whose address cannot be read is still at the last one, which no account's row remembers."""
        customers = (values.reference(found.get(self._contact.customer), self._contact.customer) for found in (before, after))
        if not all(customer in self._house for customer in customers):
            return row
        try:
            former = route.reader.read(before)
        except RecordError:
            # It was dead-lettered, and no document contains it.
            return row
        if not isinstance(former, Contact):
            return row
        names = {"first_name": former.first_name, "last_name": former.last_name}
        return replace(row, emails=former.emails, excluded=former.excluded, **names)

    def _dated(self, event: RowEvent, caused_at: int, row: CapturedRow) -> CapturedRow:
        """The row, without a date that means nothing."""
        if not isinstance(row, _DATED) or row.at is None:
            return row
        if self._source.is_meaningful(row.at, (event.at or caused_at) // 1000):
            return row
        if self._dates is not None:
            self._dates.labels(event.table).inc()
        return replace(row, dated=False) if isinstance(row, Header) else replace(row, at=None)

    @staticmethod
    def _former(route: Route[Any], before: dict[str, Any], after: dict[str, Any] | None, key: int) -> Iterator[str]:
        # The usual case, decided without reading the old row: no column that routes has changed.
        if after is not None and all(before.get(name) == after.get(name) for name in route.reader.routing):
            return
        try:
            former = route.parents(before, key)
        except RecordError:
            if after is None:
                raise
            # The old version cannot be read, so it was dead-lettered and no document contains it. The new version is good.
            return
        now = () if after is None else route.parents(after, key)
        yield from (parent for parent in former if parent not in now)


def _lane(kind: ChangeKind, event: RowEvent) -> Lane:
    # Millions of rows that a snapshot reads must not delay the changes of today. A despatch is what customers wait for.
    if event.snapshot:
        return Lane.BULK
    return Lane.URGENT if kind is ChangeKind.DESPATCH else Lane.LIVE


def _own(_: dict[str, Any], key: int) -> tuple[str, ...]:
    return (str(key),)


def _everywhere(_: dict[str, Any], __: int) -> tuple[str, ...]:
    return (EVERYWHERE,)


def _named_by(column: str) -> Parents:
    """Routes a row to the document to which ``column`` refers; without a reference, to none."""

    def parents(row: dict[str, Any], _: int) -> tuple[str, ...]:
        parent = values.reference(column_of(row, column), column)
        return () if parent is None else (str(parent),)

    return parents


def _routes(mapping: Mapping, topics: Topics) -> Iterator[Route[Any]]:
    found = readers(mapping)
    order, house, no_address = mapping.order, mapping.house_accounts, words_for_no_address(mapping)

    def of_contact(row: dict[str, Any], key: int) -> tuple[str, ...]:
        contact = mapping.contact
        customer = values.reference(column_of(row, contact.customer), contact.customer)
        if customer is None:
            # A row that names an address still names it, though it has lost its account.
            return (unknown_key(key),)
        # The contacts of a house account (counter sales, marketplaces) are unrelated persons, each known by the address alone.
        if customer not in house:
            return (customer_key(customer),)
        email = column_of(row, contact.email)
        if email == UNAVAILABLE:
            raise RecordError(
                "address_unavailable", f"{contact.email} decides whose row this is, and the change does not tell it"
            )
        field = address_field(email, contact.email, no_address)
        return (unknown_key(key),) if field.unreadable else tuple(address_key(address) for address in field.found)

    def of_customer(_: dict[str, Any], key: int) -> tuple[str, ...]:
        return () if key in house else (customer_key(key),)

    yield Route(found[mapping.customer.table], topics.buyers, CustomerRowChange, of_customer)
    yield Route(found[mapping.contact.table], topics.buyers, ContactRowChange, of_contact)
    yield Route(found[order.header.table], topics.orders, HeaderRowChange, _own)
    yield Route(found[order.detail.table], topics.orders, DetailRowChange, _named_by(order.detail.order))
    yield Route(found[order.total.table], topics.orders, TotalRowChange, _named_by(order.total.order))
    yield Route(found[order.line.table], topics.orders, LineRowChange, _named_by(order.line.order))
    yield Route(found[order.despatch.table], topics.orders, DespatchRowChange, _named_by(order.despatch.order))
    yield Route(found[order.status.table], topics.orders, StatusRowChange, _everywhere)
    if mapping.returns is not None:
        table = mapping.returns
        yield Route(found[table.table], topics.orders, ReturnRowChange, _named_by(table.order))
    if mapping.products is not None:
        yield from _product_routes(found, mapping.products, topics.products)


def _product_routes(found: dict[str, TableReader], tables: Products, topic: ChangeTopic[ProductChange]) -> Iterator[Route[Any]]:
    yield Route(found[tables.product.table], topic, ProductRowChange, _everywhere)
    yield Route(found[tables.variant.table], topic, VariantRowChange, _own)
    yield Route(found[tables.price.table], topic, PriceRowChange, _named_by(tables.price.variant))
    yield Route(found[tables.stock.table], topic, StockRowChange, _named_by(tables.stock.variant))
    yield Route(found[tables.category.table], topic, CategoryRowChange, _everywhere)
    yield Route(found[tables.membership.table], topic, MembershipRowChange, _named_by(tables.membership.variant))
