"""Tombstones: the digests of erased addresses, under the prefix ``t``. Nothing is ever delivered to them again.

The value is the id of the key that made the digest; rows of releases before ids have none.
"""

from streams.domain.digester import Digester
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork

PREFIX = b"t"


class Tombstones:
    """Knows who was erased."""

    def __init__(self, digest: Digester) -> None:
        self._digest = digest
        # Most sites have erased nobody, and need no digest and no look into the state for every change.
        self._any = False

    def recovered(self, partition: int, table: StateTable) -> None:
        """A partition was taken over.

        Raises:
            ConfigurationError: a tombstone was made with a key that this worker does not have.
        """
        ids = {value for _, value in table.scan(partition, PREFIX)}
        for key_id in ids:
            self._digest.age(key_id.decode())
        self._any = self._any or bool(ids)

    def clear(self) -> None:
        """Forget everything in memory."""
        self._any = False

    def put(self, unit: UnitOfWork, email: str, digest: bytes) -> None:
        """The address is erased from here on; ``digest`` is that of the request.

        Raises:
            ConfigurationError: it was made with a key that this worker does not have.
        """
        self._digest.require(email, digest)
        unit.put(PREFIX + self._digest(email), self._digest.key_id.encode())
        self._any = True

    def has(self, unit: UnitOfWork, email: str) -> bool:
        """Whether the address was erased."""
        return self._any and any(unit.get(PREFIX + digest) is not None for digest in self._digest.all(email))
