"""The typed rows of the product: one small struct for each mapped table.

Millions of them are stored, and every change decodes some, so they are msgspec structs in array form. The first element of the
array is the tag. Tags and the order of fields are a storage format: add fields at the end with a default, and never reorder.
"""

from decimal import Decimal
from typing import TypeAlias

import msgspec


class Row(msgspec.Struct, array_like=True, frozen=True, gc=False, tag_field="_tag"):
    """Base of every captured row. Times are UTC epoch seconds; a reference to nothing is None.

    ``gc=False``: a row contains no cycle, and the garbage collector would otherwise walk millions of them.
    """


class Customer(Row, frozen=True, tag=1):
    """An account. ``emails`` are the addresses of the first mapped column that is not empty.

    ``unreadable``: that column has text which names no address for certain (:mod:`streams.capture.addresses`). ``excluded``:
    the mapping excludes the account.
    """

    account: str | None
    trade: bool
    emails: tuple[str, ...]
    unreadable: bool = False
    excluded: bool = False


class Contact(Row, frozen=True, tag=2):
    """A person under an account. ``opted`` is the mapped consent: True in, False out, None unknown.

    ``erased``: the mapped column of the ERP requests the erasure of the person. ``unreadable``: the field has text which names
    no address for certain; it is not known whose row this is, so it has no name either. ``excluded``: addresses of the field
    that the mapping excludes; they are not among ``emails``. ``word`` identifies the text of the consent column, whatever the
    mapping makes of it; 0: not known.
    """

    emails: tuple[str, ...]
    first_name: str | None
    last_name: str | None
    opted: bool | None
    erased: bool = False
    unreadable: bool = False
    excluded: tuple[str, ...] = ()
    word: int = 0

    @property
    def named(self) -> tuple[str, ...]:
        """Every address of the field, those that are excluded last."""
        return (*self.emails, *self.excluded)


class Header(Row, frozen=True, tag=3):
    """The head of an order, credit note or quote.

    ``dated``: its date says when it was placed; 1900-01-01 does not. ``excluded``: the mapping excludes its channel.
    ``contact``: the contact row of the person who ordered. ``unnumbered``: the number is a former one, and none is there now.
    """

    number: str | None
    at: int
    customer: int | None
    type: int | None
    status: int | None
    dated: bool = True
    excluded: bool = False
    contact: int | None = None
    unnumbered: bool = False


class Detail(Row, frozen=True, tag=4):
    """The second head of an order.

    ``erased``: its address belonged to an erased person and was removed. ``unreadable``: the first mapped column that is not
    empty has text which names no address for certain. ``emptied``: it is unreadable, and was empty when it last was not.
    ``excluded``: the mapping excludes its address, which was left out.
    """

    email: str | None
    currency: int | None
    erased: bool = False
    unreadable: bool = False
    emptied: bool = False
    excluded: bool = False


class Total(Row, frozen=True, tag=5):
    """The money of an order; positive on credit notes too."""

    net: Decimal | None


class Line(Row, frozen=True, tag=6):
    """One line; ``original`` is, for a line of a credit note, the order line that it credits; ``name`` what was sold."""

    original: int | None
    variant: int | None
    quantity: Decimal | None
    net: Decimal | None
    name: str | None = None


class Despatch(Row, frozen=True, tag=7):
    """One delivery against an order."""

    at: int | None
    consignment: str | None
    carrier: str | None = None


class StatusText(Row, frozen=True, tag=8):
    """One row of the status lookup; ``text`` is trimmed and case-folded."""

    text: str


class Product(Row, frozen=True, tag=9):
    """The common data of several variants."""

    code: str | None
    name: str | None


class Variant(Row, frozen=True, tag=10):
    """An item that can be bought; ``code`` is the SKU, ``sold`` is False if the shop does not offer it."""

    product: int | None
    code: str | None
    name: str | None
    sold: bool


class Price(Row, frozen=True, tag=11):
    """A variant's price without tax for ``per`` units in one currency; ``base`` is preferred among several."""

    currency: int | None
    amount: Decimal | None
    per: Decimal | None
    base: bool


class Stock(Row, frozen=True, tag=12):
    """Free stock of a variant at one place."""

    free: Decimal | None


class Category(Row, frozen=True, tag=13):
    """A product category."""

    name: str | None


class Membership(Row, frozen=True, tag=14):
    """A category of a variant."""

    category: int | None


class Return(Row, frozen=True, tag=15):
    """A customer's return against an order."""

    number: str | None
    at: int | None


CapturedRow: TypeAlias = (
    Customer
    | Contact
    | Header
    | Detail
    | Total
    | Line
    | Despatch
    | StatusText
    | Product
    | Variant
    | Price
    | Stock
    | Category
    | Membership
    | Return
)
