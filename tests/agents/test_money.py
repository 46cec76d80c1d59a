"""What an account has spent, and what an order's record shows of it, where orders are cancelled, free, or credited."""

from typing import Any

import pytest

from tests.agents.pipeline import ANN, Pipeline, header, line, status, total
from tests.agents.test_records import SHOP, credit, refund


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


def spend(pipeline: Pipeline) -> tuple[Any, ...]:
    found = pipeline.contact(ANN)
    return tuple(
        found[name] for name in ("OW_ORDER_COUNT", "OW_TOTAL_SPEND", "OW_REFUND_COUNT", "OW_REFUND_TOTAL", "OW_REFUNDED")
    )


@pytest.mark.parametrize("cancelled_first", [True, False])
def test_an_order_that_is_cancelled_and_credited_counts_once(pipeline: Pipeline, cancelled_first: bool) -> None:
    steps = [header(10, status=3, at=2), credit(20, "10", (100, "7.50"), (101, "2.50"))]
    for step in steps if cancelled_first else reversed(steps):
        pipeline.pump(SHOP, status(3, "cancelled"), step)
    assert spend(pipeline) == (0, 0, 0, 0, False)
    pipeline.pump(header(10, at=3))
    assert spend(pipeline) == (1, 0, 1, 10, True)


def test_of_a_credit_note_over_two_orders_the_part_of_the_cancelled_one_does_not_count(pipeline: Pipeline) -> None:
    eleven = header(11) + total(11, "4") + line(11, 110, variant=5)
    pipeline.pump(SHOP, eleven, credit(20, "9", (100, "5"), (110, "4")), status(3, "cancelled"), header(10, status=3, at=2))
    assert spend(pipeline) == (1, 0, 1, 4, True)


def test_a_credit_note_of_nothing_is_no_refund_and_a_free_replacement_no_part_of_the_average(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, credit(20, "0.004", (100, "0.004")), header(11), total(11, "0"))
    assert spend(pipeline) == (2, 10, 0, 0, False)
    assert pipeline.contact(ANN)["OW_AOV"] == 10


def test_several_credit_notes_may_give_back_more_than_the_order(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, credit(20, "4", (100, "4")), credit(21, "4", (100, "4")), credit(22, "4", (101, "4")))
    assert refund(pipeline) == ("refunded", "12.00", "0.00")
    assert spend(pipeline) == (1, -2, 3, 12, True)
