"""From settings, which are plain values, to the policies that dispatch decides by."""

from streams.dispatch.outbox.removal_brake import BrakePolicy
from streams.dispatch.rate_limit.limiter import BudgetPolicy
from streams.dispatch.rate_limit.quota import Reserve
from streams.dispatch.senders.routing import RoutingPolicy
from streams.domain.brake import BrakeLimits
from streams.domain.debounce import Debounce, Window
from streams.dotdigital.client import ClientConfig
from streams.dotdigital.region import check_destination
from streams.dotdigital.tiers import Tier
from streams.settings import Settings


def client_config(settings: Settings) -> ClientConfig:
    """The account to call, and how.

    Raises:
        ConfigurationError: the credentials would go to somebody who must not have them.
    """
    check_destination(settings.dotdigital_url, settings.dotdigital_user)
    return ClientConfig(
        url=settings.dotdigital_url,
        user=settings.dotdigital_user,
        password=settings.dotdigital_password.get_secret_value(),
        connections=settings.dispatch_connections,
        timeout=settings.dispatch_timeout,
    )


def debounce_policy(settings: Settings) -> Debounce:
    """The debounce window of every lane."""
    return Debounce(
        Window(settings.urgent_quiet, settings.urgent_longest),
        Window(settings.live_quiet, settings.live_longest),
        Window(settings.bulk_quiet, settings.bulk_longest),
    )


def budget_policy(settings: Settings) -> BudgetPolicy:
    """The budgets of calls, as far as they are known beforehand."""
    calls = {Tier.LOW: settings.budget_low, Tier.MEDIUM: settings.budget_medium, Tier.HIGH: settings.budget_high}
    known = {tier: limit for tier, limit in calls.items() if limit}
    return BudgetPolicy(known, settings.budget_flat or None, Reserve(settings.budget_urgent, settings.budget_live))


def brake_policy(settings: Settings) -> BrakePolicy:
    """How many removals may go without a person."""
    limits = BrakeLimits(settings.brake_least, settings.brake_share, settings.brake_most, settings.brake_day_share)
    return BrakePolicy(limits, int(settings.brake_wait * 1000), settings.partitions)


def routing_policy(settings: Settings) -> RoutingPolicy:
    """The values that decide between single calls and imports."""
    return RoutingPolicy(
        urgent_longest=settings.urgent_longest,
        live_longest=settings.live_longest,
        calls_per_second=10.0 * settings.dispatch_connections,
        import_seconds=settings.import_seconds,
        import_least=settings.import_least,
        import_most=settings.import_most,
    )
