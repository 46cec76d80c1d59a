"""Splits the items of an import by bytes and by count, before anything is sent: a call that is too large is refused whole."""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol, TypeVar

MOST_BYTES: Final = 45_000_000
"""Bytes of items in one import: 10 % below Dotdigital's limit of 50 MB for a body, whose megabytes may be 10^6 or 2^20 bytes.

The margin also holds the JSON around the items.
"""


class Encodable(Protocol):
    """An item of an import."""

    def encode(self) -> bytes:
        """The item's JSON."""


AnyItem = TypeVar("AnyItem", bound=Encodable)


def batches(items: Iterable[AnyItem], *, most_bytes: int = MOST_BYTES, most: int) -> Iterator[list[AnyItem]]:
    """Split items into batches and keep their order.

    Args:
        items: the items of one kind.
        most_bytes: bytes of JSON in a batch. A larger item has a batch of its own, and Dotdigital decides about it.
        most: items in a batch.
    """
    batch: list[AnyItem] = []
    size = 0
    for item in items:
        # One byte for the comma after the item.
        more = len(item.encode()) + 1
        if batch and (len(batch) == most or size + more > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += more
    if batch:
        yield batch
