"""A real Prometheus with the shipped rules, and a log of the alerts that the example's Alertmanager would send."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from testkit.drill.inhibition import Inhibition
from testkit.drill.shorter import seconds, shorter_rules
from testkit.local_services.prometheus import prometheus

GRAFANA = Path(__file__).parents[2] / "grafana"
ALWAYS = "OwddWatchdog"
_SCRAPE = "1s"
_LOOK_SECONDS = 0.5
_LEAST_WAIT = 5.0
"""Seconds: a busy machine misses scrapes of a second, which says nothing about rules."""


@dataclass(frozen=True, slots=True)
class Active:
    """An alert that fires and is not kept back, and since when (seconds on the monotonic clock)."""

    name: str
    labels: Mapping[str, str]
    since: float


@dataclass
class AlertLog:
    """The alerts that fire at the Prometheus of ``url``, without those that ``inhibitions`` keep back.

    Attributes:
        patience: seconds that Alertmanager waits before it sends.
        sent: the names of those that were active for so long.
        lines: when each began and ended.
    """

    url: str
    patience: float
    inhibitions: tuple[Inhibition, ...]
    active: dict[tuple[tuple[str, str], ...], Active] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    async def follow(self) -> None:
        """Look for ever."""
        async with httpx.AsyncClient(base_url=self.url, timeout=10.0) as http:
            while True:
                answer = (await http.get("/api/v1/alerts")).raise_for_status()
                self.note([alert["labels"] for alert in answer.json()["data"]["alerts"] if alert["state"] == "firing"])
                await asyncio.sleep(_LOOK_SECONDS)

    def note(self, firing: list[dict[str, str]]) -> None:
        """The labels of all alerts that fire now."""
        now = time.monotonic()
        present = {
            tuple(sorted(labels.items())): labels
            for labels in firing
            if not any(rule.keeps_back(labels, firing) for rule in self.inhibitions)
        }
        for key in self.active.keys() - present.keys():
            gone = self.active.pop(key)
            self.lines.append(f"{now:.0f} over {dict(gone.labels)}")
        for key in present.keys() - self.active.keys():
            labels = present[key]
            self.active[key] = Active(labels["alertname"], labels, now)
            self.lines.append(f"{now:.0f} fires {labels}")
        self.sent |= {alert.name for alert in self.active.values() if now - alert.since >= self.patience}

    def firing(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether an alert of that name with at least these labels is active."""
        return any(alert.name == name and labels.items() <= alert.labels.items() for alert in self.active.values())

    async def until(self, condition: Callable[[], bool], patience: float) -> float | None:
        """Seconds until ``condition`` held; None: it did not within ``patience``."""
        started = time.monotonic()
        while not condition():
            if time.monotonic() - started > patience:
                return None
            await asyncio.sleep(_LOOK_SECONDS)
        return time.monotonic() - started


def rule(name: str) -> dict[str, Any]:
    """The rule of an alert, as it is shipped. Raises KeyError."""
    found = {rule.get("alert"): rule for group in _rules()["groups"] for rule in group["rules"]}
    return found[name]  # type: ignore[no-any-return]


@asynccontextmanager
async def watched(program: Path, directory: Path, targets: Mapping[str, str], speed: int) -> AsyncIterator[AlertLog]:
    """Prometheus scrapes ``targets`` every second, and its alerts are followed.

    Args:
        program: Prometheus.
        directory: does not exist; for its data.
        targets: role to host and port.
        speed: how many times faster than the shipped rules it goes.
    """
    routes = yaml.safe_load((GRAFANA / "alertmanager.yml").read_text())
    directory.mkdir()
    (directory / "rules.yml").write_text(yaml.safe_dump(shorter_rules(_rules(), speed, _SCRAPE)))
    config = {
        "global": {"scrape_interval": _SCRAPE, "scrape_timeout": _SCRAPE},
        "rule_files": [str(directory / "rules.yml")],
        "scrape_configs": [
            {
                "job_name": "owdd",
                "static_configs": [{"targets": [address], "labels": {"role": role}} for role, address in targets.items()],
            }
        ],
    }
    with prometheus(program, directory, config) as url:
        wait = max(_LEAST_WAIT, seconds(routes["route"]["group_wait"]) / speed)
        log = AlertLog(url, wait, tuple(Inhibition.of(rule) for rule in routes["inhibit_rules"]))
        following = asyncio.create_task(log.follow())
        try:
            yield log
        finally:
            following.cancel()
            await asyncio.wait([following])
            (directory / "alerts.log").write_text("\n".join(log.lines) + "\n")


def _rules() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((GRAFANA / "rules" / "owdd.yml").read_text())
    return found
