"""What the pages say of numbers that are known, old, or not all there: they are rendered as the console renders them."""

import re
from dataclasses import replace
from html import unescape
from typing import Any

import msgspec
import pytest

from streams.console.filters import SetAsideFilter
from streams.console.overview import Snapshot
from streams.console.rendering import Templates
from streams.messages.reconciliations import ReconcileRun
from streams.operations.day_counts import HOURS, DayCounts
from streams.operations.status import Capture, FromWorkers
from tests.operations.test_status import WELL

NOW = WELL.at
NONE = [0] * HOURS
RIGHT = Snapshot(NOW, WELL, DayCounts([NOW - hour * 3_600_000 for hour in reversed(range(HOURS))], NONE, NONE, NONE), [], None)


def shown(template: str, found: Snapshot, error: str | None = None) -> str:
    values: dict[str, Any] = {"now": NOW, "found": found, "status": found.status, "error": error, "path": "/", "reader": "ann"}
    if template == "set-aside.html":
        values |= {"filter": SetAsideFilter(), "groups": []}
    page = Templates("Europe/London").page(template, values)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", bytes(page.body).decode())).split())


def test_all_that_is_known_to_be_right_is_called_right() -> None:
    today = shown("today.html", RIGHT)
    assert "Yes: Dotdigital follows Orderwise" in today
    assert "Nothing. Every change was read" in today
    assert "Nothing is set aside." in shown("set-aside.html", RIGHT)


@pytest.mark.parametrize(
    "found",
    [
        replace(RIGHT, gaps=["Held documents: no workers are named."]),
        replace(RIGHT, status=replace(WELL, workers=FromWorkers())),
        replace(RIGHT, status=replace(WELL, capture=Capture())),
        replace(RIGHT, status=replace(WELL, capture=Capture(row=600.0, connector=3.0))),
    ],
)
def test_what_is_not_known_is_not_called_right(found: Snapshot) -> None:
    today = shown("today.html", found)
    assert "Not known: " in today
    assert "Yes" not in today


def test_an_empty_list_with_gaps_is_not_called_empty() -> None:
    found = replace(RIGHT, gaps=["Held documents: no workers are named."])
    for template in ("today.html", "set-aside.html"):
        assert "Every change was read" not in shown(template, found)
        assert "Not known: not everything could be read." in shown(template, found)


def test_today_shows_how_the_last_complete_comparison_ended_and_when() -> None:
    assert "It was not compared with what was delivered yet." in shown("today.html", RIGHT)
    run = ReconcileRun(id="a", by="kim", asked=NOW, state="done", ended=NOW - 7_200_000)
    assert "Compared with what was delivered 2.0 h ago" in shown("today.html", replace(RIGHT, compared=run))
    assert "no difference." in shown("today.html", replace(RIGHT, compared=run))
    drift = {"order_missing": 1_200, "fields_stale": 2}
    found = msgspec.structs.replace(run, drift=drift, healed=1_202, unsettled=1, unchecked=2)
    today = shown("today.html", replace(RIGHT, compared=found))
    assert "1,202 differences (fields_stale 2, order_missing 1,200); 1,202 were sent again; 3 could not be judged." in today
    assert "owdd reconcile --show" in today


@pytest.mark.parametrize("template", ["today.html", "set-aside.html"])
def test_old_numbers_give_no_verdict(template: str) -> None:
    page = shown(template, RIGHT, "TimeoutError: ")
    assert "These numbers are old" in page
    assert "Yes" not in page and "Every change was read" not in page
