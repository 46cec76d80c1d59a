"""The Dotdigital account of the benchmark."""

from dataclasses import dataclass

from streams.dotdigital.bootstrap import TYPES
from streams.mapping import Mapping
from testkit.sandbox import SandboxApp, SandboxConfig, create_app
from testkit.sandbox.calls import HIGH, LOW, MEDIUM
from testkit.virtual.event_loop import VirtualClock

USER, PASSWORD = "api-user", "sandbox-password"
LIST_ID = 7


@dataclass(frozen=True, slots=True)
class Terms:
    """What the account allows and how long things take.

    Calls a minute by tier: 35 bulk calls is the one published number (Basic package); the others are ours, in proportion.
    A reply takes ``reply_seconds``, an import ``import_seconds``.
    """

    low: int = 35
    medium: int = 100
    high: int = 300
    reply_seconds: float = 0.12
    import_seconds: float = 30.0

    @property
    def tiers(self) -> dict[str, int]:
        """Calls a minute by the name of the tier."""
        return {LOW: self.low, MEDIUM: self.medium, HIGH: self.high}


def open_account(mapping: Mapping, terms: Terms, clock: VirtualClock) -> SandboxApp:
    """A sandbox with the fields, collections and the list that the mapping needs, and without limits yet."""
    fields = {name: TYPES.get(value, "String") for value, name in mapping.contact_fields.model_dump().items()}
    recent = mapping.delivery.recent_buyers
    lists = {} if recent is None else {LIST_ID: str(recent.list)}
    config = SandboxConfig(USER, PASSWORD, data_fields=fields, lists=lists, import_seconds=terms.import_seconds)
    app = create_app(config, clock=clock.now_utc)
    if mapping.delivery.orders is not None:
        app.store.insight.create(mapping.delivery.orders.collection, "contact", "orders")
    if mapping.delivery.catalogue is not None:
        app.store.insight.create(mapping.delivery.catalogue.collection, "account", "catalog")
    return app
