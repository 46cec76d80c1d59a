"""Alert rules: valid, tested by promtool on series that fire and that do not, explained by a page, and sent to the right people."""

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from streams.cli import app
from streams.observability.metrics import Metrics
from tests.stack.conftest import ROOT, PrometheusPrograms

RULES = ROOT / "grafana" / "rules" / "owdd.yml"
TESTS = RULES.with_name("owdd.test.yml")
ROUTES = ROOT / "grafana" / "alertmanager.yml"
RUNBOOKS = ROOT / "docs" / "runbooks"
SECTIONS = ["Meaning", "Impact", "Look", "Do"]
CLASSES = {"data", "connectivity", "configuration", "waiting"}
OF_THE_SERIES = "{{ $labels.class }}"
"""The class that each series of what is set aside brings along."""
_OF_THE_REST = re.compile(r"\b(?:owdd|process)_\w+")
_SUFFIXES = ("_total", "_bucket", "_count", "_info")


def rules(kind: str) -> list[dict[str, Any]]:
    """Every ``alert`` or every ``record``."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


ALERTS = {rule["alert"]: rule for rule in rules("alert")}


def promtool(programs: PrometheusPrograms, *arguments: str | Path) -> None:
    done = subprocess.run([programs.promtool, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_rules_and_they_do_what_their_tests_say(prometheus_programs: PrometheusPrograms) -> None:
    promtool(prometheus_programs, "check", "rules", RULES)
    promtool(prometheus_programs, "test", "rules", TESTS)


def test_every_alert_is_seen_firing_and_silent() -> None:
    seen: dict[str, set[bool]] = defaultdict(set)
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for check in test["promql_expr_test"]:
            (alert,) = re.findall(r'alertname="(\w+)"', check["expr"])
            seen[alert].add(check["exp_samples"][0]["value"] > 0)
    # The watchdog is there to fire always.
    assert seen == {name: {True} if name == "OwddWatchdog" else {True, False} for name in ALERTS}


def test_every_metric_in_a_rule_exists() -> None:
    exist = {family.name for family in Metrics().registry.collect()}
    used = {name for rule in rules("expr") for name in _OF_THE_REST.findall(rule["expr"]) if ":" not in name}
    for name in used:
        base = name
        for suffix in _SUFFIXES:
            base = base.removesuffix(suffix)
        assert base in exist or name in exist, name


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_classed_and_its_page_has_every_section(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert alert["labels"]["class"] in {*CLASSES, OF_THE_SERIES}
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    board = alert["annotations"]["dashboard_url"].removeprefix("/d/")
    assert json.loads((ROOT / "grafana" / "dashboards" / f"{board}.json").read_text())["uid"] == board
    page = (RUNBOOKS / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    assert re.search(r"^It is about \*\*(\w+)\*\*", page, re.MULTILINE)
    assert alert["labels"]["class"] == OF_THE_SERIES or f"**{alert['labels']['class']}**" in page


def test_every_page_belongs_to_an_alert() -> None:
    assert {page.stem for page in RUNBOOKS.glob("Owdd*.md")} == set(ALERTS)


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_names_only_commands_metrics_and_pages_that_exist(page: Path) -> None:
    text = page.read_text()
    for command in re.findall(r"`owdd ([a-z][^`]*)`", text):
        words = [word for word in re.split(r"\s+", command) if word != "…"]
        asked = [word if word.startswith("-") or word.islower() else "x" for word in words]
        done = CliRunner().invoke(app, [*asked, "--help"])
        assert done.exit_code == 0, f"owdd {command}: {done.output}"
    exist = {family.name for family in Metrics().registry.collect()}
    for name in re.findall(r"`(owdd_\w+)", text):
        assert name.removesuffix("_total") in exist, name
    for target, heading in re.findall(r"\]\(([^)#]+)#?([^)]*)\)", text):
        other = (page.parent / target).read_text()
        headings = {
            re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-")
            for line in re.findall(r"^#+ (.+)$", other, re.MULTILINE)
        }
        assert not heading or heading in headings, f"{target}#{heading}"


class TestRouting:
    def test_alertmanager_accepts_the_example(self, amtool: Path) -> None:
        done = subprocess.run([amtool, "check-config", ROUTES], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        ("name", "trouble"),
        [
            (name, trouble)
            for name, alert in ALERTS.items()
            for trouble in (sorted(CLASSES) if alert["labels"]["class"] == OF_THE_SERIES else [alert["labels"]["class"]])
        ],
    )
    def test_data_goes_to_marketing_the_rest_to_engineers_and_critical_alerts_to_the_person_on_duty(
        self, amtool: Path, name: str, trouble: str
    ) -> None:
        labels = ALERTS[name]["labels"] | {"alertname": name, "class": trouble}
        command = [
            str(amtool),
            "config",
            "routes",
            "test",
            f"--config.file={ROUTES}",
            *(f"{key}={value}" for key, value in labels.items()),
        ]
        sent = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().split(",")
        expected = ["on-duty"] if labels["severity"] == "critical" else []
        expected += ["marketing"] if labels["class"] == "data" else []
        if name == "OwddWatchdog":
            expected = ["dead-man"]
        assert sent == (expected or ["engineers"])

    def test_what_is_inhibited_exists(self) -> None:
        for rule in yaml.safe_load(ROUTES.read_text())["inhibit_rules"]:
            for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
                if not matcher.startswith("alertname"):
                    continue
                pattern = re.split(r"=~?", matcher, maxsplit=1)[1].strip().strip('"')
                for name in pattern.split("|"):
                    assert any(re.fullmatch(name, alert) for alert in ALERTS), name
