"""What an account has spent, and what an order's record shows of it, where orders are cancelled, free, or credited."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from tests.agents.pipeline import ANN, LOOKUP, Pipeline, Step, detail, header, line, of_order, status, total
from tests.agents.test_records import ACCOUNT, SHOP, WORDS, credit, refund


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


GBP, EUR = 1, 2
"""The reporting currency, and one of half its value."""


@dataclass(frozen=True)
class Case:
    """An order of 10 with credit notes of so much in a currency, and what must come of it."""

    order: tuple[str, int]
    credits: tuple[tuple[str, int], ...]
    record: tuple[str, str, str]
    spend: tuple[object, ...]
    cancelled: bool = False

    def steps(self) -> list[Step]:
        net, currency = self.order
        found = [LOOKUP, status(3, "cancelled"), ACCOUNT, WORDS, total(10, net), detail(10, None, currency)]
        found += [header(10, status=3 if self.cancelled else 1), line(10, 100, variant=5, quantity="1", net=net)]
        for pk, (amount, its) in enumerate(self.credits, 20):
            found += [credit(pk, amount, (100, amount)), detail(pk, None, its)]
        return found


CASES = {
    "credited in full": Case(("10", GBP), (("10", GBP),), ("refunded", "10.00", "0.00"), (1, 0, 1, 10, True)),
    "cancelled and credited": Case(
        ("10", GBP), (("10", GBP),), ("cancelled", "10.00", "0.00"), (0, 0, 0, 0, False), cancelled=True
    ),
    "cancelled and credited in two": Case(
        ("10", GBP), (("4", GBP), ("6", GBP)), ("cancelled", "10.00", "0.00"), (0, 0, 0, 0, False), cancelled=True
    ),
    "cancelled abroad": Case(("10", EUR), (("5", GBP),), ("cancelled", "10.00", "0.00"), (0, 0, 0, 0, False), cancelled=True),
    "a third, rounded": Case(("33.3333", GBP), (("33.33", GBP),), ("refunded", "33.33", "0.00"), (1, 0.0, 1, 33.33, True)),
    "a third abroad": Case(("33.3333", EUR), (("33.33", EUR),), ("refunded", "33.33", "0.00"), (1, 0.0, 1, 16.67, True)),
    "abroad, given back at home": Case(("10", EUR), (("5", GBP),), ("refunded", "10.00", "0.00"), (1, 0, 1, 5, True)),
    "at home, given back abroad": Case(("10", GBP), (("20", EUR),), ("refunded", "10.00", "0.00"), (1, 0, 1, 10, True)),
    "more than it was": Case(("10", GBP), (("12.5", GBP),), ("refunded", "12.50", "0.00"), (1, -2.5, 1, 12.5, True)),
    "in parts": Case(("10", GBP), (("2.5", GBP), ("3", GBP)), ("part_refunded", "5.50", "4.50"), (1, 4.5, 2, 5.5, True)),
    "in parts, in full": Case(
        ("10", GBP), (("3.33", GBP),) * 2 + (("3.34", GBP),), ("refunded", "10.00", "0.00"), (1, 0, 3, 10, True)
    ),
    "of nothing": Case(("10", GBP), (("0", GBP),), ("open", "0.00", "10.00"), (1, 10, 0, 0, False)),
    "of next to nothing abroad": Case(("10", GBP), (("0.008", EUR),), ("open", "0.00", "10.00"), (1, 10, 0, 0, False)),
    "of an order of nothing": Case(("0", GBP), (("0", GBP),), ("open", "0.00", "0.00"), (1, 0, 0, 0, False)),
}


def shown(pipeline: Pipeline) -> tuple[object, ...]:
    return pipeline.content(), {place: json.loads(record) for place, record in pipeline.records().items()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
class TestCases:
    @pytest.mark.parametrize("seed", range(4))
    def test_money_is_right_whichever_row_came_first(self, case: Case, seed: int) -> None:
        pipeline = Pipeline()
        for step in Random(seed).sample(steps := case.steps(), len(steps)):
            pipeline.pump(step)
        assert refund(pipeline) == case.record
        assert spend(pipeline) == case.spend

    def test_it_stays_right_when_the_words_are_lost_and_state_is_rebuilt(self, case: Case) -> None:
        pipeline = Pipeline().pump(*case.steps())
        before = shown(pipeline)
        pipeline.pump(status(1, None, 8), status(3, "no such word", 8), of_order(total(20)[0][1].kind, 20, 20, None, 8))
        assert shown(pipeline) == before
        assert shown(pipeline.rebuilt()) == before

    def test_what_is_taken_back_counts_no_more(self, case: Case) -> None:
        gone = [of_order(header(20)[0][1].kind, pk, pk, None, 8) for pk, _ in enumerate(case.credits, 20)]
        pipeline = Pipeline().pump(*case.steps()).pump(*gone)
        without = Pipeline().pump(*Case(case.order, (), case.record, case.spend, case.cancelled).steps())
        assert shown(pipeline) == shown(without)
