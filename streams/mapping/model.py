"""The site's mapping as a typed model: which tables and columns hold what, and what each value means.

Attribute names mirror the keys of ``mapping.yaml``; ``default.yaml`` beside this file is the commented example.
"""

import re
from decimal import Decimal
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from streams.domain.windows import BulkWindows

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$#@]{0,127}$")]
"""A SQL Server regular identifier; anything else is refused before it can reach SQL or a topic name."""

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,20}$")]
"""A Dotdigital data field name: at most 20 letters, digits, ``_`` or ``-``."""

_NOT_IN_TOPICS = re.compile(r"[^A-Za-z0-9._-]")

Status = Literal["open", "held", "part_despatched", "despatched", "completed", "cancelled"]
Kind = Literal["order", "credit", "ignore"]
RecordStatus = Literal[
    "open", "held", "part_despatched", "despatched", "completed", "cancelled", "returning", "part_refunded", "refunded"
]
"""What an order's record can show: the order's status, or what became of the order afterwards."""


def _folded(value: object) -> object:
    if isinstance(value, dict):
        folded = [(str(key).strip().casefold(), item) for key, item in value.items()]
        names = [name for name, _ in folded]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice} are listed twice, in other spellings")
        return dict(folded)
    return value


def _texts(value: object) -> object:
    if isinstance(value, list | tuple | set | frozenset):
        return [_text(item) for item in value]
    return value


def _text(value: object) -> object:
    # YAML reads an unquoted true as a boolean and 1 as a number; a consent value is compared as text.
    return str(value).strip().casefold() if isinstance(value, bool | int | str) else value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Model):
    """The captured database and how its wall clock reads."""

    database: Identifier
    schema_: Identifier = Field(alias="schema")
    topic_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    timezone: str
    epoch: Annotated[int, Field(ge=0, le=0xFFFF)] = 0

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {self.timezone!r}; use an IANA name such as Europe/London") from error
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the site's ``datetime`` columns are written."""
        return ZoneInfo(self.timezone)


class Section(_Model):
    """A part of the mapping that names a table, its primary key and the columns that the product reads."""

    table: Identifier
    key: Identifier

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the section names, the key first, each once."""
        values = [getattr(self, name) for name in type(self).model_fields if name != "table"]
        named = [value if isinstance(value, tuple) else (value,) for value in values if value is not None]
        return tuple(dict.fromkeys(column for group in named for column in group))


class Customer(Section):
    """The account table."""

    account: Identifier
    trade: Identifier
    emails: tuple[Identifier, ...] = ()


class Contact(Section):
    """The table of named persons under an account."""

    customer: Identifier
    email: Identifier
    first_name: Identifier
    last_name: Identifier
    full_name: Identifier


class Consent(_Model):
    """Where a marketing opt-in is recorded; by default nowhere, and then nobody is opted in.

    ``external``: another system owns consent and creates the contacts; we only fill in those that exist.
    """

    mode: Literal["none", "column", "external"] = "none"
    column: Identifier | None = None
    opted_in: Annotated[frozenset[str], BeforeValidator(_texts)] = frozenset({"1", "true"})
    opted_out: Annotated[frozenset[str], BeforeValidator(_texts)] = frozenset({"0", "false"})

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.mode == "column" and self.column is None:
            raise ValueError("consent.mode is 'column', so consent.column must name a column of the contact table")
        if both := self.opted_in & self.opted_out:
            raise ValueError(f"consent values {sorted(both)} are in both opted_in and opted_out")
        return self


class Header(Section):
    """The order's head: one row per order, credit note or quote."""

    number: Identifier
    at: Identifier
    customer: Identifier
    type: Identifier
    status: Identifier


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
    """One line of an order or credit note."""

    order: Identifier
    original: Identifier
    variant: Identifier
    quantity: Identifier
    net: Identifier


class Despatch(Section):
    """One delivery against an order."""

    order: Identifier
    at: Identifier
    consignment: Identifier


class StatusTable(Section):
    """The lookup that gives a status id its text."""

    text: Identifier


class Return(Section):
    """A customer's return against an order, before it is credited."""

    order: Identifier
    number: Identifier
    at: Identifier


class Product(Section):
    """What variants have in common."""

    code: Identifier
    name: Identifier


class Variant(Section):
    """What can be bought. ``sold``: a flag that is false for variants which are only components or purchases."""

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
    """That a variant belongs to a category."""

    variant: Identifier
    category: Identifier


class Products(_Model):
    """The tables of what is sold."""

    product: Product
    variant: Variant
    price: Price
    stock: Stock
    category: Category
    membership: Membership


class OrderTypes(_Model):
    """System order types (``oh_sot_id``) by what they mean for marketing."""

    order: frozenset[int]
    credit: frozenset[int]
    ignore: frozenset[int] = frozenset()

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        seen: set[int] = set()
        for group in (self.order, self.credit, self.ignore):
            if both := seen & group:
                raise ValueError(f"order types {sorted(both)} are listed twice")
            seen |= group
        return self

    def kind(self, type_id: int | None) -> Kind | None:
        """What a type id means, or None when the mapping does not say."""
        if type_id is None:
            return None
        if type_id in self.order:
            return "order"
        if type_id in self.credit:
            return "credit"
        return "ignore" if type_id in self.ignore else None


class Currency(_Model):
    """One currency id: its ISO-4217 code and the value of one unit in the reporting currency."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    rate: Annotated[Decimal, Field(gt=0)]


class Order(_Model):
    """Orders and credit notes: the tables they are spread over and what their codes mean."""

    header: Header
    detail: Detail
    total: Total
    line: Line
    despatch: Despatch
    status: StatusTable
    types: OrderTypes
    statuses: Annotated[dict[str, Status], BeforeValidator(_folded)]
    currencies: dict[int, Currency]
    default_currency: int

    @model_validator(mode="after")
    def _default_known(self) -> Self:
        if self.default_currency not in self.currencies:
            raise ValueError(f"order.default_currency {self.default_currency} is not in order.currencies")
        return self


class ContactFields(_Model):
    """The Dotdigital data field that holds each value of a contact."""

    first_name: FieldName
    last_name: FieldName
    account: FieldName
    trade: FieldName
    order_count: FieldName
    total_spend: FieldName
    average_order: FieldName
    first_order: FieldName
    last_order: FieldName
    last_order_number: FieldName
    last_status: FieldName
    last_despatch: FieldName
    last_skus: FieldName
    refund_count: FieldName
    refund_total: FieldName
    last_refund: FieldName
    refunded: FieldName
    exclude_until: FieldName

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [name.casefold() for name in self.model_dump().values()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two values share the data field {twice}")
        return self


class Erasure(_Model):
    """A column of the contact table by which the ERP asks for a person to be forgotten."""

    column: Identifier
    erased: Annotated[frozenset[str], BeforeValidator(_texts)] = frozenset({"1", "true"})


Collection = Annotated[str, StringConstraints(pattern=r"^[-A-Za-z_][-A-Za-z0-9_]{1,255}$")]
"""The name of an insight data collection."""


class OrderRecords(_Model):
    """The collection with one record per order. ``statuses``: the word that a record shows for a status of ours."""

    collection: Collection = "Orders"
    statuses: dict[RecordStatus, str] = Field(default_factory=dict)


PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
"""What is filled in in a template: ``{sku}``, ``{code}`` (of the product) and ``{id}`` (of the variant)."""


def _template(text: str) -> str:
    if unknown := sorted(set(PLACEHOLDER.findall(text)) - {"sku", "code", "id"}):
        raise ValueError(f"{unknown} cannot be filled in; use {{sku}}, {{code}} or {{id}}")
    return text


Template = Annotated[str, AfterValidator(_template)]
"""An address with placeholders."""


class Catalogue(_Model):
    """The collection with one record per variant; ``url`` and ``image`` are filled in for each."""

    collection: Annotated[Collection, StringConstraints(pattern=r"^(?i:catalog_)")] = "catalog_orderwise"
    url: Template | None = None
    image: Template | None = None


class RecentBuyers(_Model):
    """The list of those to whom something was despatched in the last ``days``; by name, or by id."""

    list: Annotated[int, Field(gt=0)] | Annotated[str, StringConstraints(min_length=1, max_length=128)] = "OW recent buyers"
    days: Annotated[int, Field(ge=1, le=3650)] = 30


class RefundEvent(_Model):
    """A custom event for every credit note dated ``since`` or later."""

    kind: Literal["event"]
    type: Annotated[str, StringConstraints(min_length=1, max_length=80)] = "refund"
    since: AwareDatetime


class RefundEnrolment(_Model):
    """An enrolment in a programme for every credit note dated ``since`` or later."""

    kind: Literal["enrolment"]
    program: Annotated[int, Field(gt=0)]
    since: AwareDatetime


def _window(line: str) -> str:
    BulkWindows.parse([line], ZoneInfo("UTC"))
    return line


class Delivery(_Model):
    """What Dotdigital gets besides contacts; a part that is null is not delivered.

    ``bulk_windows``: when snapshots and backfills may be sent, by the clock of ``source.timezone``; none: always.
    """

    orders: OrderRecords | None = OrderRecords()
    catalogue: Catalogue | None = Catalogue()
    recent_buyers: RecentBuyers | None = RecentBuyers()
    follow_up: Annotated[RefundEvent | RefundEnrolment, Field(discriminator="kind")] | None = None
    bulk_windows: tuple[Annotated[str, AfterValidator(_window)], ...] = ()


class Mapping(_Model):
    """One site's mapping, whole and checked."""

    version: Literal[1]
    source: Source
    customer: Customer
    contact: Contact
    house_accounts: frozenset[int] = frozenset()
    consent: Consent = Consent()
    order: Order
    returns: Return | None = None
    products: Products | None = None
    erasure: Erasure | None = None
    contact_fields: ContactFields
    exclude_days: Annotated[int, Field(ge=0, le=3650)] = 30
    delivery: Delivery = Delivery()

    @property
    def named_sections(self) -> dict[str, Section]:
        """The parts that name a table, by what they are: ``customer``, ``header``, ``variant`` and so on."""
        groups = [{"customer": self.customer, "contact": self.contact}, _sections(self.order), _sections(self.products)]
        found = {name: section for group in groups for name, section in group.items()}
        return found if self.returns is None else found | {"return": self.returns}

    @property
    def sections(self) -> tuple[Section, ...]:
        """The parts that name a table."""
        return tuple(self.named_sections.values())

    @property
    def tables(self) -> tuple[str, ...]:
        """The mapped tables."""
        return tuple(section.table for section in self.sections)

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """Table to the columns that are captured of it, the key first: all that the product reads, and nothing else."""
        columns = {section.table: section.columns for section in self.sections}
        consent = self.consent.column if self.consent.mode == "column" else None
        more = [consent, self.erasure.column if self.erasure is not None else None]
        columns[self.contact.table] = tuple(dict.fromkeys((*self.contact.columns, *filter(None, more))))
        return columns

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [table.casefold() for table in self.tables]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"tables {twice} are mapped twice")
        return self

    def topic(self, table: str, schema: str | None = None) -> str:
        """The Kafka topic to which Debezium writes the changes of ``table``; what Kafka does not allow becomes ``_``."""
        source = self.source
        return _NOT_IN_TOPICS.sub("_", f"{source.topic_prefix}.{source.database}.{schema or source.schema_}.{table}")


def _sections(group: Order | Products | None) -> dict[str, Section]:
    members = {} if group is None else {name: getattr(group, name) for name in type(group).model_fields}
    return {name: member for name, member in members.items() if isinstance(member, Section)}
