"""Tombstones: the digests of erased addresses, under the prefix ``t``. Nothing is ever delivered to them again."""

from streams.domain.erasure import Digest
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork

PREFIX = b"t"


class Tombstones:
    """Knows who was erased; ``digest`` is the keyed digest of an address."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest
        # Most sites have erased nobody, and need no digest and no look into the state for every change.
        self._any = False

    def recovered(self, partition: int, table: StateTable) -> None:
        """A partition was taken over."""
        self._any = self._any or any(True for _ in table.scan(partition, PREFIX))

    def clear(self) -> None:
        """Forget everything in memory."""
        self._any = False

    def put(self, unit: UnitOfWork, digest: bytes) -> None:
        """The address with that digest is erased from here on."""
        unit.put(PREFIX + digest, b"")
        self._any = True

    def has(self, unit: UnitOfWork, email: str) -> bool:
        """Whether the address was erased."""
        return self._any and unit.get(PREFIX + self._digest(email)) is not None
