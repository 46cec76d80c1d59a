"""The dashboard, as its file says."""

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.stack.conftest import ROOT

FILE = ROOT / "grafana" / "dashboards" / "lag-and-flow.json"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of one panel."""

    panel: str
    expression: str

    def over(self, interval: str) -> str:
        """The expression with Grafana's variable filled in."""
        return self.expression.replace("$__rate_interval", interval)

    @property
    def metrics(self) -> set[str]:
        """Names of our metrics in it."""
        return set(re.findall(r"\bowdd_\w+", self.expression))


def dashboard() -> dict[str, Any]:
    """All of it."""
    found: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    """What shows data: all panels but the rows' headings."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> list[Query]:
    """Every expression."""
    return [Query(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]
