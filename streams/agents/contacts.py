"""Contacts agent: buyers' parts by e-mail address in, desired contacts out; orders learn whether anybody has an address."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.agents import order_recipients
from streams.agents.barrier_rounds import BarrierRounds
from streams.agents.barriers import PassingBarriers
from streams.agents.canary import passing_canaries
from streams.agents.change_tally import ChangeTally
from streams.agents.emitter import unpack_records
from streams.agents.erasure_filter import ErasedIndex, ErasureFilter
from streams.agents.held import HeldIndex
from streams.agents.order_recipients import Account, OrderRecipients
from streams.domain import contact_projection
from streams.domain.digester import Digester
from streams.domain.versioned import next_version, version_bytes
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.mapping import Mapping
from streams.messages.changes import EVERYWHERE, Change, RecipientsSweep
from streams.messages.contracts import Participant
from streams.messages.kinds import DesiredContactChange, ErasureChange, RecipientsQueryChange, RecipientsSweepChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics


@dataclass(slots=True)
class _Touched:
    """A contact in work.

    ``parts``: a buyer's part came; ``again``: one came again, so what followed from it may be lost. ``queries`` and ``sweeps``:
    orders that ask, by order, and what is left of earlier changes.
    """

    row: contact_projection.ContactRow
    lane: int
    caused_at: int
    parts: bool = False
    again: bool = False
    queries: dict[int, RecipientsQueryChange] = field(default_factory=dict)
    sweeps: list[RecipientsSweepChange] = field(default_factory=list)


class ContactsHandler:
    """Merges every buyer with an address into the one contact that Dotdigital should hold."""

    name = "contacts"

    def __init__(self, mapping: Mapping, topics: Topics, metrics: Metrics, digest: Digester) -> None:
        self._mapping = mapping
        self._topics = topics
        self._metrics = metrics
        self._contacts = Codec("c", contact_projection.ContactRow)
        self._recipients = OrderRecipients(topics, lambda unit, rest: unit.emit(topics.contacts, rest))
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
        """Fold every part, then merge each touched contact once, and answer the orders that ask."""
        touched: dict[str, _Touched] = {}
        tally = ChangeTally(self._metrics, self.name)
        erasures = ErasureFilter(self._erased, unit)
        barriers = PassingBarriers(unit, Participant.CONTACTS, Participant.BUYERS)
        rounds = BarrierRounds(unit, self.name, self._topics)
        arrived = passing_canaries(unit, unpack_records(self._topics.contacts, records), self._topics.desired)
        for change in erasures.filter(rounds.taken_from(barriers.taken_from(arrived))):
            tally.count(change, applied=self._fold(unit, change, touched))
        if erasures.requests:
            self._forget(unit, erasures)
        for address, item in touched.items():
            if address not in erasures.requests:
                # Those rows were deleted above, and saving them now would bring the person back.
                self._project(unit, address, item)
        barriers.pass_on(self._topics.desired)
        rounds.pass_on()
        return tally.show()

    def _fold(self, unit: UnitOfWork, change: Change, touched: dict[str, _Touched]) -> bool:
        item = touched.get(change.key)
        if item is None:
            item = _Touched(self._contacts.load(unit, change.key), change.lane, change.caused_at)
        if isinstance(change, RecipientsQueryChange):
            if change.row.own != change.key:
                # The address is that of an erased person.
                return False
            item.queries[int(change.pk)] = change
        elif isinstance(change, RecipientsSweepChange):
            item.sweeps.append(change)
        else:
            old = item.row.parts.get(str(change.pk))
            if not contact_projection.apply(item.row, change):
                return False
            item.parts, item.again = True, item.again or (old is not None and old.position == change.position)
        touched[change.key] = item
        item.lane, item.caused_at = min(item.lane, change.lane), min(item.caused_at, change.caused_at)
        return True

    def _project(self, unit: UnitOfWork, address: str, item: _Touched) -> None:
        row = item.row
        if item.parts:
            row.version = next_version(row.version, unit.now_us)
            row.held = self.held.update(unit, address, row.held, contact_projection.held_code(row, self._mapping))
            wanted = contact_projection.desired(row, self._mapping)
            position = version_bytes(row.version)
            desired = DesiredContactChange(address, 0, position, item.lane, item.caused_at, wanted)
            desired.generation = self._topics.desired.generation
            unit.emit(self._topics.desired, desired)
            # That an address is shared is known, and makes it nobody's; what a buyer of it is worth may not be known yet.
            undecided = wanted.held and row.held is None
            projected = row.projected if undecided else wanted.fields is not None
            if row.asked and (item.again or projected != row.projected):
                sweep = RecipientsSweep(())
                item.sweeps.append(RecipientsSweepChange(address, 0, b"", item.lane, item.caused_at, sweep))
            row.projected = projected
        self._answer_orders(unit, address, item)
        self._contacts.save(unit, address, row)
        self.held.persist(unit, address, row.held)

    def _answer_orders(self, unit: UnitOfWork, address: str, item: _Touched) -> None:
        """Answer the orders that have the address on them: it is theirs if anybody has it."""
        row = item.row
        contact = Account(address, (address,) if row.projected else (), None, version_bytes(row.version))
        for sweep in item.sweeps:
            self._recipients.sweep(unit, contact, sweep)
        for query in item.queries.values():
            self._recipients.answer(unit, contact, query)
        row.asked = row.asked or bool(item.queries)

    def _forget(self, unit: UnitOfWork, erasures: ErasureFilter) -> None:
        """Drop the contacts of the erased, and pass on that everybody must forget them."""
        for address, change in erasures.requests.items():
            key = self._contacts.key(address)
            self.held.update(unit, address, self._contacts.load(unit, address).held, None)
            if unit.get(key) is not None:
                erasures.count([erasures.digests[address]])
            unit.put(key, None)
            order_recipients.forget(unit, address)
            published = ErasureChange(EVERYWHERE, address, b"", change.lane, change.caused_at, change.row)
            unit.emit_everywhere(self._topics.orders, published)
            unit.emit_everywhere(self._topics.buyers, published)
            change.generation = self._topics.desired.generation
            unit.emit(self._topics.desired, change)
        erasures.write_audit()
