"""Reads the columns of a captured row into a typed row, by the site's mapping.

There is one :class:`TableReader` for each mapped table. It keeps only mapped columns; all others are dropped here, before they
reach any topic of ours.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any
from zlib import crc32

from streams.capture import rows, values
from streams.capture.addresses import AddressField, address_field, as_word
from streams.capture.rows import CapturedRow
from streams.core.errors import RecordError
from streams.mapping import Mapping
from streams.mapping import tables as mapped
from streams.mapping.exclusions import Exclusions


@dataclass(frozen=True, slots=True)
class TableReader:
    """Reads one table.

    Attributes:
        table: its name.
        key: the primary-key column.
        routing: the columns that decide the documents to which a row belongs: its parent's reference, for contacts also the
            address. A change in one of them moves the row.
        read: turns columns into the typed row. It raises ``RecordError`` if a column is missing or cannot be read.
        fields: field of the typed row to the columns that it is read from, the deciding one first; for text columns, whose
            values a change may lack (:mod:`streams.capture.images`).
        texts: these columns.
        large: the columns that are ``varchar(max)`` or ``nvarchar(max)``, as the mapping says.
    """

    table: str
    key: str
    routing: tuple[str, ...]
    read: Callable[[dict[str, Any]], CapturedRow]
    fields: dict[str, tuple[str, ...]]
    large: frozenset[str] = frozenset()
    texts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", tuple(dict.fromkeys(name for names in self.fields.values() for name in names)))

    def primary_key(self, key: dict[str, Any]) -> int:
        """The row's primary key, from the record's key.

        Raises:
            RecordError: ``key_column_missing``, ``key_null``, or the error of :func:`values.integer`.
        """
        if self.key not in key:
            raise RecordError("key_column_missing", f"the record's key has no {self.key}")
        number = values.integer(key[self.key], self.key)
        if number is None:
            raise RecordError("key_null", f"{self.key} is null in the record's key")
        return number


def readers(mapping: Mapping) -> dict[str, TableReader]:
    """The reader of every mapped table, by table name."""
    order = mapping.order
    found = [
        _customer(mapping),
        _contact(mapping),
        _header(order.header, mapping),
        _detail(mapping),
        _total(order.total),
        _line(order.line),
        _despatch(order.despatch, mapping),
        _status(order.status),
        *_products(mapping.products),
    ]
    if mapping.returns is not None:
        found.append(_return(mapping.returns, mapping))
    large = mapping.large_columns
    return {reader.table: replace(reader, large=large.get(reader.table, frozenset())) for reader in found}


def column_of(row: dict[str, Any], column: str) -> Any:
    """A mapped column of a row.

    Raises:
        RecordError: ``column_missing``.
    """
    try:
        return row[column]
    except KeyError:
        raise RecordError("column_missing", f"{column} is mapped, but not in the row; is it captured?") from None


def words_for_no_address(mapping: Mapping) -> frozenset[str]:
    """The mapping's texts that say that there is no address, as :func:`address_field` takes them."""
    return frozenset(map(as_word, mapping.no_address))


def _first_addresses(row: dict[str, Any], columns: tuple[str, ...], no_address: frozenset[str]) -> AddressField:
    """The first field that is not empty. The next one may name somebody else, so it does not stand in for an unreadable one."""
    found = (address_field(column_of(row, column), column, no_address) for column in columns)
    return next((one for one in found if not one.empty), AddressField())


def listed(value: Any) -> str | None:
    """A value of a column whose values the mapping lists, as text in the spelling of that list: trimmed, case-folded."""
    return None if value is None else str(value).strip().casefold()


def _included(found: tuple[str, ...], exclude: Exclusions) -> tuple[str, ...]:
    return tuple(address for address in found if not exclude.excludes(address))


def _customer(mapping: Mapping) -> TableReader:
    table, exclude, no_address = mapping.customer, mapping.exclude, words_for_no_address(mapping)

    def excluded(row: dict[str, Any]) -> bool:
        if exclude.accounts and values.integer(column_of(row, table.key), table.key) in exclude.accounts:
            return True
        return table.type is not None and listed(column_of(row, table.type)) in exclude.customer_types

    def read(row: dict[str, Any]) -> rows.Customer:
        found = _first_addresses(row, table.emails, no_address)
        return rows.Customer(
            account=values.text(column_of(row, table.account), table.account),
            trade=values.flag(column_of(row, table.trade), table.trade),
            emails=_included(found.found, exclude),
            unreadable=found.unreadable,
            excluded=excluded(row),
        )

    fields = {"account": (table.account,), "trade": (table.trade,), "emails": table.emails, "unreadable": table.emails}
    if table.type is not None:
        fields["excluded"] = (table.type,)
    return TableReader(table.table, table.key, (), read, fields)


def _name(row: dict[str, Any], table: mapped.Contact) -> tuple[str | None, str | None]:
    first = values.name(column_of(row, table.first_name), table.first_name)
    last = values.name(column_of(row, table.last_name), table.last_name)
    # Some sites keep only the full name. Splitting at the first blank is a guess, so it is the last resort.
    if first is None and last is None:
        full = values.name(column_of(row, table.full_name), table.full_name)
        first, last = [*(full or "").split(None, 1), None, None][:2]
    return first, last


def _contact(mapping: Mapping) -> TableReader:
    table, consent, erasure, exclude = mapping.contact, mapping.consent, mapping.erasure, mapping.exclude
    no_address = words_for_no_address(mapping)

    def consent_of(row: dict[str, Any]) -> tuple[bool | None, int]:
        if consent.mode != "column" or consent.column is None:
            return None, 0
        answer = listed(column_of(row, consent.column))
        opted = False if answer in consent.opted_out else True if answer in consent.opted_in else None
        return opted, crc32((answer or "").encode()) or 1

    def erased(row: dict[str, Any]) -> bool:
        return erasure is not None and listed(column_of(row, erasure.column)) in erasure.erased

    def included(row: dict[str, Any], found: tuple[str, ...]) -> tuple[str, ...]:
        if exclude.accounts and values.reference(column_of(row, table.customer), table.customer) in exclude.accounts:
            return ()
        return _included(found, exclude)

    def read(row: dict[str, Any]) -> rows.Contact:
        first, last = _name(row, table)
        email = address_field(column_of(row, table.email), table.email, no_address)
        if email.unreadable:
            # The person may be one who was erased: without an address nobody could find the name again.
            first = last = None
        emails = included(row, email.found)
        excluded = tuple(address for address in email.found if address not in emails)
        opted, word = consent_of(row)
        return rows.Contact(emails, first, last, opted, erased(row), email.unreadable, excluded, word)

    return TableReader(table.table, table.key, (table.customer, table.email), read, _contact_fields(mapping))


def _contact_fields(mapping: Mapping) -> dict[str, tuple[str, ...]]:
    table, consent, erasure = mapping.contact, mapping.consent, mapping.erasure
    fields: dict[str, tuple[str, ...]] = {
        "emails": (table.email,),
        "excluded": (table.email,),
        "unreadable": (table.email,),
        "first_name": (table.first_name, table.last_name, table.full_name),
        "last_name": (table.last_name, table.first_name, table.full_name),
    }
    if consent.mode == "column" and consent.column is not None:
        fields["opted"] = fields["word"] = (consent.column,)
    if erasure is not None:
        fields["erased"] = (erasure.column,)
    return fields


def _instant(table: mapped.Section, column: str, zone: tzinfo) -> Callable[[dict[str, Any]], int | None]:
    zoned = column in table.zoned
    return lambda row: values.instant(column_of(row, column), column, zone, zoned=zoned)


def _header(table: mapped.Header, mapping: Mapping) -> TableReader:
    instant = _instant(table, table.at, mapping.source.zone)

    def read(row: dict[str, Any]) -> rows.Header:
        at = instant(row)
        # An order without a date can be neither counted nor shown, so it is dead-lettered.
        if at is None:
            raise RecordError("null_not_allowed", f"{table.at} is null")
        return rows.Header(
            number=values.text(column_of(row, table.number), table.number),
            at=at,
            customer=values.reference(column_of(row, table.customer), table.customer),
            type=values.reference(column_of(row, table.type), table.type),
            status=values.reference(column_of(row, table.status), table.status),
            excluded=table.channel is not None and listed(column_of(row, table.channel)) in mapping.exclude.channels,
            contact=None if table.contact is None else values.reference(column_of(row, table.contact), table.contact),
        )

    fields: dict[str, tuple[str, ...]] = {"number": (table.number,)}
    if table.channel is not None:
        fields["excluded"] = (table.channel,)
    return TableReader(table.table, table.key, (table.key,), read, fields)


def _detail(mapping: Mapping) -> TableReader:
    table, exclude, no_address = mapping.order.detail, mapping.exclude, words_for_no_address(mapping)

    def read(row: dict[str, Any]) -> rows.Detail:
        currency = table.currency and values.reference(column_of(row, table.currency), table.currency)
        found = _first_addresses(row, table.emails, no_address)
        email = next(iter(found.found), None)
        excluded = email is not None and exclude.excludes(email)
        return rows.Detail(
            email=None if excluded else email, currency=currency or None, unreadable=found.unreadable, excluded=excluded
        )

    fields = dict.fromkeys(("email", "erased", "unreadable", "excluded"), table.emails)
    return TableReader(table.table, table.key, (table.order,), read, fields)


def _total(table: mapped.Total) -> TableReader:
    def read(row: dict[str, Any]) -> rows.Total:
        return rows.Total(net=values.decimal(column_of(row, table.net), table.net))

    return TableReader(table.table, table.key, (table.order,), read, {})


def _line(table: mapped.Line) -> TableReader:
    def read(row: dict[str, Any]) -> rows.Line:
        return rows.Line(
            original=values.reference(column_of(row, table.original), table.original),
            variant=values.reference(column_of(row, table.variant), table.variant),
            quantity=values.decimal(column_of(row, table.quantity), table.quantity),
            net=values.decimal(column_of(row, table.net), table.net),
            name=None if table.name is None else values.name(column_of(row, table.name), table.name),
        )

    fields: dict[str, tuple[str, ...]] = {} if table.name is None else {"name": (table.name,)}
    return TableReader(table.table, table.key, (table.order,), read, fields)


def _despatch(table: mapped.Despatch, mapping: Mapping) -> TableReader:
    instant = _instant(table, table.at, mapping.source.zone)

    def read(row: dict[str, Any]) -> rows.Despatch:
        return rows.Despatch(
            at=instant(row),
            consignment=values.text(column_of(row, table.consignment), table.consignment),
            carrier=None if table.carrier is None else values.text(column_of(row, table.carrier), table.carrier),
        )

    fields: dict[str, tuple[str, ...]] = {"consignment": (table.consignment,)}
    if table.carrier is not None:
        fields["carrier"] = (table.carrier,)
    return TableReader(table.table, table.key, (table.order,), read, fields)


def _status(table: mapped.StatusTable) -> TableReader:
    def read(row: dict[str, Any]) -> rows.StatusText:
        text = values.text(column_of(row, table.text), table.text)
        return rows.StatusText(text=(text or "").casefold())

    return TableReader(table.table, table.key, (), read, {"text": (table.text,)})


def _products(tables: mapped.Products | None) -> Iterator[TableReader]:
    if tables is not None:
        yield _product(tables.product)
        yield _variant(tables.variant)
        yield _price(tables.price)
        yield _stock(tables.stock)
        yield _category(tables.category)
        yield _membership(tables.membership)


def _product(table: mapped.Product) -> TableReader:
    def read(row: dict[str, Any]) -> rows.Product:
        return rows.Product(
            code=values.text(column_of(row, table.code), table.code),
            name=values.name(column_of(row, table.name), table.name),
        )

    return TableReader(table.table, table.key, (), read, {"code": (table.code,), "name": (table.name,)})


def _variant(table: mapped.Variant) -> TableReader:
    def read(row: dict[str, Any]) -> rows.Variant:
        return rows.Variant(
            product=values.reference(column_of(row, table.product), table.product),
            code=values.text(column_of(row, table.code), table.code),
            name=values.name(column_of(row, table.name), table.name),
            sold=table.sold is None or _sold(column_of(row, table.sold), table.sold),
        )

    return TableReader(table.table, table.key, (), read, {"code": (table.code,), "name": (table.name,)})


def _sold(value: Any, column: str) -> bool:
    # A site that never used the flag has nulls in it, and sells every variant.
    return value is None or values.flag(value, column)


def _price(table: mapped.Price) -> TableReader:
    def read(row: dict[str, Any]) -> rows.Price:
        return rows.Price(
            currency=values.reference(column_of(row, table.currency), table.currency),
            amount=values.decimal(column_of(row, table.amount), table.amount),
            per=None if table.per is None else values.decimal(column_of(row, table.per), table.per),
            base=table.base is not None and values.flag(column_of(row, table.base), table.base),
        )

    return TableReader(table.table, table.key, (table.variant,), read, {})


def _stock(table: mapped.Stock) -> TableReader:
    def read(row: dict[str, Any]) -> rows.Stock:
        return rows.Stock(free=values.decimal(column_of(row, table.free), table.free))

    return TableReader(table.table, table.key, (table.variant,), read, {})


def _category(table: mapped.Category) -> TableReader:
    def read(row: dict[str, Any]) -> rows.Category:
        return rows.Category(name=values.name(column_of(row, table.name), table.name))

    return TableReader(table.table, table.key, (), read, {"name": (table.name,)})


def _membership(table: mapped.Membership) -> TableReader:
    def read(row: dict[str, Any]) -> rows.Membership:
        return rows.Membership(category=values.reference(column_of(row, table.category), table.category))

    return TableReader(table.table, table.key, (table.variant,), read, {})


def _return(table: mapped.Return, mapping: Mapping) -> TableReader:
    instant = _instant(table, table.at, mapping.source.zone)

    def read(row: dict[str, Any]) -> rows.Return:
        return rows.Return(
            number=values.text(column_of(row, table.number), table.number),
            at=instant(row),
        )

    return TableReader(table.table, table.key, (table.order,), read, {"number": (table.number,)})
