"""The site's mapping as a typed model: its tables and columns, and the meaning of their values.

Attribute names mirror the keys of ``mapping.yaml``; ``default.yaml`` beside this file is the commented example.
"""

import re
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal, Self
from zlib import crc32
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints, model_validator

from streams.mapping.delivery import Delivery
from streams.mapping.exclusions import Exclusions
from streams.mapping.parts import Identifier, MappingPart, folded, texts
from streams.mapping.tables import (
    Contact,
    Customer,
    Despatch,
    Detail,
    Header,
    Line,
    Products,
    Return,
    Section,
    StatusTable,
    Total,
)

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,20}$")]
"""A Dotdigital data field name: at most 20 letters, digits, ``_`` or ``-``."""

# Debezium replaces these characters by ``_`` in the names of its topics (``SchemaTopicNamingStrategy``).
_NOT_IN_TOPICS = re.compile(r"[^A-Za-z0-9._-]")

Status = Literal["open", "held", "part_despatched", "despatched", "completed", "cancelled"]
DocumentKind = Literal["order", "credit", "ignore"]
BlankPolicy = Literal["keep", "clear"]
"""What happens to a data field whose value Orderwise does not have: it keeps what Dotdigital has, or is emptied."""


class Source(MappingPart):
    """The captured database, and the time zone of its wall clock.

    ``first_year`` and ``future_days``: a date before the site's first year, or so many days after the change that wrote it,
    means nothing. ERPs write 1899-12-30 or 1900-01-01 for "none", and people mistype years.
    ``epoch``: raise it when the database's log starts again, after a restore or a replacement (two bytes of every position).
    """

    database: Identifier
    schema_: Identifier = Field(alias="schema")
    topic_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    timezone: str
    epoch: Annotated[int, Field(ge=0, le=0xFFFF)] = 0
    first_year: Annotated[int, Field(ge=1901, le=2100)] = 1990
    future_days: Annotated[int, Field(ge=1, le=3650)] = 366

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {self.timezone!r}; use an IANA name such as Europe/London") from error
        return self

    def is_meaningful(self, at: int, changed_at: int) -> bool:
        """Whether ``at`` says when something happened; ``changed_at`` is the time of its change, both in UTC epoch seconds."""
        return self._first_instant <= at <= changed_at + self.future_days * 86_400

    @cached_property
    def _first_instant(self) -> float:
        return datetime(self.first_year, 1, 1, tzinfo=self.zone).timestamp()

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the site's ``datetime`` columns are written."""
        return ZoneInfo(self.timezone)


class ConsentRule(MappingPart):
    """The source of the marketing opt-in. By default there is none, and nobody is opted in.

    ``external``: another system owns consent and creates the contacts; we only update existing ones.
    """

    mode: Literal["none", "column", "external"] = "none"
    column: Identifier | None = None
    opted_in: Annotated[frozenset[str], BeforeValidator(texts)] = frozenset({"1", "true"})
    opted_out: Annotated[frozenset[str], BeforeValidator(texts)] = frozenset({"0", "false"})

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.mode == "column" and self.column is None:
            raise ValueError("consent.mode is 'column', so consent.column must name a column of the contact table")
        if both := self.opted_in & self.opted_out:
            raise ValueError(f"consent values {sorted(both)} are in both opted_in and opted_out")
        return self

    @cached_property
    def words(self) -> int:
        """Identifies the rule: another one may read an opt-out where nobody has changed the row."""
        rule = (self.mode, self.column, sorted(self.opted_in), sorted(self.opted_out))
        return crc32(repr(rule).encode()) or 1


class OrderTypes(MappingPart):
    """System order types (``oh_sot_id``), grouped by their meaning for marketing."""

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

    def kind(self, type_id: int | None) -> DocumentKind | None:
        """The meaning of a type id, or None if the mapping does not list it."""
        if type_id is None:
            return None
        if type_id in self.order:
            return "order"
        if type_id in self.credit:
            return "credit"
        return "ignore" if type_id in self.ignore else None


class Currency(MappingPart):
    """One currency id: its ISO-4217 code and the value of one unit in the reporting currency."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    rate: Annotated[Decimal, Field(gt=0)]


class History(MappingPart):
    """Orders and credit notes dated before ``since``: they do not enter (``ignore``), or count without a record (``count``)."""

    since: AwareDatetime
    before: Literal["ignore", "count"] = "ignore"

    def is_before(self, at: int) -> bool:
        """Whether a document of that date (UTC epoch seconds) is older."""
        return at < self.since.timestamp()


class Order(MappingPart):
    """Orders and credit notes: their tables, and the meaning of their codes.

    ``tax_included``: whether the mapped amounts of totals and lines contain tax. Records repeat it.
    """

    header: Header
    detail: Detail
    total: Total
    line: Line
    despatch: Despatch
    status: StatusTable
    types: OrderTypes
    statuses: Annotated[dict[str, Status], BeforeValidator(folded)]
    currencies: dict[int, Currency]
    default_currency: int
    tax_included: bool = False
    history: History | None = None

    @model_validator(mode="after")
    def _default_known(self) -> Self:
        if self.default_currency not in self.currencies:
            raise ValueError(f"order.default_currency {self.default_currency} is not in order.currencies")
        return self


class ContactFields(MappingPart):
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
    last_consignment: FieldName = "OW_CONSIGNMENT"
    last_carrier: FieldName = "OW_CARRIER"

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [name.casefold() for name in self.model_dump().values()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two values share the data field {twice}")
        return self


class Erasure(MappingPart):
    """A column of the contact table by which the ERP requests the erasure of a person."""

    column: Identifier
    erased: Annotated[frozenset[str], BeforeValidator(texts)] = frozenset({"1", "true"})


class Mapping(MappingPart):
    """One site's mapping, whole and checked."""

    version: Literal[1]
    source: Source
    customer: Customer
    contact: Contact
    house_accounts: frozenset[int] = frozenset()
    exclude: Exclusions = Exclusions()
    no_address: Annotated[frozenset[str], BeforeValidator(texts)] = frozenset()
    consent: ConsentRule = ConsentRule()
    order: Order
    returns: Return | None = None
    products: Products | None = None
    erasure: Erasure | None = None
    contact_fields: ContactFields
    blank_fields: dict[str, BlankPolicy] = Field(default_factory=dict)
    exclude_days: Annotated[int, Field(ge=0, le=3650)] = 30
    delivery: Delivery = Delivery()

    @property
    def named_sections(self) -> dict[str, Section]:
        """The parts that name a table, by their names: ``customer``, ``header``, ``variant`` and so on."""
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
        """Table to its captured columns, the key first. They are all that the product reads: nothing else is captured."""
        columns = {section.table: section.columns for section in self.sections}
        consent = self.consent.column if self.consent.mode == "column" else None
        more = [consent, self.erasure.column if self.erasure is not None else None]
        columns[self.contact.table] = tuple(dict.fromkeys((*self.contact.columns, *filter(None, more))))
        return columns

    @property
    def large_columns(self) -> dict[str, frozenset[str]]:
        """Table to its captured columns of the types ``varchar(max)`` and ``nvarchar(max)``; only tables that have some."""
        return {section.table: section.large for section in self.sections if section.large}

    @model_validator(mode="after")
    def _marked_columns_are_mapped(self) -> Self:
        for section in self.sections:
            for key, names in (("large", section.large), ("zoned", section.zoned)):
                if unknown := sorted(names - set(self.columns[section.table])):
                    raise ValueError(f"table {section.table}: {key} names {unknown}, which no other key maps")
            if section.key in section.large:
                raise ValueError(f"table {section.table}: the key {section.key} cannot be a large column")
        return self

    @property
    def kept_fields(self) -> frozenset[str]:
        """The data fields that keep what Dotdigital has where Orderwise has no value: by default names, which people type."""
        policies = {"first_name": "keep", "last_name": "keep"} | self.blank_fields
        return frozenset(getattr(self.contact_fields, value) for value, policy in policies.items() if policy == "keep")

    @model_validator(mode="after")
    def _exclusions_mapped(self) -> Self:
        if self.exclude.customer_types and self.customer.type is None:
            raise ValueError("exclude.customer_types needs customer.type, the column of the account's type")
        if self.exclude.channels and self.order.header.channel is None:
            raise ValueError("exclude.channels needs order.header.channel, the column of the order's channel")
        return self

    @model_validator(mode="after")
    def _no_address_is_none(self) -> Self:
        if addresses := sorted(word for word in self.no_address if "@" in word):
            raise ValueError(f"no_address lists texts that say that there is no address; {addresses} may be some")
        return self

    @model_validator(mode="after")
    def _blanks_known(self) -> Self:
        if unknown := sorted(self.blank_fields.keys() - ContactFields.model_fields.keys()):
            raise ValueError(f"blank_fields {unknown} are no values of contact_fields")
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [table.casefold() for table in self.tables]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"tables {twice} are mapped twice")
        return self

    def topic(self, table: str, schema: str | None = None) -> str:
        """The Kafka topic to which Debezium writes the changes of ``table``: ``prefix.database.schema.table``."""
        source = self.source
        return _NOT_IN_TOPICS.sub("_", f"{source.topic_prefix}.{source.database}.{schema or source.schema_}.{table}")


def _sections(group: Order | Products | None) -> dict[str, Section]:
    members = {} if group is None else {name: getattr(group, name) for name in type(group).model_fields}
    return {name: member for name, member in members.items() if isinstance(member, Section)}
