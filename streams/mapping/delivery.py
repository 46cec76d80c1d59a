"""The deliveries besides contacts (orders, catalogue, list, follow-ups), and their names in Dotdigital."""

import re
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from streams.mapping.bulk_windows import BulkWindows
from streams.mapping.parts import MappingPart

RecordStatus = Literal[
    "open", "held", "part_despatched", "despatched", "completed", "cancelled", "returning", "part_refunded", "refunded"
]
"""The statuses that an order's record can show: the order's own, or the result of a later return or refund."""

Collection = Annotated[str, StringConstraints(pattern=r"^[-A-Za-z_][-A-Za-z0-9_]{1,255}$")]
"""The name of an insight data collection."""


class OrderRecords(MappingPart):
    """The collection with one record per order. ``statuses``: the text that records show for one of our statuses.

    ``loaded_before``: orders dated before it came with the first load; their records say so.
    """

    collection: Collection = "Orders"
    statuses: dict[RecordStatus, str] = Field(default_factory=dict)
    loaded_before: AwareDatetime | None = None


PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
"""A placeholder in a template: ``{sku}``, ``{code}`` (of the product) or ``{id}`` (of the variant)."""


def _template(text: str) -> str:
    if unknown := sorted(set(PLACEHOLDER.findall(text)) - {"sku", "code", "id"}):
        raise ValueError(f"{unknown} are not placeholders; use {{sku}}, {{code}} or {{id}}")
    return text


Template = Annotated[str, AfterValidator(_template)]
"""An address with placeholders."""


class Catalogue(MappingPart):
    """The collection with one record per variant; ``url`` and ``image`` are filled in for each."""

    collection: Annotated[Collection, StringConstraints(pattern=r"^(?i:catalog_)")] = "catalog_orderwise"
    url: Template | None = None
    image: Template | None = None


class RecentBuyers(MappingPart):
    """The list of contacts to whom an order was despatched in the last ``days``. ``list`` is its name or its id."""

    list: Annotated[int, Field(gt=0)] | Annotated[str, StringConstraints(min_length=1, max_length=128)] = "OW recent buyers"
    days: Annotated[int, Field(ge=1, le=3650)] = 30


class _FollowUp(MappingPart):
    """Which credit notes have a follow-up: dated ``since`` or later, not older than ``most_days``, of ``smallest`` or more.

    ``since`` has no default: the first snapshot would otherwise send a follow-up for every credit note of all years.
    ``smallest`` is in the reporting currency.
    """

    since: AwareDatetime
    most_days: Annotated[int, Field(ge=1, le=3650)] = 30
    smallest: Annotated[Decimal, Field(gt=0, decimal_places=2)] = Decimal("0.01")


class RefundEvent(_FollowUp):
    """A custom event for every such credit note."""

    kind: Literal["event"]
    type: Annotated[str, StringConstraints(min_length=1, max_length=80)] = "refund"


class RefundEnrolment(_FollowUp):
    """An enrolment in a programme for every such credit note."""

    kind: Literal["enrolment"]
    program: Annotated[int, Field(gt=0)]


def _window(line: str) -> str:
    BulkWindows.parse([line], ZoneInfo("UTC"))
    return line


class Delivery(MappingPart):
    """The deliveries besides contacts. A part that is null is not delivered.

    ``bulk_windows``: the times at which snapshots and backfills may be sent, by the clock of ``source.timezone``; none: always.
    """

    orders: OrderRecords | None = OrderRecords()
    catalogue: Catalogue | None = Catalogue()
    recent_buyers: RecentBuyers | None = RecentBuyers()
    follow_up: Annotated[RefundEvent | RefundEnrolment, Field(discriminator="kind")] | None = None
    bulk_windows: tuple[Annotated[str, AfterValidator(_window)], ...] = ()
