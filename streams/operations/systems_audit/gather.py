"""Reads the captured topics into the audit's database: the newest version of each row, in the order of the log."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiokafka import TopicPartition

from streams.capture import values
from streams.capture.envelope import RowEvent, decode
from streams.capture.images import after_image
from streams.capture.reader import column_of, listed, readers
from streams.capture.rows import CapturedRow, Contact, Customer, Detail
from streams.core.errors import RecordError
from streams.kafka.reader import committed_reader, partitions_of, read_span
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured
from streams.mapping import Mapping
from streams.operations.replay_scan import Scanned
from streams.operations.systems_audit.database import add_indexes
from streams.settings import Settings

Columns: TypeAlias = dict[str, Any]
Values: TypeAlias = tuple[object, ...]

_REPORTED_AFTER = 2_000


@dataclass
class TableFacts:
    """One captured table: its live rows, records read, and when its newest change was made (epoch ms, 0: never)."""

    table: str
    rows: int = 0
    records: int = 0
    newest: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Store:
    """Where the rows of a captured table go: the database's table, what is kept of a row, and the source of its addresses.

    ``customer`` is the column that names the customer to whom the addresses belong; None: the row's own key.
    """

    table: str
    kept: Callable[[Any, Columns, int], Values]
    source: str = ""
    customer: str | None = None


class Gatherer:
    """Fills the database from captured records."""

    def __init__(self, mapping: Mapping, database: sqlite3.Connection) -> None:
        self._epoch = mapping.source.epoch
        self._database = database
        self._readers = {name.casefold(): reader for name, reader in readers(mapping).items()}
        self._stores = {table.casefold(): store for table, store in _stores(mapping)}
        self.tables = {table.casefold(): TableFacts(table) for table in mapping.tables}

    def add(self, table: str, record: Any) -> None:
        """Take one record of ``table``'s topic; one that cannot be read is counted with its code."""
        facts = self.tables[table.casefold()]
        facts.records += 1
        try:
            event = decode(record.key, record.value, self._epoch)
            if isinstance(event, RowEvent):
                self._apply(event, facts, (event.at or record.timestamp) // 1000)
                if not event.snapshot:
                    facts.newest = max(facts.newest, event.at or record.timestamp)
        except RecordError as error:
            facts.unreadable[error.code] += 1

    def _apply(self, event: RowEvent, facts: TableFacts, changed: int) -> None:
        reader = self._readers[facts.table.casefold()]
        number = reader.primary_key(event.key)
        row = image = None
        if event.after is not None:
            image = after_image(event, reader)
            row = reader.read(image.columns)
        if not self._is_newest(facts, number, event):
            return
        store = self._stores.get(facts.table.casefold())
        if store is not None:
            self._delete(store, number)
            if row is not None and image is not None:
                self._insert(store, number, row, image.columns, changed)

    def _is_newest(self, facts: TableFacts, number: int, event: RowEvent) -> bool:
        """Whether no newer version was read before: a connector that starts again may repeat older ones. It is remembered."""
        found = self._database.execute(
            "SELECT position, alive FROM versions WHERE tab = ? AND id = ?", (facts.table, number)
        ).fetchone()
        position, was_alive = found or (b"", 0)
        if event.position < position:
            return False
        alive = event.after is not None
        version = (facts.table, number, event.position, alive)
        self._database.execute("INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?)", version)
        facts.rows += alive - was_alive
        return True

    def _delete(self, store: _Store, number: int) -> None:
        self._database.execute(f"DELETE FROM {store.table} WHERE id = ?", (number,))  # noqa: S608 - a name of ours
        if store.source:
            self._database.execute("DELETE FROM addresses WHERE source = ? AND id = ?", (store.source, number))

    def _insert(self, store: _Store, number: int, row: CapturedRow, columns: Columns, changed: int) -> None:
        kept = (number, *store.kept(row, columns, changed))
        marks = ", ".join("?" * len(kept))
        self._database.execute(f"INSERT INTO {store.table} VALUES ({marks})", kept)  # noqa: S608 - as above
        if store.source:
            customer = number if store.customer is None else values.reference(columns[store.customer], store.customer)
            found = [(store.source, number, customer, *address) for address in _addresses(row)]
            self._database.executemany("INSERT INTO addresses VALUES (?, ?, ?, ?, ?)", found)


def _addresses(row: CapturedRow) -> list[tuple[str, bool]]:
    """Of the row, and whether the mapping excludes them: only of a contact those are here too."""
    match row:
        case Contact():
            return [(address, address not in row.emails) for address in row.named]
        case Customer():
            return [(address, False) for address in row.emails]
        case Detail(email=str(email)):
            return [(email, False)]
    return []


def _stores(mapping: Mapping) -> Iterator[tuple[str, _Store]]:
    order, contact, word = mapping.order, mapping.contact, mapping.consent.column
    ordered = order.detail.order

    def person(row: Any, columns: Columns, _: int) -> Values:
        said = None if word is None else listed(column_of(columns, word))
        names = (row.first_name and row.first_name.casefold(), row.last_name and row.last_name.casefold())
        return values.reference(columns[contact.customer], contact.customer), *names, row.opted, said, row.unreadable

    def header(row: Any, _: Columns, changed: int) -> Values:
        return row.customer, row.type, order.types.kind(row.type), row.status, row.at, changed, row.excluded

    def owner(columns: Columns, column: str) -> int | None:
        return values.reference(columns[column], column)

    yield contact.table, _Store("people", person, "contact", contact.customer)
    yield mapping.customer.table, _Store("customers", lambda row, *_: (row.unreadable, row.excluded), "customer")
    yield order.header.table, _Store("orders", header)
    yield (
        order.detail.table,
        _Store("details", lambda row, of, _: (owner(of, ordered), row.currency, row.unreadable), "order", ordered),
    )
    yield order.total.table, _Store("totals", lambda _, of, __: (owner(of, order.total.order),))
    yield (
        order.line.table,
        _Store("lines", lambda row, of, _: (owner(of, order.line.order), row.original, row.variant)),
    )
    yield order.status.table, _Store("statuses", lambda row, *_: (row.text,))
    if mapping.products is not None:
        yield mapping.products.product.table, _Store("products", lambda *_: ())
        yield mapping.products.variant.table, _Store("variants", lambda row, *_: (row.product,))


async def gather(settings: Settings, mapping: Mapping, database: sqlite3.Connection, report: Scanned) -> list[TableFacts]:
    """Read all captured topics, up to where they end now; what was read of each table.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    gatherer = Gatherer(mapping, database)
    tables = {mapping.topic(table): table for table in mapping.tables}
    kafka = KafkaConfig.of(settings)
    async with committed_reader(kafka) as consumer:
        found = await partitions_of(kafka, captured(mapping))
        places = [TopicPartition(topic, number) for topic, numbers in found.items() for number in numbers]
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        spans = [(place, begins[place], ends[place]) for place in places]
        total, read = sum(end - begin for _, begin, end in spans), 0
        for place, begin, end in spans:
            async for record in read_span(consumer, place, begin, end):
                if record.value is not None:
                    gatherer.add(tables[place.topic], record)
                if record.offset % _REPORTED_AFTER == 0:
                    report(read + record.offset - begin, total)
            read += end - begin
    add_indexes(database)
    database.commit()
    return list(gatherer.tables.values())
