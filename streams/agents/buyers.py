"""Buyers agent: customers, contacts and order facts by buyer in; one part per e-mail address, and addresses by order, out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.agents.emitter import unpack_records
from streams.agents.erasure_filter import ErasedIndex, ErasureFilter
from streams.agents.held import HeldIndex
from streams.core.lanes import Lane, lane_for_fanout
from streams.domain import buyers
from streams.domain.erasure import Digest, forget_in_buyer
from streams.domain.order_tree import Branch, Leaf, Node, live_orders
from streams.domain.orders import address_key
from streams.domain.versioned import Versioned, next_version, version_bytes
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.messages.changes import Change, ChangeKind, OrderFact, RecipientsReply
from streams.messages.kinds import BuyerContributionChange, RecipientsReplyChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics

import msgspec  # isort: skip


class PageRow(msgspec.Struct, array_like=True, gc=False):
    """One page of a ledger."""

    node: Leaf | Branch = msgspec.field(default_factory=Leaf)


_pages = Codec("p", PageRow)
_OF_ORDERS = (ChangeKind.ORDER_FACT, ChangeKind.RECIPIENTS_QUERY)


@dataclass(slots=True)
class _Touched:
    """A buyer in work.

    ``rows``: a customer or contact row changed; ``again``: one came again, so what followed from it may be lost. ``seeks``:
    the orders that ask for the addresses, each with the change by which it asks.
    """

    row: buyers.BuyerRow
    lane: int
    caused_at: int
    facts: list[tuple[int, Versioned[OrderFact]]] = field(default_factory=list)
    rows: bool = False
    again: bool = False
    seeks: dict[int, Change] = field(default_factory=dict)


class _OrderTreePages:
    """The pages of one buyer's ledger, through the unit."""

    def __init__(self, unit: UnitOfWork, key: str, row: buyers.BuyerRow) -> None:
        self._unit = unit
        self._key = key
        self._row = row
        self._freed: list[int] = []

    def load(self, page: int) -> Node:
        """The node on ``page``."""
        return _pages.load(self._unit, self._name(page)).node

    def save(self, page: int, node: Node) -> None:
        """Write ``node`` to ``page``."""
        _pages.save(self._unit, self._name(page), PageRow(node))

    def new(self) -> int:
        """The buyer's next page number."""
        self._row.next_page += 1
        return self._row.next_page - 1

    def free(self, page: int) -> None:
        """Remember to delete ``page``."""
        self._freed.append(page)

    def delete_freed(self) -> None:
        """Delete the freed pages; to be called after the buyer's row was written."""
        for page in self._freed:
            self._unit.put(_pages.key(self._name(page)), None)

    def _name(self, page: int) -> str:
        return f"{self._key}\0{page}"


class BuyersHandler:
    """Folds a buyer's rows and facts, and tells every address, and every order that asked, what it should know."""

    name = "buyers"

    def __init__(self, topics: Topics, metrics: Metrics, digest: Digest) -> None:
        self._topics = topics
        self._metrics = metrics
        self._buyers = Codec("b", buyers.BuyerRow)
        self.held = HeldIndex()
        self._erased = ErasedIndex(self.name, digest, topics, metrics)

    def recovered(self, partition: int, table: StateTable) -> None:
        """Read what is held, and who was erased."""
        self.held.recover(partition, table)
        self._erased.recover(partition, table)

    def revoked(self) -> None:
        """Forget what was read."""
        self.held.clear()
        self._erased.clear()

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        """Fold every change, then project each touched buyer once."""
        touched: dict[str, _Touched] = {}
        applied = stale = 0
        erasures = ErasureFilter(self._erased, unit)
        for change in erasures.filter(unpack_records(self._topics.buyers, records)):
            done = self._fold(unit, change, touched)
            applied += done
            stale += not done
        if erasures.requests:
            self._forget(unit, erasures, touched)
        for key, item in touched.items():
            self._project(unit, key, item)
        self._metrics.changes.labels(self.name).inc(applied)
        self._metrics.skipped.labels(self.name).inc(stale)
        return applied + stale

    def _forget(self, unit: UnitOfWork, erasures: ErasureFilter, touched: dict[str, _Touched]) -> None:
        """Take the erased out of every buyer of the partition; who bought under nothing but their address goes whole."""
        for address, digest in erasures.digests.items():
            key = address_key(address)
            if unit.get(self._buyers.key(key)) is not None:
                erasures.count([digest])
            touched.pop(key, None)
            unit.put(self._buyers.key(key), None)
            for page, _ in unit.scan(_pages.key(f"{key}\0")):
                unit.put(page, None)
        for stored, value in erasures.rows_mentioning(b"b"):
            key = stored[1:].decode()
            if not erasures.is_buyer(key):
                touched.setdefault(key, _Touched(self._buyers.decode(value), Lane.URGENT, unit.now_ms))
        for item in touched.values():
            if forget_in_buyer(item.row, erasures.digests):
                erasures.count(item.row.erased)
                item.lane, item.rows = Lane.URGENT, True
        erasures.write_audit()

    def _fold(self, unit: UnitOfWork, change: Change, touched: dict[str, _Touched]) -> bool:
        item = touched.get(change.key)
        row = item.row if item is not None else self._buyers.load(unit, change.key)
        old = None if change.kind in _OF_ORDERS else buyers.cell_at(row, change)
        if change.kind not in _OF_ORDERS and not buyers.apply(row, change):
            return False
        if item is None:
            item = touched[change.key] = _Touched(row, change.lane, change.caused_at)
        item.lane = min(item.lane, change.lane)
        item.caused_at = min(item.caused_at, change.caused_at)
        if change.kind is ChangeKind.RECIPIENTS_QUERY:
            item.seeks[int(change.pk)] = change
        elif change.kind is ChangeKind.ORDER_FACT:
            fact = change.row if isinstance(change.row, OrderFact) else None
            item.facts.append((int(change.pk), Versioned(change.position, fact)))
        else:
            item.rows = True
            item.again |= old is not None and old.position == change.position
        return True

    def _project(self, unit: UnitOfWork, key: str, item: _Touched) -> None:
        row, before = item.row, item.row.recipients
        ledger = _OrderTreePages(unit, key, row)
        if item.facts or item.rows:
            self._publish_addresses(unit, key, item, ledger)
        if item.seeks or (item.rows and before is not None):
            self._publish_recipients(unit, key, item, ledger)
        if item.facts or item.rows or row.recipients != before:
            self._buyers.save(unit, key, row)
            self.held.persist(unit, key, row.held)
        ledger.delete_freed()

    def _publish_addresses(self, unit: UnitOfWork, key: str, item: _Touched, ledger: _OrderTreePages) -> None:
        row = item.row
        if item.facts:
            buyers.apply_facts(row, item.facts, ledger)
        row.version = next_version(row.version, unit.now_us)
        published, code = buyers.parts(key, row, ledger)
        row.held = self.held.update(unit, key, row.held, code)
        position = version_bytes(row.version)
        for address, part in published.items():
            unit.emit(
                self._topics.contacts,
                BuyerContributionChange(address, key, position, item.lane, item.caused_at, part),
            )

    def _publish_recipients(self, unit: UnitOfWork, key: str, item: _Touched, ledger: _OrderTreePages) -> None:
        """Answer the orders that ask, and tell all of them when the addresses are others than they were told."""
        row, asked = item.row, {order: (change.lane, change.caused_at) for order, change in item.seeks.items()}
        addresses = tuple(buyers.account_addresses(row))
        if row.recipients is not None and (item.again or addresses != row.recipients):
            everyone = list(live_orders(row.root, ledger))
            lane = lane_for_fanout(item.lane, len(everyone))
            asked = dict.fromkeys(everyone, (lane, item.caused_at)) | asked
        row.recipients = addresses
        position, published = version_bytes(row.version), RecipientsReply(addresses)
        for order, (lane, caused_at) in asked.items():
            unit.emit(self._topics.orders, RecipientsReplyChange(str(order), key, position, lane, caused_at, published))
