"""The shop to simulate, and the faults on the way to Kafka."""

from dataclasses import dataclass, field
from datetime import datetime

from streams.core.errors import ConfigurationError
from streams.mapping import Mapping, load_mapping
from testkit.simulate.calendar import USUAL_END

DEFAULT_SEED = 1


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """One simulation; equal configurations give equal records, but for the time of sending.

    Attributes:
        customers: accounts in all, those that open during the live part included.
        orders: orders in all, guest orders and quotes included; credit notes come on top.
        live: commits after the snapshot; None gives as many as orders. Follow-up commits come on top.
        house_share: share of orders that are booked on a house account.
        consent: fill the opt-in column of contacts.
        duplicates: probability that a record is sent again, at once or later.
        replays: how often the connector restarts and sends the end of its log again.
        shuffle: interleave topics and keys out of commit order; one key of one topic always keeps its order.
        meta: also emit the records of the schema-change and transaction topics.
        ending: when the last live commit is made by the shop's clock, with an offset. What depends on the present, such as
            who bought recently, only has an interesting answer when the shop's days end about now.

    Raises:
        ConfigurationError: a number is out of range, or house orders are wanted and the mapping has no house account.
    """

    mapping: Mapping = field(default_factory=load_mapping)
    customers: int = 300
    orders: int = 1500
    live: int | None = None
    house_share: float = 0.3
    consent: bool = False
    duplicates: float = 0.0
    replays: int = 0
    shuffle: bool = False
    meta: bool = False
    ending: datetime = USUAL_END
    seed: int = DEFAULT_SEED

    def __post_init__(self) -> None:
        for name in ("house_share", "duplicates"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"{name} must be between 0 and 1")
        if self.customers < 1 or self.orders < 0 or self.commits < 0 or self.replays < 0:
            raise ConfigurationError("customers must be at least 1; orders, live and replays cannot be negative")
        if self.ending.tzinfo is None:
            raise ConfigurationError("ending must be an instant with an offset, such as 2026-11-02T06:00:00Z, or 'now'")
        if self.house_share > 0 and not self.mapping.house_accounts:
            raise ConfigurationError(
                "the mapping lists no house account: add 'house_accounts: [1]' to the mapping file, or simulate "
                "without guest orders (house share 0)"
            )

    @property
    def commits(self) -> int:
        """Planned live commits."""
        return self.orders if self.live is None else self.live
