"""Contacts agent: buyers' parts by e-mail address in, desired contacts out."""

from collections.abc import Sequence

from streams.agents.change_tally import ChangeTally
from streams.agents.emitter import unpack_records
from streams.agents.erasure_filter import ErasedIndex, ErasureFilter
from streams.agents.held import HeldIndex
from streams.domain import contact_projection
from streams.domain.digester import Digester
from streams.domain.versioned import next_version, version_bytes
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.mapping import Mapping
from streams.messages.changes import EVERYWHERE
from streams.messages.kinds import DesiredContactChange, ErasureChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics


class ContactsHandler:
    """Merges every buyer with an address into the one contact that Dotdigital should hold."""

    name = "contacts"

    def __init__(self, mapping: Mapping, topics: Topics, metrics: Metrics, digest: Digester) -> None:
        self._mapping = mapping
        self._topics = topics
        self._metrics = metrics
        self._contacts = Codec("c", contact_projection.ContactRow)
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
        """Fold every part, then merge each touched contact once."""
        touched: dict[str, tuple[contact_projection.ContactRow, int, int]] = {}
        tally = ChangeTally(self._metrics, self.name)
        erasures = ErasureFilter(self._erased, unit)
        for change in erasures.filter(unpack_records(self._topics.contacts, records)):
            row, lane, caused_at = touched.get(change.key) or (
                self._contacts.load(unit, change.key),
                change.lane,
                change.caused_at,
            )
            applied = contact_projection.apply(row, change)
            tally.count(change, applied=applied)
            if applied:
                touched[change.key] = (row, min(lane, change.lane), min(caused_at, change.caused_at))
        if erasures.requests:
            self._forget(unit, erasures)
        for address, (row, lane, caused_at) in touched.items():
            if address in erasures.requests:
                # Its row was deleted above, and saving it now would bring the person back.
                continue
            row.version = next_version(row.version, unit.now_us)
            row.held = self.held.update(unit, address, row.held, contact_projection.held_code(row, self._mapping))
            wanted = contact_projection.desired(row, self._mapping)
            position = version_bytes(row.version)
            unit.emit(self._topics.desired, DesiredContactChange(address, 0, position, lane, caused_at, wanted))
            self._contacts.save(unit, address, row)
            self.held.persist(unit, address, row.held)
        return tally.show()

    def _forget(self, unit: UnitOfWork, erasures: ErasureFilter) -> None:
        """Drop the contacts of the erased, and pass on that everybody must forget them."""
        for address, change in erasures.requests.items():
            key = self._contacts.key(address)
            self.held.update(unit, address, self._contacts.load(unit, address).held, None)
            if unit.get(key) is not None:
                erasures.count([erasures.digests[address]])
            unit.put(key, None)
            published = ErasureChange(EVERYWHERE, address, b"", change.lane, change.caused_at, change.row)
            unit.emit_everywhere(self._topics.orders, published)
            unit.emit_everywhere(self._topics.buyers, published)
            unit.emit(self._topics.desired, change)
        erasures.write_audit()
