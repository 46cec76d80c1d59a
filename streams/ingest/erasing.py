"""What ingest does about the erased: their addresses enter no topic of ours, and the ERP's flag erases too."""

from collections.abc import Iterable, Iterator

from prometheus_client import Counter

from streams.capture import rows, values
from streams.capture.envelope import UNAVAILABLE, RowEvent
from streams.capture.reader import readers
from streams.core.errors import RecordError
from streams.domain.erasure import scrubbed
from streams.ingest.erased_addresses import ErasureFeed
from streams.ingest.router import Routed
from streams.mapping import Mapping


class ErasureFlagColumn:
    """The mapped column by which the ERP asks for persons to be forgotten."""

    def __init__(self, mapping: Mapping) -> None:
        self._contact = mapping.contact
        self._reader = readers(mapping)[mapping.contact.table] if mapping.erasure is not None else None

    def asked(self, event: RowEvent) -> tuple[str, ...]:
        """The addresses, present and former, of a contact row that is flagged.

        Raises:
            RecordError: the row cannot be read; ``address_unavailable`` if the captured change has no address.
        """
        if self._reader is None or event.table != self._contact.table or event.after is None:
            return ()
        row = self._reader.read(event.after)
        if not (isinstance(row, rows.Contact) and row.erased):
            return ()
        column, before = self._contact.email, event.before or {}
        if event.after[column] == UNAVAILABLE and before.get(column, UNAVAILABLE) == UNAVAILABLE:
            raise RecordError("address_unavailable", f"{column} is not available, and the row requests an erasure")
        former = values.addresses(before.get(column), column)
        return tuple(dict.fromkeys((*row.emails, *former)))


def passed(routed: Iterable[Routed], known: ErasureFeed, emptied: Counter) -> Iterator[Routed]:
    """What remains of the changes that a row makes; those that named somebody erased are counted."""
    for topic, change in routed:
        remains = scrubbed(change, known.erased)
        if remains is not change:
            emptied.inc()
        if remains is not None:
            yield topic, remains
