"""Erased persons in ingest: their addresses enter no topic of ours, and the ERP's flag requests an erasure."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import Counter

from streams.capture import rows
from streams.capture.addresses import address_field
from streams.capture.envelope import UNAVAILABLE, RowEvent
from streams.capture.images import after_image
from streams.capture.reader import listed, readers
from streams.core.errors import RecordError
from streams.domain.erasure import scrubbed
from streams.ingest.erased_addresses import ErasureFeed
from streams.ingest.router import Routed
from streams.mapping import Mapping


class ErasureFlagColumn:
    """The mapped column by which the ERP requests the erasure of a person."""

    def __init__(self, mapping: Mapping) -> None:
        self._contact = mapping.contact
        self._erasure = mapping.erasure
        self._reader = readers(mapping)[mapping.contact.table] if mapping.erasure is not None else None

    def addresses_to_erase(self, event: RowEvent) -> tuple[str, ...]:
        """The addresses, present and former, of a contact row that is flagged.

        Raises:
            RecordError: the row cannot be read; ``address_unavailable`` if the captured change has no address,
                ``unreadable_address`` if it has text that names none.
        """
        if self._reader is None or event.table.casefold() != self._contact.table.casefold() or event.after is None:
            return ()
        image, column = after_image(event, self._reader), self._contact.email
        row = self._reader.read(image.columns)
        if not (isinstance(row, rows.Contact) and row.erased):
            return ()
        if row.unreadable:
            raise RecordError("unreadable_address", f"{column} cannot be read, and the row requests an erasure")
        if column in image.missing and (event.after[column] == UNAVAILABLE or not self._flagged(event.before)):
            raise RecordError("address_unavailable", f"{column} is not available, and the row requests an erasure")
        former = address_field((event.before or {}).get(column), column).found
        return tuple(dict.fromkeys((*row.named, *former)))

    def _flagged(self, before: dict[str, Any] | None) -> bool:
        """Whether the row requested the erasure before this change; then it had its address."""
        erasure = self._erasure
        return erasure is not None and before is not None and listed(before.get(erasure.column)) in erasure.erased


def without_erased(routed: Iterable[Routed], known: ErasureFeed, emptied: Counter) -> Iterator[Routed]:
    """The changes of a row without the data of erased persons.

    A change that named an erased person is emptied or dropped, and counted in ``emptied``.
    """
    for topic, change in routed:
        remains = scrubbed(change, known.erased)
        if remains is not change:
            emptied.inc()
        if remains is not None:
            yield topic, remains
