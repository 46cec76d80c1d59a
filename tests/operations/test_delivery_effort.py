"""How many calls a number of deliveries takes, and how long: by the budget, by the limits beside it, or by the connections."""

from datetime import UTC, datetime
from typing import Any

import pytest

from streams.dispatch.outbox.tasks import Work
from streams.mapping import Mapping, load_mapping
from streams.mapping.delivery import RefundEnrolment, RefundEvent
from streams.operations.delivery_effort import Effort, effort
from streams.settings import Settings

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
BUDGET: dict[str, Any] = {"budget_high": 3_000, "budget_low": 35}


def takes(due: dict[Work, int], follow_up: Any = None, **settings: Any) -> Effort:
    shipped = load_mapping()
    delivery = shipped.delivery.model_copy(update={"follow_up": follow_up})
    mapping: Mapping = shipped.model_copy(update={"delivery": delivery})
    return effort(Settings(**settings), mapping, due)


def test_nothing_takes_nothing() -> None:
    assert takes({}, **BUDGET) == Effort(0, 0, 0.0, limited=True)


def test_few_go_by_single_calls_in_the_first_minute() -> None:
    found = takes({Work.EXISTING: 85}, **BUDGET)
    assert (found.single_calls, found.imports, found.calls) == (85, 0, 85)
    assert found.seconds < 5


def test_many_go_by_imports_and_wait_for_the_minutes_that_these_need() -> None:
    found = takes({Work.NEW: 1_000_000}, **BUDGET, import_seconds=30)
    assert (found.single_calls, found.imports) == (0, 100)
    assert found.seconds == pytest.approx(240, abs=10)


def test_what_no_import_takes_waits_for_the_minutes_of_single_calls() -> None:
    found = takes({Work.ALONE: 30_000}, **BUDGET)
    assert (found.single_calls, found.imports) == (60_000, 0), "each is looked at first"
    assert found.seconds == pytest.approx(20 * 60, abs=61)


def test_imports_of_records_wait_for_each_other() -> None:
    by_contact = takes({Work.EXISTING: 400_000}, import_seconds=30)
    by_record = takes({Work.RECORD: 400_000}, import_seconds=30)
    assert by_contact.imports == by_record.imports == 40
    assert by_contact.seconds == pytest.approx(2 * 30, abs=2), "25 of contacts at once"
    assert by_record.seconds == pytest.approx(8 * 30, abs=2), "5 of records"


def test_follow_ups_share_calls_and_enrolments_have_hours() -> None:
    event, enrolment = RefundEvent(kind="event", since=SINCE), RefundEnrolment(kind="enrolment", since=SINCE, program=1)
    assert takes({Work.FOLLOW_UP: 1_000}, event, **BUDGET).single_calls == 1
    enrolled = takes({Work.FOLLOW_UP: 1_000}, enrolment, **BUDGET)
    assert (enrolled.single_calls, enrolled.seconds) == (40, 3600.0)


def test_an_account_with_the_old_limit_waits_for_hours() -> None:
    found = takes({Work.ALONE: 2_500}, budget_flat=2_000)
    assert (found.single_calls, found.seconds, found.limited) == (5_000, 2 * 3600.0, True)


def test_without_a_budget_the_connections_decide() -> None:
    found = takes({Work.LIST: 800}, dispatch_connections=8)
    assert (found.single_calls, found.seconds, found.limited) == (800, 10.0, False)
