"""The tables of a site, with the columns that the product reads."""

from typing import ClassVar, Literal

from streams.mapping.parts import Identifier, MappingPart


class Section(MappingPart):
    """A part of the mapping that names a table, its primary key and the columns that the product reads.

    ``zoned``: its ``datetimeoffset`` columns. Debezium writes their +00:00 as ``Z``, as it does for columns without a zone.
    ``large``: those of them that are ``varchar(max)`` or ``nvarchar(max)`` in the database. CDC keeps no value of such a column
    for an update that leaves it alone, so the connector reads it again.
    """

    table: Identifier
    key: Identifier
    large: frozenset[Identifier] = frozenset()
    zoned: frozenset[Identifier] = frozenset()
    _no_columns: ClassVar[tuple[str, ...]] = ("table", "large", "zoned")

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the section names, the key first, each once."""
        values = [getattr(self, name) for name in type(self).model_fields if name not in self._no_columns]
        named = [value if isinstance(value, tuple) else (value,) for value in values if value is not None]
        return tuple(dict.fromkeys(column for group in named for column in group))


class Customer(Section):
    """The account table. ``type``: a column by which accounts can be excluded."""

    account: Identifier
    trade: Identifier
    emails: tuple[Identifier, ...] = ()
    type: Identifier | None = None


class Contact(Section):
    """The table of named persons under an account.

    ``on_move``: when the one person of a contact gets another address, the contact is renamed, or a new one is created.
    """

    customer: Identifier
    email: Identifier
    first_name: Identifier
    last_name: Identifier
    full_name: Identifier
    on_move: Literal["rename", "new"] = "new"
    _no_columns: ClassVar[tuple[str, ...]] = (*Section._no_columns, "on_move")


class Header(Section):
    """The order's head: one row per order, credit note or quote.

    ``channel``: a column by which orders can be excluded. ``contact``: the contact row of the person who ordered.
    """

    number: Identifier
    at: Identifier
    customer: Identifier
    type: Identifier
    status: Identifier
    channel: Identifier | None = None
    contact: Identifier | None = None


class Detail(Section):
    """The order's second head: addresses and currency."""

    order: Identifier
    emails: tuple[Identifier, ...] = ()
    currency: Identifier | None = None


class Total(Section):
    """The order's money."""

    order: Identifier
    net: Identifier


class Line(Section):
    """One line of an order or credit note. ``name``: its own description, which stays when the product is renamed."""

    order: Identifier
    original: Identifier
    variant: Identifier
    quantity: Identifier
    net: Identifier
    name: Identifier | None = None


class Despatch(Section):
    """One delivery against an order: when, under which consignment number, and with which carrier."""

    order: Identifier
    at: Identifier
    consignment: Identifier
    carrier: Identifier | None = None


class StatusTable(Section):
    """The lookup that gives a status id its text."""

    text: Identifier


class Return(Section):
    """A customer's return against an order, before it is credited."""

    order: Identifier
    number: Identifier
    at: Identifier


class Product(Section):
    """The common data of several variants."""

    code: Identifier
    name: Identifier


class Variant(Section):
    """An item that can be bought. ``sold``: a flag that is false for variants that are only components or purchases."""

    product: Identifier
    code: Identifier
    name: Identifier
    sold: Identifier | None = None


class Price(Section):
    """A variant's price in one currency, for ``per`` units; ``base`` marks the one that counts when there are several."""

    variant: Identifier
    currency: Identifier
    amount: Identifier
    per: Identifier | None = None
    base: Identifier | None = None


class Stock(Section):
    """A variant's free stock; several rows (locations) add up."""

    variant: Identifier
    free: Identifier


class Category(Section):
    """A product category."""

    name: Identifier


class Membership(Section):
    """A variant's membership in a category."""

    variant: Identifier
    category: Identifier


class Products(MappingPart):
    """The tables of the catalogue."""

    product: Product
    variant: Variant
    price: Price
    stock: Stock
    category: Category
    membership: Membership
