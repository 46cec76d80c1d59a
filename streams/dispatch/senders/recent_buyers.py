"""The recent buyers' list, as senders see it: who must be put on it, and whether Dotdigital takes anybody."""

import structlog

from streams.dispatch.outbox.site_policy import SitePolicy
from streams.domain.contact_state import ContactDeliveryState
from streams.messages.dead_letters import keyed_hash
from streams.messages.deliveries import ListRefusal

log = structlog.get_logger()


class RecentBuyersList:
    """The list of that id, None if the site has none; shared by all senders of a worker.

    Once Dotdigital has refused the list itself, no contact joins it until a restart: every contact would cost two calls.
    """

    def __init__(self, list_id: int | None, policy: SitePolicy) -> None:
        self.list_id = list_id
        self._policy = policy
        self._refused = False

    def to_join(self, row: ContactDeliveryState, now_s: float) -> int | None:
        """The list that the contact must be put on now, if any."""
        return self.list_id if not self._refused and self._policy.joins(row, now_s) else None

    def refused(self, refusal: ListRefusal, email: str) -> None:
        """Dotdigital did not put a contact on the list."""
        if refusal.whole_list:
            self._refused = True
            log.critical("the recent-buyers list is refused, no contact joins it until a restart: run 'owdd dotdigital plan'")
        else:
            owner = keyed_hash(email.encode(), self._policy.hash_key)
            log.warning("contact may not join the recent-buyers list", code=refusal.code, owner=owner)
