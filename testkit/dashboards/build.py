"""Grafana's JSON of a board, made with Grafana's own types."""

import json
from collections.abc import Iterator
from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as types

from testkit.dashboards.board import VARIABLES, Board, Panel, Query

_SOURCE: Final = types.DataSourceRef(type_val="prometheus", uid="prometheus")
_RUNBOOKS: Final = "docs/runbooks"
"""Where the pages of alerts are, unless the site changes the variable."""
_HEIGHTS: Final = {"stat": 4, "timeseries": 8}
_EVENTS: Final = {
    "Deploys": ("blue", "count by (version) (owdd_build_info) unless count by (version) (owdd_build_info offset 5m)"),
    "Starts of workers": ("orange", 'changes(process_start_time_seconds{job="owdd"}[2m]) > 0'),
    "Rebalances": ("yellow", "sum by (group) (increase(owdd_rebalances_total[2m])) > 0"),
    "Changes of the mapping": ("purple", "count by (digest) (owdd_mapping) unless count by (digest) (owdd_mapping offset 5m)"),
}
"""What happened, drawn over every panel: its colour and expression."""


def rendered(board: Board) -> str:
    """The file of a board."""
    return json.dumps(_dashboard(board).build(), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def events() -> Iterator[Query]:
    """The expressions of the annotations."""
    return (Query(expression, name) for name, (_, expression) in _EVENTS.items())


def _dashboard(board: Board) -> dashboard.Dashboard:
    made = dashboard.Dashboard(board.title).uid(board.uid).description(board.description).tags(["owdd"]).readonly()
    made.tooltip(types.DashboardCursorSync.CROSSHAIR).refresh("10s").time("now-1h", "now").timezone("browser")
    made.link(_link("All dashboards of owdd").type(types.DashboardLinkType.DASHBOARDS).tags(["owdd"]).as_dropdown(True))
    for label in VARIABLES:
        made.with_variable(_variable(label))
    made.with_variable(dashboard.ConstantVariable("runbooks").value(_RUNBOOKS))
    for name, (colour, expression) in _EVENTS.items():
        narrowed = Query(expression, name).narrowed()
        made.annotation(
            dashboard.AnnotationQuery().name(name).datasource(_SOURCE).enable(True).icon_color(colour).expr(narrowed)
        )
    number = 0
    for row in board.rows:
        number += 1
        made.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            made.with_panel(_panel(panel).id(number))
    return made


def _link(title: str) -> dashboard.DashboardLink:
    return dashboard.DashboardLink(title).keep_time(True).include_vars(True)


def _variable(label: str) -> dashboard.QueryVariable:
    made = dashboard.QueryVariable(label).datasource(_SOURCE).query(f"label_values({VARIABLES[label]}, {label})")
    made.current(types.VariableOption(text="All", value="$__all")).multi(True).include_all(True).all_value(".*")
    return made.refresh(types.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(types.VariableSort.ALPHABETICAL_ASC)


def _panel(panel: Panel) -> Any:
    """One of the SDK's panels; its builders share their methods, and no type."""
    made: Any = stat.Panel() if panel.kind == "stat" else _lines()
    made.title(panel.title).description(panel.description).unit(panel.unit).datasource(_SOURCE).min(0)
    made.span(panel.width).height(_HEIGHTS[panel.kind]).no_value("nothing").thresholds(_thresholds(panel))
    if panel.kind == "stat":
        made.color_mode(options.BigValueColorMode.BACKGROUND if panel.limits else options.BigValueColorMode.NONE)
    elif panel.limits:
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.LINE))
    if panel.alert:
        page = dashboard.DashboardLink(f"Runbook: {panel.alert}").url(f"${{runbooks}}/{panel.alert}.md").target_blank(True)
        made.links([page.type(types.DashboardLinkType.LINK)])
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.narrowed()).legend_format(query.legend).ref_id(chr(ord("A") + number))
        made.with_target(target.instant() if panel.kind == "stat" else target.range())
    return made


def _lines() -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(options.LegendDisplayMode.TABLE).placement(options.LegendPlacement.BOTTOM)
    tooltip = common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING)
    lines = timeseries.Panel().line_width(1).fill_opacity(5)
    return lines.legend(legend.show_legend(True).calcs(["lastNotNull", "max"])).tooltip(tooltip)


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    colours = (
        ["red", "green"] if panel.low_is_bad else ["green", "orange", "red"] if len(panel.limits) > 1 else ["green", "red"]
    )
    steps = zip((None, *panel.limits), colours, strict=False)
    made = dashboard.ThresholdsConfig().mode(types.ThresholdsMode.ABSOLUTE)
    return made.steps([types.Threshold(value=value, color=colour) for value, colour in steps])
