"""Buyers, their projections, and the contact of every address (contact rules §3 and §4)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from streams.mapping import Mapping
from testkit.oracle.addresses import addresses, first_used
from testkit.oracle.credits import effective
from testkit.oracle.items import items, namings
from testkit.oracle.order_facts import LiveOrder, judged, line_owners
from testkit.oracle.row_reading import EXACT, Row, Tables, flag, iso, name, reference, rounded, rows, text

Consent = Literal["in", "out"]
Value = str | Decimal | int | bool | None

_NEVER = datetime.min.replace(tzinfo=UTC)
_TEXT_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Expected:
    """What one live contact must hold: Dotdigital data field to value, and the consent of the rows.

    ``bought``: of each variant of its last order the SKU now and all that it had.
    """

    fields: dict[str, Value]
    consent: Consent | None
    bought: tuple[tuple[str, frozenset[str]], ...] = ()

    def skus_beside(self, actual: object) -> str | None:
        """The SKUs of the last order with those that ``actual`` has, where the variants had them."""
        there = actual.split(", ") if isinstance(actual, str) else []
        return joined(next((sku for sku in there if sku in had), now) for now, had in self.bought)


@dataclass(frozen=True, slots=True)
class _Projection:
    """What one buyer says about one of its addresses."""

    customer: int | None
    first_name: str | None
    last_name: str | None
    account: str | None
    trade: bool
    orders: tuple[LiveOrder, ...]
    credits: tuple[LiveOrder, ...]
    consent: Consent | None

    @property
    def dated(self) -> list[LiveOrder]:
        """Orders that have a time, oldest first."""
        return sorted((order for order in self.orders if order.at is not None), key=_moment)

    @property
    def rank(self) -> tuple[bool, float, int, bool, int]:
        """Ascending: latest last order first, none last; customers before e-mail buyers; then smaller customer ids."""
        last = self.dated[-1] if self.dated else None
        newest = (0.0, 0) if last is None or last.at is None else (-last.at.timestamp(), -last.id)
        return (last is None, *newest, self.customer is None, self.customer or 0)


def expected_contacts(tables: Tables, mapping: Mapping) -> dict[str, Expected]:
    """Every address that must have a contact, with what it must hold."""
    live, _, ignored = judged(tables, mapping)
    live = effective(live, line_owners(tables, mapping), ignored)
    called = namings(tables, mapping)
    skus = {key: (item.sku, called[key].skus) for key, item in items(tables, mapping).items() if item.sku}
    projections: dict[str, list[_Projection]] = defaultdict(list)
    for address, projection in [*_customers(tables, mapping, live), *_emails(tables, mapping, live)]:
        projections[address].append(projection)
    return {address: _contact(sorted(found, key=lambda p: p.rank), skus, mapping) for address, found in projections.items()}


def _customers(tables: Tables, mapping: Mapping, live: list[LiveOrder]) -> list[tuple[str, _Projection]]:
    orders: dict[int, list[LiveOrder]] = defaultdict(list)
    for order in live:
        orders[order.customer].append(order)
    people: dict[int | None, list[Row]] = defaultdict(list)
    for row in rows(tables, mapping.contact.table, mapping.contact.key):
        people[reference(row[mapping.contact.customer])].append(row)

    accounts = {int(row[mapping.customer.key]): row for row in rows(tables, mapping.customer.table, mapping.customer.key)}
    return [
        (address, _projection(address, customer, accounts[customer], people[customer], orders[customer], mapping))
        for customer, found in customer_addresses(tables, mapping).items()
        for address in found
    ]


def customer_addresses(tables: Tables, mapping: Mapping) -> dict[int, list[str]]:
    """The addresses of every customer buyer, in their order (contact rules §3); house accounts are no buyers."""
    people: dict[int | None, list[Row]] = defaultdict(list)
    for row in rows(tables, mapping.contact.table, mapping.contact.key):
        people[reference(row[mapping.contact.customer])].append(row)
    found = {int(row[mapping.customer.key]): row for row in rows(tables, mapping.customer.table, mapping.customer.key)}
    return {key: _addresses(row, people[key], mapping) for key, row in found.items() if key not in mapping.house_accounts}


def without_account(tables: Tables, mapping: Mapping) -> frozenset[str]:
    """The addresses of persons who name no account: neither wanted nor withdrawn (contact rules §3, Frozen buyers)."""
    names = mapping.contact
    people = (row for row in rows(tables, names.table, names.key) if reference(row[names.customer]) is None)
    return frozenset(address for row in people for address in addresses(row[names.email]))


def only_of(people: frozenset[str], tables: Tables, mapping: Mapping) -> frozenset[str]:
    """The addresses that have a contact only because these contact rows have them."""
    names = mapping.contact
    theirs = {key: row for key, row in tables.get(names.table, {}).items() if key in people}
    if not theirs:
        return frozenset()
    others = {key: row for key, row in tables[names.table].items() if key not in people}
    found = frozenset(address for row in theirs.values() for address in addresses(row[names.email]))
    return found - expected_contacts({**tables, names.table: others}, mapping).keys()


def _addresses(customer: Row, people: list[Row], mapping: Mapping) -> list[str]:
    of_people = [address for row in people for address in addresses(row[mapping.contact.email])]
    if of_people:
        return list(dict.fromkeys(of_people))
    column = first_used(customer, mapping.customer.emails)
    return [] if column is None else addresses(customer[column])


def _emails(tables: Tables, mapping: Mapping, live: list[LiveOrder]) -> list[tuple[str, _Projection]]:
    orders: dict[str, list[LiveOrder]] = defaultdict(list)
    for order in live:
        if order.address is not None:
            orders[order.address].append(order)
    people: dict[str, list[Row]] = defaultdict(list)
    for row in rows(tables, mapping.contact.table, mapping.contact.key):
        if reference(row[mapping.contact.customer]) in mapping.house_accounts:
            for address in addresses(row[mapping.contact.email]):
                people[address].append(row)
    return [
        (address, _projection(address, None, None, people[address], orders[address], mapping))
        for address in sorted(orders.keys() | people.keys())
    ]


def _projection(
    address: str, customer: int | None, account: Row | None, people: list[Row], live: list[LiveOrder], mapping: Mapping
) -> _Projection:
    own = [row for row in people if address in addresses(row[mapping.contact.email])]
    first, last = _name(own, mapping)
    return _Projection(
        customer=customer,
        first_name=first,
        last_name=last,
        account=None if account is None else text(account[mapping.customer.account]),
        trade=account is not None and flag(account[mapping.customer.trade]),
        orders=tuple(order for order in live if order.kind == "order" and order.counts),
        credits=tuple(order for order in live if order.kind == "credit" and order.counts and rounded(order.net) != 0),
        consent=_consent(own, mapping),
    )


def _name(people: list[Row], mapping: Mapping) -> tuple[str | None, str | None]:
    for row in people:
        first, last = name(row[mapping.contact.first_name]), name(row[mapping.contact.last_name])
        if first or last:
            return first, last
        full = name(row[mapping.contact.full_name])
        if full:
            words = full.split(None, 1)
            return words[0], words[1] if len(words) == 2 else None
    return None, None


def _consent(people: list[Row], mapping: Mapping) -> Consent | None:
    if mapping.consent.mode != "column" or mapping.consent.column is None:
        return None
    values = [row[mapping.consent.column] for row in people]
    said = {str(value).strip().casefold() for value in values if value is not None}
    if said & mapping.consent.opted_out:
        return "out"
    return "in" if said & mapping.consent.opted_in else None


def _contact(ranked: list[_Projection], skus: dict[int, tuple[str, frozenset[str]]], mapping: Mapping) -> Expected:
    orders = [order for projection in ranked for order in projection.orders]
    given_back = [credit for projection in ranked for credit in projection.credits]
    dated = sorted((order for order in orders if order.at is not None), key=_moment)
    newest = dated[-1] if dated else None
    named = next((p for p in ranked if p.first_name or p.last_name), None)
    spend = EXACT.subtract(_total(orders), _total(given_back))
    paid = sum(rounded(order.net) > 0 for order in orders)
    despatches = [order.despatched for order in orders if order.despatched is not None]
    parcels = [(order.despatched, order.id, order) for order in orders if order.despatched is not None]
    parcel = max(parcels, key=lambda one: one[:2])[2] if parcels else None
    refunds = [credit.at for credit in given_back if credit.at is not None]
    exclude = None if newest is None or newest.at is None else newest.at + timedelta(hours=24 * mapping.exclude_days)
    consents = {projection.consent for projection in ranked}
    bought = tuple(skus[line.variant] for line in newest.lines if line.variant in skus) if newest else ()

    f = mapping.contact_fields
    fields: dict[str, Value] = {
        f.first_name: _cut(named.first_name) if named else None,
        f.last_name: _cut(named.last_name) if named else None,
        f.account: next((p.account for p in ranked if p.account), None),
        f.trade: any(p.trade for p in ranked),
        f.order_count: len(orders),
        f.total_spend: rounded(spend),
        f.average_order: rounded(EXACT.divide(spend, Decimal(paid))) if paid else None,
        f.first_order: iso(dated[0].at) if dated else None,
        f.last_order: iso(newest.at) if newest else None,
        f.last_order_number: newest.number if newest else None,
        f.last_status: newest.status if newest else None,
        f.last_despatch: iso(max(despatches, default=None)),
        f.last_consignment: parcel.consignment if parcel else None,
        f.last_carrier: parcel.carrier if parcel else None,
        f.last_skus: joined(sku for sku, _ in bought),
        f.refund_count: len(given_back),
        f.refund_total: rounded(_total(given_back)),
        f.last_refund: iso(max(refunds, default=None)),
        f.refunded: len(given_back) > 0,
        f.exclude_until: iso(exclude),
    }
    return Expected(fields, "out" if "out" in consents else "in" if "in" in consents else None, bought)


def _moment(order: LiveOrder) -> tuple[datetime, int]:
    return (order.at or _NEVER, order.id)


def _total(orders: list[LiveOrder]) -> Decimal:
    total = Decimal(0)
    for order in orders:
        total = EXACT.add(total, order.net)
    return total


def joined(skus: Iterable[str]) -> str | None:
    """As many whole SKUs, each once, as a data field holds (delivery rules §4)."""
    shown = ""
    for sku in dict.fromkeys(skus):
        longer = f"{shown}, {sku}" if shown else sku
        if len(longer) > _TEXT_LIMIT:
            break
        shown = longer
    return shown or None


def _cut(value: str | None) -> str | None:
    return None if value is None else value[:_TEXT_LIMIT]
