"""The site's policy: who is a recent buyer, who owns consent, when bulk may be sent."""

from dataclasses import dataclass

from streams.core.lanes import Lane
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.digester import Digester
from streams.mapping import Mapping
from streams.mapping.bulk_windows import BulkWindows
from streams.messages.changes import DesiredFollowUp

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class SitePolicy:
    """What the outbox must know of the site.

    ``listed_for``: how long after a despatch a contact is a recent buyer, in seconds; None: no list. ``external``: another
    system owns consent and creates contacts. ``digest``: the keyed digest of an address; ``hash_key``: of the hash by which
    the owner of a parked delivery is known. ``windows``: when bulk may be sent. ``follow_up_age``: how old a credit note with a
    follow-up may be, in seconds; None: however old. ``consent_wait_ms``: how long the first load may take (ms).
    ``corrects``: a contact that we created unsubscribed is subscribed when Orderwise says in later, and nobody refused.
    """

    listed_for: int | None
    external: bool
    digest: Digester
    hash_key: bytes
    windows: BulkWindows
    follow_up_age: int | None = None
    consent_wait_ms: int = 0
    corrects: bool = False

    @classmethod
    def of(cls, mapping: Mapping, digest: Digester, hash_key: bytes) -> "SitePolicy":
        """What the mapping says of it."""
        recent = mapping.delivery.recent_buyers
        windows = BulkWindows.parse(mapping.delivery.bulk_windows, mapping.source.zone)
        follow_up = mapping.delivery.follow_up
        age = None if follow_up is None else follow_up.most_days * _DAY
        return cls(recent.days * _DAY if recent else None, mapping.consent.mode == "external", digest, hash_key, windows, age)

    def listed_until(self, row: ContactDeliveryState) -> int:
        """Until when the contact is a recent buyer (epoch seconds); 0: it is none."""
        if self.listed_for is None or row.despatched is None or row.fields is None or row.erase is not None:
            return 0
        return row.despatched + self.listed_for

    def joins(self, row: ContactDeliveryState, now_s: float) -> bool:
        """Whether the contact must be put on the recent buyers' list."""
        refused = row.list_refused_at is not None and row.list_refused_at == row.despatched
        return not row.listed and not refused and not row.refused and self.listed_until(row) > now_s

    def leaves(self, row: ContactDeliveryState, now_s: float) -> bool:
        """Whether the contact must be taken off the list."""
        return (row.listed or row.join_unconfirmed) and self.listed_until(row) <= now_s

    def follows_up(self, wanted: DesiredFollowUp | None, contact: ContactDeliveryState, now_s: float) -> bool:
        """Whether a credit note has a follow-up: the person was a contact when it was made, and is one; not too old."""
        if wanted is None or not contact.takes_more or wanted.at < contact.ours_since:
            return False
        return self.follow_up_age is None or wanted.at >= now_s - self.follow_up_age

    def leaves_first(self, row: ContactDeliveryState, now_ms: int) -> bool:
        """Whether the contact must be taken off the list before a window opens for its data."""
        if self.listed_for is None or not row.known or not (row.listed or row.join_unconfirmed) or row.lane != Lane.BULK:
            return False
        ready = max(row.due, now_ms)
        opens = self.windows.opens(ready)
        return opens > ready and self.listed_until(row) * 1000 < opens
