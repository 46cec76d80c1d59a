"""An ERP edits an order by deleting its lines and inserting them anew: what was given back stays with the order."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.messages.changes import ChangeKind
from tests.agents.memory import interleaved
from tests.agents.pipeline import ANN, LOOKUP, Pipeline, Step, customer, header, line, of_order, total

ORDER, CREDIT, OTHER = 10, 20, 11
SHOP = LOOKUP + customer(1, ANN) + header(ORDER) + total(ORDER)
LINES = [line(ORDER, 100, variant=5, quantity="2", net="7.50"), line(ORDER, 101, variant=6, quantity="1", net="2.50")]
GIVEN_BACK = header(CREDIT, sort=4) + total(CREDIT, "3") + line(CREDIT, 200, 100, net="3")
DELETED = [of_order(ChangeKind.LINE, ORDER, pk, None, 2) for pk in (100, 101)]
ANEW = [
    line(ORDER, 110, variant=5, quantity="2", net="7.50", at=2),
    line(ORDER, 111, variant=6, quantity="1", net="2.50", at=2),
]


def assert_the_credit_is_with_the_order(pipeline: Pipeline) -> None:
    shown = pipeline.record(ANN, f"SO{ORDER}")
    assert (shown["order_status"], shown["refund_total"], shown["order_total"]) == ("part_refunded", "3.00", "7.00")
    assert [product["product_id"] for product in shown["products"]] == ["5", "6"]
    contact = pipeline.contact(ANN)
    assert (contact["OW_REFUND_COUNT"], contact["OW_REFUND_TOTAL"], contact["OW_TOTAL_SPEND"]) == (1, 3.0, 7.0)
    assert pipeline.orders.held.counts() == pipeline.orders.held.counts(frozen=True) == {}


@pytest.mark.parametrize(
    "steps",
    [
        [*LINES, GIVEN_BACK, *DELETED, *ANEW],
        [*LINES, GIVEN_BACK, *ANEW, *DELETED],
        [*LINES, *DELETED, *ANEW, GIVEN_BACK],
        [*LINES, *DELETED, GIVEN_BACK, *ANEW],
        [GIVEN_BACK, *LINES, *DELETED, *ANEW],
    ],
    ids=["live before", "inserted first", "credited afterwards", "credited in between", "the credit came first"],
)
@pytest.mark.parametrize("together", [True, False])
def test_lines_that_are_deleted_and_inserted_anew_keep_the_credit(steps: Sequence[Step], together: bool) -> None:
    pipeline = Pipeline().pump(SHOP)
    for batch in [steps] if together else [[step] for step in steps]:
        pipeline.pump(*batch)
    assert_the_credit_is_with_the_order(pipeline)
    pipeline.restart()
    # A change of the credit note finds the order by what the state remembers.
    pipeline.pump(total(CREDIT, "4", at=3), line(CREDIT, 200, 100, net="4", at=3))
    assert pipeline.record(ANN, f"SO{ORDER}")["refund_total"] == "4.00"


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_in_any_interleaving_and_after_crashes(seed: int) -> None:
    random = Random(seed)
    pipeline = Pipeline().pump(SHOP)
    lines = [[made, deleted] for made, deleted in zip(LINES, DELETED, strict=True)]
    pipeline.feed(*interleaved([*lines, [GIVEN_BACK], [ANEW[0]], [ANEW[1]]], random))
    pipeline.pump_badly(random, crashes=3)
    assert_the_credit_is_with_the_order(pipeline)


def test_a_line_that_moved_before_it_was_deleted_gives_back_to_the_order_that_had_it_last() -> None:
    pipeline = Pipeline().pump(SHOP, header(OTHER), total(OTHER), *LINES, GIVEN_BACK)
    pipeline.pump(line(OTHER, 100, at=2, former=ORDER), of_order(ChangeKind.LINE, OTHER, 100, None, 3))
    assert pipeline.record(ANN, f"SO{OTHER}")["refund_total"] == "3.00"
    assert pipeline.record(ANN, f"SO{ORDER}")["refund_total"] == "0.00"


def test_a_line_that_never_was_is_no_order_s() -> None:
    pipeline = Pipeline().pump(SHOP, *LINES, header(CREDIT, sort=4), total(CREDIT, "3"), line(CREDIT, 200, 999, net="3"))
    assert pipeline.orders.held.counts() == {"credit_without_order": 1}
    assert pipeline.contact(ANN)["OW_REFUND_COUNT"] == 0
