"""Where in the account things go: the site's collections, list and follow-up, with the ids that they have there."""

from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass

from streams.domain.contact_projection import cleared
from streams.domain.own_deeds import OwnParts, own_fields
from streams.dotdigital.bootstrap import Targets
from streams.mapping import Mapping
from streams.mapping.delivery import RefundEnrolment, RefundEvent


@dataclass(frozen=True, slots=True)
class AccountTargets:
    """What is delivered besides data fields; None: not at all.

    ``cleared`` is the content that empties every data field of ours but those of ``kept``, which people fill too; ``list_id``
    that of the recent buyers' list; ``own``: what of a contact may be ours.
    """

    cleared: bytes
    orders: str | None
    catalogue: str | None
    list_id: int | None
    follow_up: RefundEvent | RefundEnrolment | None
    external: bool
    own: OwnParts
    kept: frozenset[str] = frozenset()

    @classmethod
    def of(cls, mapping: Mapping, targets: Targets, defaults: ReadOnly[str, object]) -> "AccountTargets":
        """The mapping's destination, as it was found in the account; ``defaults`` are values of its data fields."""
        lists = frozenset() if targets.recent_buyers is None else frozenset({targets.recent_buyers})
        return cls(
            cleared=cleared(mapping),
            orders=targets.orders,
            catalogue=targets.catalogue,
            list_id=targets.recent_buyers,
            follow_up=mapping.delivery.follow_up,
            external=mapping.consent.mode == "external",
            own=OwnParts(own_fields(mapping.contact_fields), lists, defaults),
            kept=mapping.kept_fields,
        )
