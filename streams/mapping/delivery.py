"""What Dotdigital gets besides contacts, and under which names."""

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from streams.mapping.bulk_windows import BulkWindows
from streams.mapping.parts import MappingPart

RecordStatus = Literal[
    "open", "held", "part_despatched", "despatched", "completed", "cancelled", "returning", "part_refunded", "refunded"
]
"""What an order's record can show: the order's status, or what became of the order afterwards."""

Collection = Annotated[str, StringConstraints(pattern=r"^[-A-Za-z_][-A-Za-z0-9_]{1,255}$")]
"""The name of an insight data collection."""


class OrderRecords(MappingPart):
    """The collection with one record per order. ``statuses``: the word that records show for a status of ours."""

    collection: Collection = "Orders"
    statuses: dict[RecordStatus, str] = Field(default_factory=dict)


PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
"""What is filled in in a template: ``{sku}``, ``{code}`` (of the product) and ``{id}`` (of the variant)."""


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
    """The list of those to whom something was despatched in the last ``days``; by name, or by id."""

    list: Annotated[int, Field(gt=0)] | Annotated[str, StringConstraints(min_length=1, max_length=128)] = "OW recent buyers"
    days: Annotated[int, Field(ge=1, le=3650)] = 30


class RefundEvent(MappingPart):
    """A custom event for every credit note dated ``since`` or later."""

    kind: Literal["event"]
    type: Annotated[str, StringConstraints(min_length=1, max_length=80)] = "refund"
    since: AwareDatetime


class RefundEnrolment(MappingPart):
    """An enrolment in a programme for every credit note dated ``since`` or later."""

    kind: Literal["enrolment"]
    program: Annotated[int, Field(gt=0)]
    since: AwareDatetime


def _window(line: str) -> str:
    BulkWindows.parse([line], ZoneInfo("UTC"))
    return line


class Delivery(MappingPart):
    """What Dotdigital gets besides contacts; a part that is null is not delivered.

    ``bulk_windows``: when snapshots and backfills may be sent, by the clock of ``source.timezone``; none: always.
    """

    orders: OrderRecords | None = OrderRecords()
    catalogue: Catalogue | None = Catalogue()
    recent_buyers: RecentBuyers | None = RecentBuyers()
    follow_up: Annotated[RefundEvent | RefundEnrolment, Field(discriminator="kind")] | None = None
    bulk_windows: tuple[Annotated[str, AfterValidator(_window)], ...] = ()
