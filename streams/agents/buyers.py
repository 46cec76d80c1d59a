"""Buyers agent: customers, contacts and order facts by buyer in; one part per e-mail address, and addresses by order, out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from streams.agents.barrier_rounds import BarrierRounds
from streams.agents.barriers import PassingBarriers
from streams.agents.canary import passing_canaries
from streams.agents.change_tally import ChangeTally
from streams.agents.emitter import unpack_records
from streams.agents.erasure_filter import ErasedIndex, ErasureFilter
from streams.agents.held import HeldIndex
from streams.agents.order_recipients import Account, OrderRecipients, concerned
from streams.agents.person_pages import MOST_INLINE, PREFIXES, PersonPages
from streams.capture.rows import Contact, Customer
from streams.core.lanes import Lane
from streams.domain import buyers, order_tree
from streams.domain.buyers import is_person
from streams.domain.digester import Digester
from streams.domain.erasure import forget_in_buyer
from streams.domain.order_tree import Branch, Leaf, Node, TreeEntry
from streams.domain.orders import address_key
from streams.domain.versioned import Versioned, next_version, version_bytes
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.messages.changes import Change, ChangeKind, OrderFact, RecipientsSweep
from streams.messages.contracts import Participant
from streams.messages.kinds import BuyerContributionChange, RecipientsQueryChange, RecipientsSweepChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics

import msgspec  # isort: skip


class PageRow(msgspec.Struct, array_like=True, gc=False):
    """One page of an order tree."""

    node: Leaf | Branch = msgspec.field(default_factory=Leaf)


_buyers = Codec("b", buyers.BuyerRow)
_pages = Codec("p", PageRow)
_OF_ORDERS = (ChangeKind.ORDER_FACT, ChangeKind.RECIPIENTS_QUERY, ChangeKind.RECIPIENTS_SWEEP)


@dataclass(slots=True)
class _Touched:
    """A buyer in work.

    ``account``: its customer row, and the last one, as they were before the unit; ``former``: the contact rows that changed, as
    they were. ``rows``: a customer or contact row changed; ``again``: one came again, so what followed from it may be lost.
    ``named``: the addresses that contact rows named or name, ``everybody`` if something else changed. ``queries`` and
    ``sweeps``: orders that ask, by order, and what is left of earlier changes.
    """

    row: buyers.BuyerRow
    lane: int
    caused_at: int
    account: tuple[Versioned[Customer] | None, Customer | None]
    facts: list[tuple[int, Versioned[OrderFact]]] = field(default_factory=list)
    rows: bool = False
    again: bool = False
    everybody: bool = False
    former: dict[int, Versioned[Contact] | None] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    queries: dict[int, RecipientsQueryChange] = field(default_factory=dict)
    sweeps: list[RecipientsSweepChange] = field(default_factory=list)
    persons: PersonPages | None = None

    def read_all(self) -> None:
        """Have every person of the account in its row."""
        if self.persons is not None:
            self.persons.read_all()

    def address_of(self, contact: int) -> str | None:
        """The address of a person of the account; reads the page that has it."""
        if self.persons is not None:
            self.persons.read_person(contact)
        return buyers.address_of(self.row, contact)

    def before(self) -> buyers.BuyerRow:
        """The buyer as it was before the unit, as far as it was read by now."""
        # Once a unit, however many of a large account's rows changed in it: nothing was published in between.
        contacts = {pk: cell for pk, cell in (self.row.contacts | self.former).items() if cell is not None}
        customer, last = self.account
        return msgspec.structs.replace(self.row, contacts=contacts, customer=customer, last_customer=last)

    def changed(self, before: buyers.BuyerRow) -> set[str]:
        """The addresses that came to or went from the account."""
        return set(buyers.account_addresses(before)) ^ set(buyers.account_addresses(self.row))

    def moved(self, before: buyers.BuyerRow) -> set[int]:
        """The contact rows whose person has another address."""
        return {pk for pk in self.former if buyers.address_of(before, pk) != buyers.address_of(self.row, pk)}


class _OrderTreePages:
    """The pages of one buyer's order tree, through the unit."""

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


def read_buyer(unit: UnitOfWork, key: str, address: str, most: int) -> tuple[buyers.BuyerRow, list[TreeEntry]] | None:
    """One buyer as it is stored, with its persons who name or have left ``address``, and its newest orders and credit notes."""
    if unit.get(_buyers.key(key)) is None:
        return None
    row = _buyers.load(unit, key)
    if row.paged:
        PersonPages(unit, key, row).read_address(address)
    entries = order_tree.newest(row.root, _OrderTreePages(unit, key, row))
    return row, list(islice(entries, most))


class BuyersHandler:
    """Folds a buyer's rows and facts, and publishes to every address, and to every order that asked."""

    name = "buyers"

    def __init__(self, topics: Topics, metrics: Metrics, digest: Digester) -> None:
        self._topics = topics
        self._metrics = metrics
        self._recipients = OrderRecipients(topics, lambda unit, rest: unit.emit(topics.buyers, rest))
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
        tally = ChangeTally(self._metrics, self.name)
        erasures = ErasureFilter(self._erased, unit)
        barriers = PassingBarriers(unit, Participant.BUYERS, Participant.INGEST)
        rounds = BarrierRounds(unit, self.name, self._topics)
        arrived = passing_canaries(unit, unpack_records(self._topics.buyers, records), self._topics.contacts)
        for change in erasures.filter(rounds.taken_from(barriers.taken_from(arrived))):
            done = self._fold(unit, change, touched)
            tally.count(change, applied=done)
        if erasures.requests:
            self._forget(unit, erasures, touched)
        for key, item in touched.items():
            self._project(unit, key, item)
        barriers.pass_on(self._topics.contacts)
        rounds.pass_on()
        return tally.show()

    def _forget(self, unit: UnitOfWork, erasures: ErasureFilter, touched: dict[str, _Touched]) -> None:
        """Take the erased out of every buyer of the partition; who bought under nothing but their address goes whole."""
        for address, digest in erasures.digests.items():
            key = address_key(address)
            if unit.get(_buyers.key(key)) is not None:
                erasures.count([digest])
            touched.pop(key, None)
            unit.put(_buyers.key(key), None)
            for page, _ in unit.scan(_pages.key(f"{key}\0")):
                unit.put(page, None)
        mentioning = {stored[1:] for stored, _ in erasures.rows_mentioning(b"b")}
        for prefix in PREFIXES:
            mentioning |= {stored[1:].partition(b"\0")[0] for stored, _ in erasures.rows_mentioning(prefix)}
        for key in sorted(stored.decode() for stored in mentioning):
            if not erasures.is_buyer(key):
                touched.setdefault(key, self._touch(unit, key, Lane.URGENT, unit.now_ms))
        for item in touched.values():
            item.read_all()
            if forget_in_buyer(item.row, erasures.digests):
                erasures.count(item.row.erased)
                item.lane, item.rows, item.again = Lane.URGENT, True, True
        erasures.write_audit()

    def _touch(self, unit: UnitOfWork, key: str, lane: int, caused_at: int) -> _Touched:
        row = _buyers.load(unit, key)
        account = row.customer, row.last_customer
        return _Touched(row, lane, caused_at, account, persons=PersonPages(unit, key, row) if row.paged else None)

    def _fold(self, unit: UnitOfWork, change: Change, touched: dict[str, _Touched]) -> bool:
        item = touched.get(change.key) or self._touch(unit, change.key, change.lane, change.caused_at)
        if change.kind not in _OF_ORDERS and not self._apply(item, change):
            return False
        touched[change.key] = item
        item.lane = min(item.lane, change.lane)
        item.caused_at = min(item.caused_at, change.caused_at)
        if isinstance(change, RecipientsQueryChange):
            item.queries[int(change.pk)] = change
        elif isinstance(change, RecipientsSweepChange):
            item.sweeps.append(change)
        elif change.kind is ChangeKind.ORDER_FACT:
            fact = change.row if isinstance(change.row, OrderFact) else None
            item.facts.append((int(change.pk), Versioned(change.position, fact)))
        return True

    @staticmethod
    def _apply(item: _Touched, change: Change) -> bool:
        """Write a customer or contact row into the buyer, and note whom it concerns."""
        row, contact = item.row, change.kind is ChangeKind.CONTACT
        if item.persons is not None:
            if contact:
                item.persons.read_for(int(change.pk), change.row.named if isinstance(change.row, Contact) else ())
            else:
                item.persons.read_all()
        old = buyers.cell_at(row, change)
        named = buyers.addresses_concerned(row, change) if contact else set()
        if not buyers.apply(row, change):
            return False
        item.rows = True
        item.again |= old is not None and old.position == change.position
        if contact:
            item.former.setdefault(int(change.pk), old)
            item.named |= named | buyers.addresses_concerned(row, change)
        else:
            item.everybody = True
        return True

    def _project(self, unit: UnitOfWork, key: str, item: _Touched) -> None:
        row, asked = item.row, item.row.asked
        pages = _OrderTreePages(unit, key, row)
        if item.facts or item.rows:
            self._publish_addresses(unit, key, item, pages)
        if not is_person(key):
            self._answer_orders(unit, key, item)
        if item.facts or item.rows or row.asked != asked:
            if not row.paged and not is_person(key) and len(row.contacts) > MOST_INLINE:
                row.paged, item.persons = True, PersonPages(unit, key, row, whole=True)
            if item.persons is not None:
                item.persons.write()
            _buyers.save(unit, key, row)
            self.held.persist(unit, key, row.held)
        pages.delete_freed()

    def _publish_addresses(self, unit: UnitOfWork, key: str, item: _Touched, pages: _OrderTreePages) -> None:
        row = item.row
        if item.facts:
            buyers.apply_facts(row, item.facts, pages)
        row.version = next_version(row.version, unit.now_us)
        only: set[str] | None = None
        if item.facts or item.everybody or item.again or is_person(key):
            item.read_all()
        else:
            # What the account shows to others is as it was.
            only = item.named | item.changed(item.before())
        published, code = buyers.parts(key, row, pages, only)
        row.held = self.held.update(unit, key, row.held, code, frozen=buyers.is_frozen(key, row))
        position = version_bytes(row.version)
        for address, part in published.items():
            unit.emit(
                self._topics.contacts,
                BuyerContributionChange(address, key, position, item.lane, item.caused_at, part),
            )

    def _answer_orders(self, unit: UnitOfWork, key: str, item: _Touched) -> None:
        """Answer the orders that ask, and those to which another list of addresses makes a difference."""
        row = item.row
        if not (item.queries or item.sweeps or (item.rows and row.asked)):
            return
        if item.rows and row.asked:
            item.sweeps += [
                RecipientsSweepChange(key, 0, b"", item.lane, item.caused_at, sweep) for sweep in self._sweeps(item)
            ]
        self._read_for_answers(item)
        addresses, default = buyers.account_addresses(row), buyers.default_address(row)
        position, excluded = version_bytes(row.version), buyers.is_excluded(row)
        account = Account(key, addresses, default, position, item.address_of, excluded=excluded)
        for sweep in item.sweeps:
            self._recipients.sweep(unit, account, sweep)
        for query in item.queries.values():
            self._recipients.answer(unit, account, query)
        row.asked |= bool(item.queries)

    @staticmethod
    def _sweeps(item: _Touched) -> Iterator[RecipientsSweep]:
        """The orders to which the account's rows, as they are now, make a difference."""
        before, row = item.before(), item.row
        # An account that came, or is excluded, or no longer: then every person has another address.
        if item.again or buyers.may_be_addressed(before) != buyers.may_be_addressed(row):
            yield RecipientsSweep(())
            return
        other = buyers.default_address(before) != buyers.default_address(row)
        yield from concerned(item.changed(before), item.moved(before), default=other)

    @staticmethod
    def _read_for_answers(item: _Touched) -> None:
        """Have those persons in the row by whom orders are to be answered."""
        if item.persons is None:
            return
        if any(sweep.row.after or not sweep.row.groups for sweep in item.sweeps):
            # A sweep names orders by the digest of their address; the address itself is among all of them.
            item.persons.read_all()
        for query in item.queries.values():
            if query.row.own is not None:
                item.persons.read_address(query.row.own)
