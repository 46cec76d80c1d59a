"""What is played: which faults meet which shop."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """A kind of fault; the value is its name in results and in the table."""

    KILL = "kill -9 of a worker"
    BROKER_KILL = "kill -9 of the broker"
    BROKER_STALL = "broker stopped for 3 to 6 s, past its session"
    PAUSE = "pause of a worker past its session"
    STALL = "worker stopped for 1 to 3 s"
    PARTITION = "network partition between a worker and the broker"
    STATE_LOST = "data directory of a worker lost"
    STATE_DAMAGED = "file of a worker's state damaged"
    DISK_FULL = "worker whose disk is full"
    CLOCK = "clock of all workers set by 30 minutes or 2 hours, and back"
    EXPIRY = "records between ingest and agents deleted unread"
    SWITCH = "a generation built, in effect, left and cleaned away, each with kill -9 of all workers and of the command"
    STARVED = "run on one core that three busy loops share"
    SHUFFLED = "shop whose records come repeated and out of order, all at once"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to play: ``faults`` in turn, at least ``times`` in all, and further ones while the shop is open.

    ``starved`` puts everything on one core together with three busy loops; ``shuffled`` has the shop's records repeated and
    mixed, as far as Kafka's order within a key allows, and all there from the beginning.
    """

    name: str
    faults: tuple[Fault, ...]
    times: int
    starved: bool = False
    shuffled: bool = False


_MIXED = (
    Fault.KILL,
    Fault.PARTITION,
    Fault.PAUSE,
    Fault.BROKER_KILL,
    Fault.STALL,
    Fault.STATE_LOST,
    Fault.STATE_DAMAGED,
    Fault.DISK_FULL,
)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("replays", (), 0, shuffled=True),
        Scenario("kills", (Fault.KILL,), 9),
        Scenario("broker-kills", (Fault.BROKER_KILL,), 2),
        Scenario("broker-stalls", (Fault.BROKER_STALL,), 4),
        Scenario("pauses", (Fault.PAUSE,), 3),
        Scenario("partitions", (Fault.PARTITION,), 3),
        Scenario("state-lost", (Fault.STATE_LOST,), 3),
        Scenario("state-damaged", (Fault.STATE_DAMAGED,), 6),
        Scenario("disk-full", (Fault.DISK_FULL,), 6),
        Scenario("clock-jumps", (Fault.CLOCK,), 4),
        Scenario("expiry", (Fault.EXPIRY,), 2),
        Scenario("starved", (Fault.STALL,), 6, starved=True),
        Scenario("starved-kills", (Fault.STALL, Fault.KILL), 6, starved=True),
        Scenario("storms", (Fault.BROKER_STALL, Fault.KILL, Fault.BROKER_STALL, Fault.PAUSE), 8, starved=True, shuffled=True),
        Scenario("switches", (Fault.SWITCH,), 1),
        Scenario("mixed", _MIXED, len(_MIXED)),
    )
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run to be played; the seed decides shop, moments and victims. ``rate`` is in events per second."""

    scenario: Scenario
    seed: int
    customers: int = 200
    orders: int = 1200
    rate: int = 500

    @property
    def name(self) -> str:
        """Names the run's topics and its directory."""
        return f"soak-{self.scenario.name}-{self.seed}"


def runs(scenarios: list[Scenario], first: int, seeds: int, rate: int) -> Iterator[Run]:
    """All runs, seed by seed, so that an early end has played every scenario."""
    for seed in range(first, first + seeds):
        for scenario in scenarios:
            yield Run(scenario, seed, rate=rate)
