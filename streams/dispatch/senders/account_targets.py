"""Where in the account things go: the site's collections, list and follow-up, with the ids that they have there."""

from dataclasses import dataclass

from streams.domain.contact_projection import cleared
from streams.dotdigital.bootstrap import Targets
from streams.mapping import Mapping
from streams.mapping.delivery import RefundEnrolment, RefundEvent


@dataclass(frozen=True, slots=True)
class AccountTargets:
    """What is delivered besides data fields; None: not at all.

    ``cleared`` is the content that empties every data field of ours; ``list_id`` that of the recent buyers' list.
    """

    cleared: bytes
    orders: str | None
    catalogue: str | None
    list_id: int | None
    follow_up: RefundEvent | RefundEnrolment | None
    external: bool

    @classmethod
    def of(cls, mapping: Mapping, targets: Targets) -> "AccountTargets":
        """The mapping's destination, as it was found in the account."""
        return cls(
            cleared=cleared(mapping),
            orders=targets.orders,
            catalogue=targets.catalogue,
            list_id=targets.recent_buyers,
            follow_up=mapping.delivery.follow_up,
            external=mapping.consent.mode == "external",
        )
