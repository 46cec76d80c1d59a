"""How many calls deliveries take, and how long: the dispatcher's own cost model, over the account's whole budget.

The first load and a switch of generations are bulk: whatever else is to be sent goes first, so this is the least that they
take.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from streams.core.lanes import Lane
from streams.dispatch.outbox.tasks import Work
from streams.dispatch.policies import budget_policy, routing_policy
from streams.dispatch.rate_limit.concurrency import ENROLMENTS, IN_FLIGHT
from streams.dispatch.rate_limit.limiter import BudgetPolicy, TierState
from streams.dispatch.senders.routing import forecast
from streams.dotdigital.events import MOST_EVENTS
from streams.dotdigital.programs import MOST_CONTACTS
from streams.dotdigital.tiers import Tier
from streams.mapping import Mapping as SiteMapping
from streams.mapping.delivery import RefundEnrolment
from streams.settings import Settings

_HOUR = 3600.0
_MINUTE = 60.0
_SINGLY = {Work.ALONE: 2, Work.RECORD_ALONE: 1, Work.LIST: 1}
"""Calls of one task that no import takes; a contact that goes, or that is opted out, is looked at before."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Calls to Dotdigital, ``single_calls`` and ``imports``, and the least time that they take.

    ``limited``: a budget is known (``OWDD_BUDGET_HIGH`` and its siblings). Without one the time is that of the connections.
    """

    single_calls: int
    imports: int
    seconds: float
    limited: bool

    @property
    def calls(self) -> int:
        """All of them."""
        return self.single_calls + self.imports


def effort(settings: Settings, mapping: SiteMapping, due: Mapping[Work, int]) -> Effort:
    """What it takes to send ``due``, if nothing else is to be sent."""
    budget, follow_ups = budget_policy(settings), due.get(Work.FOLLOW_UP, 0)
    alone = sum(calls * due.get(work, 0) for work, calls in _SINGLY.items())
    enrols = isinstance(mapping.delivery.follow_up, RefundEnrolment)
    shared = ceil(follow_ups / (MOST_CONTACTS if enrols else MOST_EVENTS))
    minutes = {tier: _whole_minute(budget, tier) for tier in (Tier.HIGH, Tier.LOW)}
    found = forecast(due, alone + shared, minutes, IN_FLIGHT, routing_policy(settings))
    seconds = max(found.seconds, _HOUR * _full_hours(shared, ENROLMENTS)) if enrols else found.seconds
    if budget.flat is not None:
        seconds = max(seconds, _HOUR * _full_hours(found.calls + found.imports, budget.flat))
    return Effort(found.calls, found.imports, seconds, limited=bool(budget.calls) or budget.flat is not None)


def _full_hours(calls: int, limit: int) -> int:
    """Hours that pass before the last of ``calls`` may go."""
    return max(0, calls - 1) // limit


def _whole_minute(budget: BudgetPolicy, tier: Tier) -> TierState:
    """A minute of the whole account as it begins, of which bulk gets what nobody else needs until it ends."""
    limit = budget.calls.get(tier)
    if limit is None:
        return TierState(None, None, None, None, _MINUTE)
    urgent, live, bulk = (limit - budget.reserve.kept(lane, limit, 0) for lane in Lane)
    return TierState(limit, limit, limit, (urgent, live, bulk), _MINUTE)
