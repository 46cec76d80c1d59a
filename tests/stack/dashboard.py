"""The dashboards, as their files say."""

import json
import re
from dataclasses import dataclass
from typing import Any

from testkit.dashboards.board import VARIABLES
from tests.stack.conftest import ROOT

DIRECTORY = ROOT / "grafana" / "dashboards"
FILES = sorted(DIRECTORY.glob("*.json"))


@dataclass(frozen=True, slots=True)
class Shown:
    """One expression of one panel, alert or rule."""

    where: str
    expression: str

    def over(self, interval: str) -> str:
        """The expression with Grafana's variables filled in: everything of everybody."""
        filled = self.expression.replace("$__rate_interval", interval)
        for name in VARIABLES:
            filled = filled.replace(f"${name}", ".*")
        return filled

    @property
    def metrics(self) -> set[str]:
        """Names of our metrics in it."""
        return set(re.findall(r"\bowdd_\w+", self.expression))


def dashboards() -> list[dict[str, Any]]:
    """All of them."""
    return [json.loads(file.read_text("utf-8")) for file in FILES]


def panels() -> list[tuple[str, dict[str, Any]]]:
    """What shows data, with the title of its dashboard: all panels but the rows' headings."""
    return [(board["title"], panel) for board in dashboards() for panel in board["panels"] if panel["type"] != "row"]


def queries() -> list[Shown]:
    """Every expression of every panel."""
    return [Shown(f"{board}: {panel['title']}", target["expr"]) for board, panel in panels() for target in panel["targets"]]


def events() -> list[Shown]:
    """Every expression of every annotation."""
    return [
        Shown(f"{board['title']}: {event['name']}", event["expr"])
        for board in dashboards()
        for event in board["annotations"]["list"]
    ]
