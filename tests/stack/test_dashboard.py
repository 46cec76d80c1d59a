"""The dashboard's file: every panel says what it shows, in which unit, and what to do; every metric has its place."""

import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from streams.observability.metrics import Metrics
from tests.stack.conftest import ROOT, Service
from tests.stack.dashboard import dashboard, panels, queries

PROVISIONING = ROOT / "grafana" / "provisioning"
_SUFFIXES = ("_total", "_bucket", "_count", "_sum", "_info")


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_in_which_unit_and_what_to_do(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len(panel["description"]) > 60
    assert re.search(r"[.:;] \w", panel["description"]), "what it shows, and then what to do"
    assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
    assert all(target["legendFormat"] and target["expr"] for target in panel["targets"])


def test_titles_and_ids_are_distinct_and_panels_do_not_overlap() -> None:
    everything = dashboard()["panels"]
    assert len({panel["title"] for panel in everything}) == len({panel["id"] for panel in everything}) == len(everything)
    for one, other in combinations((panel["gridPos"] for panel in everything), 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_every_metric_that_is_shown_exists_and_every_metric_that_exists_is_shown() -> None:
    exist = {family.name for family in Metrics().registry.collect() if family.name.startswith("owdd_")}
    shown = {_family(name) for query in queries() for name in query.metrics}
    assert shown - exist == set()
    # A count of batches tells an operator nothing that the changes in them do not.
    assert exist - shown == {"owdd_cycles"}


def test_grafana_finds_the_dashboard_and_the_data_source_in_the_stack(services: dict[str, Service]) -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "owdd.yml").read_text())["providers"]
    assert source["uid"] == "prometheus"
    assert source["url"] == f"http://prometheus:{services['prometheus']['ports'][0]['target']}"
    mounts = {volume["target"]: volume["source"] for volume in services["grafana"]["volumes"]}
    assert mounts[provider["options"]["path"]] == str(ROOT / "grafana" / "dashboards")
    assert mounts["/etc/grafana/provisioning"] == str(PROVISIONING)
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/lag-and-flow.json"


def test_grafana_knows_how_often_prometheus_looks() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    config = yaml.safe_load((ROOT / "grafana" / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]


def _family(name: str) -> str:
    """The name under which a sample's metric is registered."""
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name
