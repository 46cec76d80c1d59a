"""The keyed digest by which an erased address is recognised: all that remains of it. Pure."""

from collections.abc import Container, Iterable, Iterator
from functools import reduce
from hashlib import blake2b
from itertools import accumulate

from streams.core.errors import ConfigurationError

_REMEDY = "Set it to the key in use, and those before it in OWDD_FORMER_ERASURE_KEYS"


class Digester:
    """Digests of addresses under the last of ``keys``; the former ones come before it, the oldest first.

    An erased address is gone, so its digest cannot be made again under a new key. It is made from the former digest instead:
    each key digests what the one before it made. What was made under a former key is recognised, and can be re-keyed.
    A key id names a key and those before it, and tells nothing of either.
    """

    def __init__(self, *keys: bytes) -> None:
        self._keys = tuple(key[:64] for key in keys)
        self.key_ids = tuple(_key_ids(self._keys))

    @property
    def key_id(self) -> str:
        """The id of the key in use."""
        return self.key_ids[-1]

    def __call__(self, address: str) -> bytes:
        """The digest under the key in use."""
        return self.all(address)[-1]

    def all(self, address: str) -> tuple[bytes, ...]:
        """The digests under every key, the oldest first."""
        return tuple(accumulate(self._keys, _digest, initial=address.encode()))[1:]

    def known_in(self, address: str, digests: Container[bytes]) -> bool:
        """Whether the address is among ``digests``, whichever of the keys they were made with."""
        return any(digest in digests for digest in self.all(address))

    def require(self, address: str, digest: bytes) -> None:
        """Check that ``digest`` is one of the address.

        Raises:
            ConfigurationError: it is none, so it was made with a key that this process does not have.
        """
        if not self.known_in(address, (digest,)):
            raise ConfigurationError("an erasure was requested under another key", where="OWDD_ERASURE_KEY", remedy=_REMEDY)

    def rekeyed(self, digest: bytes, key_id: str) -> bytes:
        """``digest``, which was made under ``key_id``, under the key in use."""
        return reduce(_digest, self._keys[self.age(key_id) + 1 :], digest)

    def age(self, key_id: str) -> int:
        """How many keys are older than ``key_id``; empty: written before keys had ids, with the oldest.

        Raises:
            ConfigurationError: it is none of the keys.
        """
        if not key_id:
            return 0
        if key_id not in self.key_ids:
            raise ConfigurationError(f"there are erasures under key {key_id}", where="OWDD_ERASURE_KEY", remedy=_REMEDY)
        return self.key_ids.index(key_id)


def _digest(data: bytes, key: bytes) -> bytes:
    # Too long to be guessed back, too keyed to be looked up.
    return blake2b(data, key=key, digest_size=16).digest()


def _key_ids(keys: Iterable[bytes]) -> Iterator[str]:
    before = b"owdd erasure key"
    for key in keys:
        before = blake2b(before, key=key, digest_size=8, person=b"key id").digest()
        yield before.hex()
