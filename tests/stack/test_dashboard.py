"""The dashboards' files: made from code, as Grafana's types are; every panel says what to do, every metric has its place."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from streams.observability.metrics import Metrics
from testkit.dashboards.__main__ import BOARDS
from testkit.dashboards.board import Panel, Query
from testkit.dashboards.build import rendered
from tests.stack.conftest import ROOT, Service
from tests.stack.dashboard import DIRECTORY, FILES, dashboards, panels, queries
from tests.stack.test_alerts import ALERTS

PROVISIONING = ROOT / "grafana" / "provisioning"
_SUFFIXES = ("_total", "_bucket", "_count", "_sum", "_info")
OF_CODE = [(board.title, panel) for board in BOARDS for panel in board.panels]


def test_the_files_are_those_of_the_code() -> None:
    assert {file.name: file.read_text("utf-8") for file in FILES} == {
        f"{board.uid}.json": rendered(board) for board in BOARDS
    }, "run make docs"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_grafanas_own_types_read_a_file_and_lose_nothing_of_it(file: Path) -> None:
    register_default_plugins()
    written = json.loads(file.read_text("utf-8"))
    assert json.loads(json.dumps(Dashboard.from_json(written), cls=JSONEncoder)) == written


@pytest.mark.parametrize(("board", "panel"), panels(), ids=lambda value: value["title"] if isinstance(value, dict) else value)
def test_a_panel_says_what_it_shows_in_which_unit_and_what_to_do(board: str, panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["noValue"]
    assert len(panel["description"]) > 60
    assert re.search(r"[.:;] \w", panel["description"]), "what it shows, and then what to do"
    assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
    assert all(target["legendFormat"] and target["expr"] for target in panel["targets"])


@pytest.mark.parametrize(("board", "panel"), OF_CODE, ids=lambda value: value.title if isinstance(value, Panel) else value)
def test_a_runbook_that_is_linked_exists(board: str, panel: Panel) -> None:
    assert not panel.alert or panel.alert in ALERTS


def test_titles_and_ids_are_distinct_and_panels_do_not_overlap() -> None:
    for board in dashboards():
        everything = board["panels"]
        assert len({panel["title"] for panel in everything}) == len({panel["id"] for panel in everything}) == len(everything)
        for one, other in combinations((panel["gridPos"] for panel in everything), 2):
            apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_every_metric_that_is_shown_exists_and_every_metric_that_exists_is_shown() -> None:
    exist = {family.name for family in Metrics().registry.collect() if family.name.startswith("owdd_")}
    shown = {_family(name) for query in queries() for name in query.metrics}
    assert shown - exist == set()
    # The mapping's digest is an annotation.
    assert exist - shown == {"owdd_mapping"}


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "runbooks").glob("*.md")), ids=lambda page: page.stem)
def test_a_page_names_only_panels_and_dashboards_that_exist(page: Path) -> None:
    titles = [board["title"] for board in dashboards()] + [panel["title"] for _, panel in panels()]
    text = re.sub(r"\s+", " ", page.read_text())
    for named in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", text):
        assert any(title.startswith(named) for title in titles), named


def test_variables_narrow_the_metrics_that_have_their_labels() -> None:
    narrowed = Query(
        'max by (topic) (owdd_consumer_lag_records{partition="0"}) + sum(rate(owdd_delivered_total[5m]))', ""
    ).narrowed()
    assert narrowed == (
        'max by (topic) (owdd_consumer_lag_records{partition="0", environment=~"$environment", instance=~"$instance",'
        ' group=~"$group", topic=~"$topic"}) + sum(rate(owdd_delivered_total{environment=~"$environment", instance=~"$instance"}[5m]))'
    )


def test_grafana_finds_the_dashboards_and_the_data_source_in_the_stack(services: dict[str, Service]) -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "owdd.yml").read_text())["providers"]
    assert source["uid"] == "prometheus"
    assert source["url"] == f"http://prometheus:{services['prometheus']['ports'][0]['target']}"
    mounts = {volume["target"]: volume["source"] for volume in services["grafana"]["volumes"]}
    assert mounts[provider["options"]["path"]] == str(DIRECTORY)
    assert mounts["/etc/grafana/provisioning"] == str(PROVISIONING)
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{BOARDS[0].uid}.json"


def test_grafana_knows_how_often_prometheus_looks() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    config = yaml.safe_load((ROOT / "grafana" / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]


def _family(name: str) -> str:
    """The name under which a sample's metric is registered."""
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name
