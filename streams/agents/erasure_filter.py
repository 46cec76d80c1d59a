"""Who must be forgotten, as one stage knows it: digests beside the rows, read back after a restart.

Every partition of a stage that may hold an address has every digest, so that it recognises the address in whatever arrives
later: a replay, a bulk load, what was on its way when the erasure came. While nobody was erased, nothing is computed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from streams.domain.buyers import is_person
from streams.domain.digester import Digester
from streams.domain.erasure import scrubbed
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.audit import ErasureResult, write_audit
from streams.messages.changes import EVERYWHERE, Change
from streams.messages.kinds import ErasureChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics

C = TypeVar("C", bound=Change)

PREFIX = b"x"


class ErasedIndex:
    """Digests of the erased, by partition."""

    def __init__(self, stage: str, digest: Digester, topics: Topics, metrics: Metrics) -> None:
        self.stage = stage
        self.digest = digest
        self.audit = topics.audit
        self.generation = topics.desired.generation
        self.count = metrics.erased.labels(stage)
        self._known: dict[int, frozenset[bytes]] = {}

    def recover(self, partition: int, table: StateTable) -> None:
        """Read the digests of one partition.

        Raises:
            ConfigurationError: one was made with a key that this worker does not have.
        """
        rows = list(table.scan(partition, PREFIX))
        for key_id in {value for _, value in rows}:
            self.digest.age(key_id.decode())
        self._known[partition] = frozenset(key[len(PREFIX) :] for key, _ in rows)

    def clear(self) -> None:
        """Forget everything in memory."""
        self._known.clear()

    def known(self, partition: int) -> frozenset[bytes]:
        """The digests of one partition."""
        return self._known.get(partition, frozenset())

    def remember(self, partition: int, digests: frozenset[bytes]) -> None:
        """Replace the digests of one partition."""
        self._known[partition] = digests


class ErasureFilter:
    """One unit's look at who is erased: empties what arrives, and knows who must be taken out of the rows.

    Attributes:
        fresh: the erasures that this unit brings, by address.
        gone: their digests, which rows remember.
    """

    def __init__(self, index: ErasedIndex, unit: UnitOfWork) -> None:
        self._index = index
        self._unit = unit
        self._known = index.known(unit.partition)
        self._rows: Counter[bytes] = Counter()
        self.requests: dict[str, ErasureChange] = {}
        self.digests: dict[str, bytes] = {}

    def erased(self, address: str) -> bool:
        """Whether the address is one of somebody who must be forgotten."""
        return bool(self._known) and self._index.digest.known_in(address, self._known)

    def filter(self, changes: Iterable[C]) -> Iterator[C]:
        """What remains of ``changes``; erasures themselves are noted and end here."""
        for change in changes:
            if isinstance(change, ErasureChange):
                self._note(change)
                continue
            remains = scrubbed(change, self.erased) if self._known else change
            if remains is not change:
                self._index.count.inc()
            if remains is not None:
                yield remains

    def rows_mentioning(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Stored rows under ``prefix`` that hold an address of :attr:`fresh`, or did before a crash: (key, value)."""
        marks = [(address.encode(), digest) for address, digest in self.digests.items()]
        for key, value in self._unit.scan(prefix):
            # In a name it may be written in any case.
            lower = value.lower()
            if any(address in lower or digest in value for address, digest in marks):
                yield key, value

    def is_buyer(self, key: str) -> bool:
        """Whether a buyer is nothing but an address of :attr:`fresh`."""
        return is_person(key) and key[1:] in self.requests

    def count(self, digests: Iterable[bytes]) -> None:
        """A row held those of :attr:`fresh` whose digests are among these."""
        self._rows.update(set(digests) & set(self.digests.values()))

    def write_audit(self) -> None:
        """Tell the audit topic that everything of :attr:`fresh` is out of this partition, and how many rows held it."""
        for address, change in self.requests.items():
            index, rows, partition = self._index, self._rows[self.digests[address]], self._unit.partition
            digest = change.row.digest.hex()
            trace = ErasureResult(digest, index.stage, partition, rows, self._unit.now_ms, generation=index.generation)
            self._unit.emit_raw(self._index.audit, partition, trace.digest.encode(), write_audit(trace))

    def _note(self, change: ErasureChange) -> None:
        address = change.key if change.key != EVERYWHERE else str(change.pk)
        self._index.digest.require(address, change.row.digest)
        digest = self._index.digest(address)
        self.requests[address], self.digests[address] = change, digest
        # First of all writes: after a crash no row may be without its erasure.
        self._unit.put(PREFIX + digest, self._index.digest.key_id.encode())
        self._known = known = self._known | {digest}
        self._unit.on_commit(lambda: self._index.remember(self._unit.partition, known))
