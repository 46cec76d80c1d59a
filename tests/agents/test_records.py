"""Order records, credits and follow-ups through the stages: whose they are, what they show, and that they come to rest."""

import json
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.lanes import FEW, Lane
from streams.domain.versioned import version_bytes
from streams.mapping.delivery import Delivery, OrderRecords
from streams.messages.changes import Change, ChangeKind, RecipientsReply
from streams.messages.kinds import FollowUpDeliveredChange, RecipientsReplyChange, ResendRequestChange
from tests.agents.arrivals import shops
from tests.agents.memory import interleaved
from tests.agents.pipeline import (
    ANN,
    BOB,
    EVE,
    HOUSE,
    LOOKUP,
    MAPPING,
    TOPICS,
    Pipeline,
    Step,
    customer,
    despatch,
    detail,
    header,
    item,
    line,
    of_order,
    person,
    returned,
    status,
    total,
)

ACCOUNT = customer(1, ANN)
SHIRT = line(10, 100, variant=5, quantity="2", net="7.50")
HAT = line(10, 101, variant=6, quantity="1", net="2.50")
ORDER = header(10) + total(10) + SHIRT + HAT
WORDS = item(5, "SHIRT-M", "Shirt", 50) + item(6, "HAT", "Hat", 60)
SHOP = LOOKUP + ACCOUNT + WORDS + ORDER


def credit(pk: int, net: str, *of: tuple[int, str], at: int = 1, **fields: Any) -> Step:
    """A credit note over lines of orders, each with what it gives back."""
    given_back = [line(pk, 1000 * pk + original, original, net=amount) for original, amount in of]
    return [*header(pk, sort=4, at=at, **fields), *total(pk, net), *[published for step in given_back for published in step]]


def refund(pipeline: Pipeline, key: str = "SO10", email: str = ANN) -> tuple[str, str, str]:
    found = pipeline.record(email, key)
    return found["order_status"], found["refund_total"], found["order_total"]


def test_an_accounts_order_shows_with_its_first_address(pipeline: Pipeline) -> None:
    assert pipeline.pump(SHOP).record(ANN, "SO10") == {
        "id": "SO10",
        "order_status": "open",
        "purchase_date": "2023-11-14T22:13:30Z",
        "currency": "GBP",
        "tax_included": False,
        "order_subtotal": "10.00",
        "other_total": "0.00",
        "refund_total": "0.00",
        "order_total": "10.00",
        "products": [
            {"product_id": "5", "parent_id": "50", "sku": "SHIRT-M", "name": "Shirt", "price": "3.75"}
            | {"quantity": "2.0", "qty": 2, "line_total": "7.50", "returned_qty": "0.0", "refunded": False},
            {"product_id": "6", "parent_id": "60", "sku": "HAT", "name": "Hat", "price": "2.50"}
            | {"quantity": "1.0", "qty": 1, "line_total": "2.50", "returned_qty": "0.0", "refunded": False},
        ],
    }
    assert pipeline.contact(ANN)["OW_LAST_SKUS"] == "SHIRT-M, HAT"


def test_a_house_order_shows_with_its_own_address_and_asks_nobody(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, header(10, HOUSE), total(10), detail(10, BOB))
    assert pipeline.records().keys() == {(BOB, "SO10")}
    assert not pipeline.counts[ChangeKind.RECIPIENTS_QUERY] and not pipeline.counts[ChangeKind.RECIPIENTS_REPLY]


@pytest.mark.parametrize(("own", "owner"), [(EVE, EVE), (None, ANN)])
def test_the_orders_own_address_counts_if_it_is_among_the_accounts(pipeline: Pipeline, own: str | None, owner: str) -> None:
    pipeline.pump(LOOKUP, customer(1), person(1, 1, ANN), person(2, 1, EVE), ORDER, detail(10, own))
    assert pipeline.records().keys() == {(owner, "SO10")}


def test_another_own_address_is_looked_up_again(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, customer(1), person(1, 1, ANN), person(2, 1, EVE), ORDER, detail(10, BOB)).pump(detail(10, EVE, at=2))
    assert pipeline.records().keys() == {(EVE, "SO10")}


def test_records_move_when_the_accounts_addresses_change(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, header(11), total(11)).pump(person(1, 1, EVE))
    assert pipeline.records().keys() == {(EVE, "SO10"), (EVE, "SO11")}
    pipeline.pump(person(1, 1, at=2))
    assert pipeline.records().keys() == {(ANN, "SO10"), (ANN, "SO11")}


def test_an_account_that_comes_late_brings_the_records_of_its_orders(pipeline: Pipeline) -> None:
    assert not pipeline.pump(LOOKUP, ORDER).records()
    assert pipeline.pump(ACCOUNT).records().keys() == {(ANN, "SO10")}


def test_orders_learn_nothing_when_the_addresses_stay(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP)
    published = pipeline.counts[ChangeKind.RECIPIENTS_REPLY]
    pipeline.pump(customer(1, ANN, at=2), header(11), total(11))
    assert pipeline.counts[ChangeKind.RECIPIENTS_REPLY] == published + 1, "only the new order asked"


def test_an_answer_makes_no_new_fact(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP)
    facts = pipeline.counts[ChangeKind.ORDER_FACT]
    pipeline.pump(person(1, 1, EVE))
    assert pipeline.records().keys() == {(EVE, "SO10")} and pipeline.counts[ChangeKind.ORDER_FACT] == facts


def test_an_order_leaves_the_account_that_it_moves_from_and_comes_back(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP).pump(customer(2, BOB), header(10, 2, at=2))
    assert pipeline.records().keys() == {(BOB, "SO10")}
    pipeline.pump(person(1, 1, EVE), header(10, 1, at=3))
    assert pipeline.records().keys() == {(EVE, "SO10")}, "what changed while it was away is known"


def test_what_changed_while_an_order_was_held_is_known_when_it_is_live_again(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP).pump(of_order(ChangeKind.TOTAL, 10, 10, None, 2)).pump(person(1, 1, EVE)).pump(total(10, at=3))
    assert pipeline.records().keys() == {(EVE, "SO10")}


def crashed(pipeline: Pipeline, topic: str, step: Step) -> Pipeline:
    """``step`` was done, but a crash left nothing of what follows from it; it will be done again."""
    pipeline.feed(step).cycle(topic, len(step), "before outputs")
    pipeline.restart()
    return pipeline.feed(step)


def test_addresses_that_a_crash_left_unreported_are_reported_when_the_change_comes_again(pipeline: Pipeline) -> None:
    crashed(pipeline.pump(SHOP), TOPICS.buyers, person(1, 1, EVE)).pump()
    assert pipeline.records().keys() == {(EVE, "SO10")}


def test_a_question_that_a_crash_swallowed_is_asked_again_though_an_old_word_arrived(pipeline: Pipeline) -> None:
    old = (
        TOPICS.orders,
        RecipientsReplyChange("10", "c1", version_bytes(1), Lane.LIVE, 0, RecipientsReply("", BOB)),
    )
    pipeline.pump(SHOP).pump(header(10, 2, at=2)).pump(person(1, 1, EVE))
    crashed(pipeline, TOPICS.orders, header(10, 1, at=3)).pump([old])
    assert pipeline.records().keys() == {(EVE, "SO10")}


def test_what_an_earlier_worker_published_counts_when_a_crash_swallowed_what_follows_from_it(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, customer(1, ANN), customer(2, BOB))
    pipeline.feed(header(10, 1) + total(10)).cycle(TOPICS.orders, 2)
    pipeline.restart()
    pipeline.feed(header(20, 2) + total(20)).cycle(TOPICS.orders, 2)
    again = pipeline.cycle(TOPICS.buyers, 9, "before outputs")
    assert len({str(record.headers) for record in again}) == 2, "two workers published what was read"
    pipeline.queues[TOPICS.buyers].extend(again)
    pipeline.restart()
    pipeline.pump()
    assert pipeline.records().keys() == {(ANN, "SO10"), (BOB, "SO20")}
    assert (pipeline.count(ANN), pipeline.count(BOB)) == (1, 1)


def test_a_record_follows_the_orders_number(pipeline: Pipeline) -> None:
    assert pipeline.pump(SHOP).pump(header(10, number="SO10-A", at=2)).records().keys() == {(ANN, "SO10-A")}
    assert pipeline.pump(header(10, number=None, at=3)).records().keys() == {(ANN, "SO10-A")}, "it was emptied"


def test_numbers_that_look_the_same_in_a_key_have_a_record_each(pipeline: Pipeline) -> None:
    eleven = header(11, number="WEB 1001") + total(11)
    pipeline.pump(SHOP, header(10, number="WEB/1001", at=2), eleven)
    found = {key: pipeline.record(*place)["id"] for place in pipeline.records() for key in place[1:]}
    assert found == {"WEB_1001_439526a7": "WEB/1001", "WEB_1001_dca1cf71": "WEB 1001"}


def test_a_record_under_the_key_of_an_older_release_goes_when_the_new_one_is_there(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, header(10, number="WEB/1001", at=2))
    left = pipeline.published[ANN, "WEB_1001"]
    assert (left.content, left.moved, left.successor) == (None, True, "WEB_1001_439526a7")


def test_a_number_that_another_order_has_by_now_is_not_taken_from_it(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP).pump(header(10, number="A", at=3)).pump(header(11, number="SO10", at=3), total(11, at=3))
    assert pipeline.records().keys() >= {(ANN, "A"), (ANN, "SO10")}
    pipeline.pump(total(10, "7", at=5))
    assert (ANN, "SO10") in pipeline.records()


def test_places_that_an_order_left_long_ago_are_forgotten(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP)
    for at in range(2, 40):
        pipeline.pump(header(10, number=f"N{at}", at=at))
    assert pipeline.records().keys() == {(ANN, "N39")}
    pipeline.published.clear()
    pipeline.pump(header(10, number="last", at=40))
    assert pipeline.records().keys() == {(ANN, "last")} and 2 < len(pipeline.published) < 10


@pytest.mark.parametrize(
    "gone",
    [of_order(ChangeKind.HEADER, 10, 10, None, 2), header(10, sort=2, at=2)],
)
def test_an_order_that_is_not_live_has_no_record(pipeline: Pipeline, gone: Step) -> None:
    assert not pipeline.pump(SHOP).pump(gone).records()
    assert pipeline.pump(header(10, at=3), total(10, at=3)).records().keys() == {(ANN, "SO10")}


def test_a_cancelled_order_still_shows(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, status(3, "cancelled"), header(10, status=3, at=2), credit(20, "10", (100, "10")))
    assert refund(pipeline) == ("cancelled", "10.00", "0.00")


def test_the_latest_despatch_has_number_and_carrier(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, despatch(10, 1, 5, parcel="A1"), despatch(10, 3, 7, parcel="C3"), despatch(10, 2, 7, parcel="B2"))
    pipeline.pump(despatch(10, 4, None, parcel="D4"), header(11), total(11), despatch(11, 5, 6, parcel="E5"))
    assert [pipeline.record(ANN, "SO10")[name] for name in ("consignment_number", "carrier")] == ["C3", "Courier"]
    assert [pipeline.contact(ANN)[name] for name in ("OW_CONSIGNMENT", "OW_CARRIER")] == ["C3", "Courier"]
    pipeline.pump(of_order(ChangeKind.DESPATCH, 10, 3, None, 2), of_order(ChangeKind.DESPATCH, 10, 2, None, 2))
    assert pipeline.contact(ANN)["OW_CONSIGNMENT"] == "E5" and pipeline.record(ANN, "SO10")["consignment_number"] == "A1"


def test_a_return_shows_until_it_is_credited(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, returned(10, 1, "R1", 5), returned(10, 2, "R2", 4), returned(10, 3, "R3"))
    assert (pipeline.record(ANN, "SO10")["order_status"], pipeline.record(ANN, "SO10")["return_number"]) == ("returning", "R1")
    pipeline.pump(of_order(ChangeKind.RETURN, 10, 1, None, 2))
    assert pipeline.record(ANN, "SO10")["return_number"] == "R2"
    assert refund(pipeline.pump(credit(20, "1", (100, "1"))))[0] == "part_refunded"


def test_a_credit_note_over_two_orders_gives_each_its_lines_and_the_lowest_the_rest(pipeline: Pipeline) -> None:
    eleven = header(11) + total(11, "4") + line(11, 110, variant=5)
    pipeline.pump(SHOP, eleven, credit(20, "9", (100, "3"), (110, "4")))
    assert refund(pipeline) == ("part_refunded", "5.00", "5.00")
    assert refund(pipeline, "SO11") == ("refunded", "4.00", "0.00")


def test_credits_add_up_and_are_taken_back(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, credit(20, "3", (100, "3")), credit(21, "8", (101, "8")))
    assert refund(pipeline) == ("refunded", "11.00", "0.00")
    pipeline.pump(status(3, "cancelled"), header(21, sort=4, status=3, at=2))
    assert refund(pipeline) == ("part_refunded", "3.00", "7.00")
    pipeline.pump(of_order(ChangeKind.HEADER, 20, 20, None, 2))
    assert refund(pipeline) == ("open", "0.00", "10.00")


def test_a_credited_line_takes_its_credit_along_to_another_order(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, header(11), total(11), credit(20, "3", (100, "3")))
    pipeline.pump(line(11, 100, at=2, former=10))
    assert (refund(pipeline)[1], refund(pipeline, "SO11")[1]) == ("0.00", "3.00")


def test_amounts_are_converted_between_currencies(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, detail(10, None, 2), credit(20, "3", (100, "3")))
    assert pipeline.record(ANN, "SO10")["currency"] == "EUR"
    assert refund(pipeline) == ("part_refunded", "6.00", "4.00")


def test_a_variant_that_comes_late_reaches_the_orders_that_have_it(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, ACCOUNT, ORDER, header(11), total(11))
    assert pipeline.record(ANN, "SO10")["products"][0].keys().isdisjoint({"sku", "name", "parent_id"})
    facts = pipeline.counts[ChangeKind.ORDER_FACT]
    pipeline.pump(item(5, "SHIRT-M", "Shirt"), item(5, "SHIRT-M", "Shirt", at=2))
    assert pipeline.record(ANN, "SO10")["products"][0]["sku"] == "SHIRT-M"
    assert pipeline.counts[ChangeKind.ORDER_FACT] == facts + 1, "not the order without it, and not again for what is known"


def index_rows(pipeline: Pipeline) -> list[bytes]:
    return [key for key in pipeline.state[TOPICS.orders].rows if key.startswith(b"v")]


def test_the_index_of_variants_follows_the_lines(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, line(10, 102, variant=5))
    assert index_rows(pipeline) == [b"v5\x0010", b"v6\x0010"]
    pipeline.pump(of_order(ChangeKind.LINE, 10, 101, None, 2), of_order(ChangeKind.LINE, 10, 100, None, 2))
    assert index_rows(pipeline) == [b"v5\x0010"], "the other line still names it"


def lanes(pipeline: Pipeline, *steps: Step, kind: ChangeKind = ChangeKind.DESIRED_RECORD) -> set[int]:
    """The lanes in which ``kind`` is told because of ``steps``."""
    found: set[int] = set()
    want = pipeline._want

    def watched(change: Change) -> None:
        found.update([change.lane] if change.kind is kind else [])
        want(change)

    pipeline._want = watched  # type: ignore[method-assign]
    pipeline.pump(*steps)
    return found


def in_lane(step: Step, lane: Lane) -> Step:
    return [(topic, msgspec.structs.replace(published, lane=lane)) for topic, published in step]


def test_a_refund_is_urgent_in_the_record_too(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP)
    assert lanes(pipeline, header(10, at=2)) == {Lane.LIVE}
    assert lanes(pipeline, in_lane(despatch(10, 1, 9), Lane.URGENT)) == {Lane.URGENT}
    # Each of the credit note's rows makes it urgent, once it is complete.
    assert Lane.URGENT in lanes(pipeline, credit(20, "3", (100, "3")))
    assert lanes(pipeline, in_lane(credit(21, "3", (100, "3")), Lane.BULK)) == {Lane.BULK}


@pytest.mark.parametrize(("orders", "lane"), [(FEW, Lane.LIVE), (FEW + 1, Lane.BULK)])
def test_what_many_orders_follow_is_bulk(pipeline: Pipeline, orders: int, lane: Lane) -> None:
    several = [header(order) + total(order) + line(order, 100 * order, variant=5) for order in range(1, orders + 1)]
    pipeline.pump(LOOKUP, ACCOUNT, *several)
    assert lanes(pipeline, item(5, "X")) == {lane}
    assert lanes(pipeline, person(1, 1, EVE)) == {lane}


def resend(order: int) -> Step:
    return [(TOPICS.orders, ResendRequestChange(str(order), order, b"", Lane.LIVE, 0, None))]


def test_a_record_can_be_reported_again(pipeline: Pipeline) -> None:
    before = pipeline.pump(SHOP).published.pop((ANN, "SO10"))
    facts = pipeline.counts[ChangeKind.ORDER_FACT]
    after = pipeline.pump(resend(10)).published[ANN, "SO10"]
    assert after.content == before.content and after.position > before.position
    assert pipeline.counts[ChangeKind.ORDER_FACT] == facts


def test_a_credit_note_is_followed_up_with_its_recipient(pipeline: Pipeline) -> None:
    published = pipeline.pump(SHOP, credit(20, "3", (100, "3"))).follow_ups[20][ANN]
    assert (published.number, str(published.amount), published.currency) == ("SO20", "3", "GBP")


def test_an_unreported_follow_up_goes_where_its_recipient_goes(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, credit(20, "3", (100, "3")), person(1, 1, EVE, at=2))
    assert pipeline.follow_ups[20].keys() == {EVE}


def test_a_follow_up_that_was_reported_is_reported_to_nobody_else(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, credit(20, "3", (100, "3"))).follow_ups.clear()
    pipeline.pump(follow_up_delivered(20), person(1, 1, EVE, at=2), header(20, sort=4, at=2))
    assert not any(pipeline.follow_ups.values())


def follow_up_delivered(credit_note: int) -> Step:
    return [(TOPICS.orders, FollowUpDeliveredChange(str(credit_note), credit_note, b"", Lane.LIVE, 0, None))]


@pytest.mark.parametrize("unfit", [{"status": 3}, {"number": None}])
def test_a_credit_note_that_nobody_follows_up(pipeline: Pipeline, unfit: dict[str, Any]) -> None:
    pipeline.pump(SHOP, status(3, "cancelled"), credit(20, "3", (100, "3"), **unfit))
    assert not any(pipeline.follow_ups.values())


def test_a_part_that_is_not_delivered_costs_nothing() -> None:
    delivery = Delivery(orders=None, follow_up=None)
    pipeline = Pipeline(MAPPING.model_copy(update={"delivery": delivery})).pump(SHOP, credit(20, "3", (100, "3")))
    assert not pipeline.published and not pipeline.follow_ups
    assert not {ChangeKind.RECIPIENTS_QUERY, ChangeKind.RECIPIENTS_REPLY} & pipeline.counts.keys()
    assert pipeline.contact(ANN)["OW_LAST_SKUS"] == "SHIRT-M, HAT"


def test_a_status_shows_in_the_sites_own_word() -> None:
    words = Delivery(orders=OrderRecords(statuses={"open": "processing"}))
    pipeline = Pipeline(MAPPING.model_copy(update={"delivery": words})).pump(SHOP)
    assert pipeline.record(ANN, "SO10")["order_status"] == "processing"


def test_an_orders_row_stays_small_with_a_large_account(pipeline: Pipeline) -> None:
    people = [person(pk, 1, f"p{pk}@example.com") for pk in range(1, 60)]
    pipeline.pump(SHOP, detail(10, "p7@example.com"), *people)
    assert pipeline.records().keys() == {("p7@example.com", "SO10")}
    assert len(pipeline.state[TOPICS.orders].rows[b"o10"]) < 400


@settings(deadline=None, max_examples=60)
@given(shops(), st.randoms(use_true_random=False), st.integers(0, 6))
def test_arrival_batches_and_crashes_do_not_show_in_the_records(found: list[list[Step]], random: Random, crashes: int) -> None:
    expected = Pipeline().pump(*[step for steps in found for step in steps])
    pipeline = Pipeline().feed(*interleaved(found, random))
    pipeline.pump_badly(random, crashes)
    assert {place: json.loads(record) for place, record in pipeline.records().items()} == {
        place: json.loads(record) for place, record in expected.records().items()
    }
    assert pipeline.content() == expected.content()
    assert {credit: published.keys() for credit, published in pipeline.follow_ups.items() if published} == {
        credit: published.keys() for credit, published in expected.follow_ups.items() if published
    }
