"""What is broken, and which alert must come of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from streams.worker import Role
from testkit.drill.scene import Scene

Action = Callable[[Scene], Awaitable[None]]

_LATE = frozenset({"OwddFreshnessBurnFast", "OwddFreshnessBurnSlow"})
"""Changes that waited were late: true, and part of what happened."""
_WAITED = _LATE | {"OwddBudgetExhausted", "OwddDeliveryStalled"}
"""Behind an account that takes nothing, calls wait, and the first minute after it they all want to go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One drill.

    Attributes:
        what: what is broken, for people.
        alert: the alert that must come.
        harm, mend: break it, and put it right.
        labels: labels that the alert must have.
        notice: seconds in which the pipeline and its metrics must show it.
        window: seconds that the rule needs beside its ``for``: those in which a share or a minimum is taken.
        past: seconds for which the rule must have watched before, to know what is new.
        also: alerts that may come too, because they speak of a consequence.
        speed: how many times faster Prometheus goes; 1: the rules as they are.
    """

    what: str
    alert: str
    harm: Action
    mend: Action
    labels: Mapping[str, str] = field(default_factory=dict)
    notice: float = 60.0
    window: float = 0.0
    past: float = 0.0
    also: frozenset[str] = frozenset()
    speed: int = 10


async def _nothing(_: Scene) -> None:
    """What was a single event is over by itself."""


def _role(role: Role) -> Case:
    return Case(
        what=f"{role} is stopped",
        alert="OwddRoleDown",
        labels={"role": role},
        harm=partial(Scene.stop_role, role=role),
        mend=partial(Scene.start_role, role=role),
        also=_LATE,
        speed=1,
    )


def _dotdigital(what: str, alert: str, *, window: float = 0.0, speed: int = 10, **faults: object) -> Case:
    return Case(
        what=what,
        alert=alert,
        harm=partial(Scene.break_dotdigital, faults=faults),
        mend=Scene.repair_dotdigital,
        window=window,
        also=_WAITED,
        speed=speed,
    )


CASES: dict[str, Case] = {
    "ingest": _role(Role.INGEST),
    "agents": _role(Role.AGENTS),
    "dispatch": _role(Role.DISPATCH),
    "heartbeat": Case(
        what="The heartbeat row no longer comes back",
        alert="OwddCaptureStalled",
        harm=Scene.stop_heartbeat,
        mend=Scene.start_heartbeat,
        # The threshold is two minutes.
        notice=180.0,
    ),
    "connect": Case(
        what="Kafka Connect does not answer",
        alert="OwddConnectDown",
        harm=partial(Scene.set_connect, away=True),
        mend=partial(Scene.set_connect, away=False),
        also=frozenset({"OwddCaptureGuardBlind"}),
        speed=1,
    ),
    "task": Case(
        what="The connector's task has failed",
        alert="OwddConnectorFailed",
        harm=partial(Scene.set_connect, task="FAILED"),
        mend=partial(Scene.set_connect, task="RUNNING"),
        also=frozenset({"OwddConnectorRestartsExhausted"}),
    ),
    "down": _dotdigital("Dotdigital answers nothing but 503", "OwddDotdigitalFails", window=600.0, outage=True),
    "unauthorized": _dotdigital("Dotdigital answers 401", "OwddAccessRefused", speed=3, unauthorized=True),
    "throttled": _dotdigital("Dotdigital answers every call with 429", "OwddBudgetTakenByOthers", http_429=1.0),
    "slow": _dotdigital("Dotdigital takes 40 s for a call", "OwddDotdigitalFails", window=600.0, latency_ms=40_000),
    "poison": Case(
        what="Two rows of the accounts are no JSON",
        alert="OwddIngestDeadLetters",
        labels={"code": "value_not_json"},
        harm=Scene.poison,
        mend=_nothing,
        past=900.0,
        speed=30,
    ),
    "address": Case(
        what="An e-mail field is changed to what is no address",
        alert="OwddUnreadableAddresses",
        harm=lambda scene: scene.shop.set_address(readable=False),
        mend=lambda scene: scene.shop.set_address(readable=True),
        speed=30,
    ),
    "status": Case(
        what="An order gets a status that the mapping does not have",
        alert="OwddHeldUnknownWord",
        labels={"kind": "unknown_status"},
        harm=lambda scene: scene.shop.set_status(known=False),
        mend=lambda scene: scene.shop.set_status(known=True),
        speed=30,
    ),
    "lookup": Case(
        what="All rows of the table of statuses are deleted",
        alert="OwddFrozen",
        labels={"kind": "status_not_loaded"},
        harm=lambda scene: scene.shop.set_lookup(filled=False),
        mend=lambda scene: scene.shop.set_lookup(filled=True),
        speed=30,
    ),
    "partition": Case(
        what="One partition is filled faster than it is read, with records an hour old",
        alert="OwddLagOld",
        harm=Scene.fill_partition,
        mend=Scene.leave_partition,
        also=_LATE,
    ),
}
