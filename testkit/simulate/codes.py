"""Order types, statuses and currencies as a site numbers them: those that the mapping knows, and some it does not."""

from collections import defaultdict
from typing import Final

from streams.mapping import Mapping, Status

_USUAL_ORDER: Final = ("open", "held", "cancelled", "part_despatched", "despatched", "completed")


class Codes:
    """Ids to use in rows. The status ids ``late``, ``foreign``, ``tardy`` and ``ghost`` misbehave, each in its way."""

    def __init__(self, mapping: Mapping) -> None:
        types, statuses, currencies = mapping.order.types, mapping.order.statuses, mapping.order.currencies
        self.order_types = sorted(types.order)
        self.credit_types = sorted(types.credit)
        self.ignored_types = sorted(types.ignore)
        known = types.order | types.credit | types.ignore
        self.unknown_type = next(number for number in range(7, 1 << 16) if number not in known)
        self.currencies = sorted(currencies)
        self.unknown_currency = max(self.currencies) + 97

        self._ids: dict[str, list[int]] = defaultdict(list)
        self.texts: dict[int, str] = {}
        by_status = sorted(statuses, key=lambda text: (_USUAL_ORDER.index(statuses[text]), -len(text)))
        for number, text in enumerate(by_status, 1):
            self._ids[statuses[text]].append(number)
            self.texts[number] = text.capitalize()
        number = len(by_status)
        self.late, self.foreign, self.tardy, self.ghost = number + 1, number + 2, number + 3, number + 4
        self.texts[self.late] = "Ready for the van"  # known only once it is renamed
        self.texts[self.foreign] = "Awaiting customs clearance"  # never in the mapping
        self.tardy_text = self.text("open").upper()  # its row comes late

    def status(self, status: Status) -> int:
        """The id that most orders in ``status`` have; a site without it uses its first status."""
        return self._ids[status][0] if self._ids[status] else 1

    def text(self, status: Status) -> str:
        """A text that the mapping reads as ``status``."""
        return self.texts[self.status(status)]

    def spare(self) -> int:
        """The second id of a status that has two, else the one of ``completed``: to be renamed on the go."""
        return next((ids[1] for ids in self._ids.values() if len(ids) > 1), self.status("completed"))
