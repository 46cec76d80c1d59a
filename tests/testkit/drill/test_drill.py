"""What drills are made of: shorter rules, alerts that are kept back, and a table of the newest results."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from testkit.drill.alerts import GRAFANA, AlertLog, rule
from testkit.drill.cases import CASES
from testkit.drill.inhibition import Inhibition, Matcher
from testkit.drill.play import Outcome
from testkit.drill.results import BLOCK, render, result_of
from testkit.drill.shorter import seconds, shorter_rules

RULES = yaml.safe_load((GRAFANA / "rules" / "owdd.yml").read_text())
ROUTES = yaml.safe_load((GRAFANA / "alertmanager.yml").read_text())
ALERTS = {rule["alert"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
GOOD = Outcome(promise=120, fired=62, as_shipped=62, resolved=3, others=())


def rules_of(speed: int) -> dict[str, dict[str, Any]]:
    groups = shorter_rules(RULES, speed, "1s")["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_waits_and_windows_are_divided_and_thresholds_are_not() -> None:
    found = rules_of(10)
    assert found["OwddFrozen"]["for"] == "90s"
    assert "[60s]" in found["OwddDotdigitalFails"]["expr"]
    assert "> 120" in found["OwddCaptureStalled"]["expr"]


def test_at_its_own_speed_a_rule_is_what_is_shipped() -> None:
    for name, found in rules_of(1).items():
        assert seconds(found.get("for", "0s")) == seconds(rule(name).get("for", "0s"))


def test_a_range_keeps_enough_points_for_a_rate() -> None:
    assert rules_of(100)["OwddAccessRefused"]["expr"].count("[5s]") == 2


@pytest.mark.parametrize("name", CASES)
def test_a_case_expects_alerts_that_exist(name: str) -> None:
    case = CASES[name]
    assert {case.alert, *case.also} <= ALERTS


def test_every_inhibition_of_the_example_is_understood() -> None:
    rules = [Inhibition.of(rule) for rule in ROUTES["inhibit_rules"]]
    down = {"alertname": "OwddRoleDown", "role": "agents"}
    follows = {"alertname": "OwddWorkerDown", "instance": "a"}
    assert any(rule.keeps_back(follows, [down, follows]) for rule in rules)
    assert not any(rule.keeps_back(follows, [follows]) for rule in rules)
    assert not any(rule.keeps_back(down, [down, follows]) for rule in rules)


def test_labels_that_must_be_equal_decide() -> None:
    found = Inhibition.of(
        {"source_matchers": ["alertname = A"], "target_matchers": ['alertname =~ "B|C"'], "equal": ["cause"]},
    )
    firing = [{"alertname": "A", "cause": "x"}]
    assert found.keeps_back({"alertname": "C", "cause": "x"}, firing)
    assert not found.keeps_back({"alertname": "C", "cause": "y"}, firing)


def test_what_is_source_and_target_keeps_nothing_back_of_its_kind() -> None:
    found = Inhibition.of({"source_matchers": ["severity = critical"], "target_matchers": ["severity = critical"]})
    assert not found.keeps_back({"severity": "critical", "alertname": "A"}, [{"severity": "critical", "alertname": "B"}])


def test_a_matcher_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match="no matcher"):
        Matcher.parse("alertname")


def test_an_alert_is_sent_once_it_was_active_for_the_wait() -> None:
    log = AlertLog("", 0.0, ())
    log.note([{"alertname": "A", "role": "x"}])
    assert log.firing("A", {"role": "x"})
    assert not log.firing("A", {"role": "y"})
    assert log.sent == {"A"}
    slow = AlertLog("", 60.0, ())
    slow.note([{"alertname": "A"}])
    slow.note([])
    assert slow.sent == set()
    assert [line.split()[1] for line in slow.lines] == ["fires", "over"]


def test_the_table_has_the_newest_result_of_each_case_and_names_what_was_not_drilled() -> None:
    none = replace(GOOD, fired=None, as_shipped=None, resolved=None)
    others = replace(GOOD, others=("OwddFrozen",))
    text = render([result_of("agents", "abc", none), result_of("agents", "abd", GOOD), result_of("dispatch", "abd", others)])
    assert "**not at all**" not in text
    assert "| agents is stopped | [OwddRoleDown](runbooks/OwddRoleDown.md) | 2.0 min | 62 s | 62 s | 3 s | none |" in text
    assert "| OwddFrozen |" in text
    assert "not as promised: dispatch." in text
    assert "Not drilled yet: ingest, heartbeat" in text


def test_what_came_late_or_did_not_end_is_not_as_promised() -> None:
    assert GOOD.clean
    assert not replace(GOOD, as_shipped=121).clean
    assert not replace(GOOD, resolved=None).clean
    assert not replace(GOOD, before=("OwddFrozen",)).clean


def test_operations_has_the_block() -> None:
    text = (GRAFANA.parent / "docs" / "operations.md").read_text("utf-8")
    assert BLOCK.begin in text
    assert BLOCK.end in text
