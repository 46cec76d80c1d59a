"""Imports are cut by bytes and by count, before anything is sent."""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol, TypeVar

MOST_BYTES: Final = 45_000_000
"""Dotdigital takes 50 MB in one import; the rest is for what stands around the items."""


class Encodable(Protocol):
    """What an import is made of."""

    def encode(self) -> bytes:
        """The item as it goes out."""


AnyItem = TypeVar("AnyItem", bound=Encodable)


def batches(items: Iterable[AnyItem], *, most_bytes: int = MOST_BYTES, most: int) -> Iterator[list[AnyItem]]:
    """The items in order, in runs of at most ``most`` of them and ``most_bytes``; one item above that goes by itself."""
    batch: list[AnyItem] = []
    size = 0
    for item in items:
        more = len(item.encode()) + 1
        if batch and (len(batch) == most or size + more > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += more
    if batch:
        yield batch
