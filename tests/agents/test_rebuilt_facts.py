"""What orders show outlives a rebuild, and a product's next name does not change what was bought.

A rebuild finds the newest version of each captured row, and nothing of deleted ones; topic ``frozen-orders`` says the rest.
"""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import rows
from streams.messages.changes import EVERYWHERE, ChangeKind, VariantInfo
from streams.messages.frozen_orders import read_frozen
from tests.agents.arrivals import shops
from tests.agents.memory import interleaved
from tests.agents.pipeline import (
    ANN,
    EVE,
    HOUSE,
    LOOKUP,
    OPEN,
    PEOPLE,
    TOPICS,
    Pipeline,
    Step,
    change,
    detail,
    header,
    item,
    line,
    of_order,
    status,
    total,
)

LATER, LATEST = 8, 9
SHOP = [
    *(LOOKUP, PEOPLE, item(5, "SHIRT-M", "Shirt"), item(6, "HAT", "Hat")),
    *(header(10), total(10), detail(10, None, 2), line(10, 100, variant=5, quantity="2", net="7")),
    *(header(20, HOUSE), total(20, "4"), detail(20, EVE, 2), line(20, 200, variant=6, quantity="1", net="4")),
    *(header(30, sort=4), total(30, "3"), line(30, 300, original=100, quantity="1", net="3"), detail(30, None)),
]


def gone(variant: int, sku: str, name: str) -> Step:
    """A deleted variant, as the products stage says it; a rebuild finds nothing of it."""
    row = VariantInfo(None, sku, name, gone=True)
    return [change(TOPICS.orders, ChangeKind.VARIANT_INFO, EVERYWHERE, variant, row, LATER)]


LOST: dict[str, list[Step]] = {
    "lookup word changed": [status(1, "no such word", LATER)],
    "lookup row deleted": [status(1, None, LATER)],
    "lookup emptied": [status(1, None, LATER), status(2, None, LATER)],
    "status moved to an unknown one": [header(10, status=77, at=LATER)],
    "status none": [of_order(ChangeKind.HEADER, 10, 10, rows.Header("SO10", 1_700_000_010, 1, 1, None), LATER)],
    "type unknown": [header(10, sort=99, at=LATER)],
    "credit's type unknown": [header(30, sort=99, at=LATER)],
    "customer none": [header(10, None, at=LATER)],
    "date means nothing": [
        of_order(ChangeKind.HEADER, 10, 10, rows.Header("SO10", 0, 1, 1, 1, dated=False), LATER),
    ],
    "total deleted": [of_order(ChangeKind.TOTAL, 10, 10, None, LATER)],
    "total none": [of_order(ChangeKind.TOTAL, 10, 10, rows.Total(None), LATER)],
    "detail deleted": [of_order(ChangeKind.DETAIL, 10, 10, None, LATER)],
    "currency unknown": [detail(10, None, 99, LATER)],
    "house order's currency unknown": [detail(20, EVE, 99, LATER)],
    "credited line deleted": [of_order(ChangeKind.LINE, 10, 100, None, LATER)],
    "item deleted": [gone(5, "SHIRT-M", "Shirt")],
    "item renamed": [item(5, "SHIRT-L", "Large shirt", at=LATER)],
    "everything at once": [
        status(1, None, LATER),
        header(10, None, sort=99, at=LATER),
        of_order(ChangeKind.TOTAL, 10, 10, None, LATER),
        of_order(ChangeKind.DETAIL, 10, 10, None, LATER),
        of_order(ChangeKind.TOTAL, 30, 30, None, LATER),
        of_order(ChangeKind.LINE, 10, 100, None, LATER),
        gone(6, "HAT", "Hat"),
    ],
}
"""What rows may lose, so that an order can no longer be worked out, or not as it was."""


def shown(pipeline: Pipeline) -> tuple[object, ...]:
    records = {place: json.loads(record) for place, record in pipeline.records().items()}
    return pipeline.content(), records


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_a_rebuilt_state_shows_what_the_one_before_showed(lost: list[Step]) -> None:
    before = Pipeline().pump(*SHOP).pump(*lost)
    after = before.rebuilt()
    assert shown(after) == shown(before)
    assert after.orders.held.counts(frozen=True) == before.orders.held.counts(frozen=True)
    assert not after.orders.held.counts()
    assert {key: read_frozen(value) for key, value in after.kept.items()} == {
        key: read_frozen(value) for key, value in before.kept.items()
    }
    again = after.rebuilt()
    assert shown(again) == shown(before)


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_a_frozen_order_keeps_its_age_and_thaws_after_a_rebuild(lost: list[Step]) -> None:
    before = Pipeline().pump(*SHOP)
    usual = shown(before)
    before.pump(*lost)
    since = dict(before.orders.held.oldest(frozen=True))
    after = before.rebuilt()
    assert dict(after.orders.held.oldest(frozen=True)) == since
    healed = [[found] for found in Pipeline().feed(*SHOP).captured.values()]
    for step in healed:
        step[0] = change(*_again(step))
    after.pump(*healed)
    assert not after.orders.held.counts(frozen=True)
    assert shown(after) == usual


def _again(step: Step) -> tuple[str, ChangeKind, str, int, object, int]:
    topic, found = step[0]
    return topic, found.kind, found.key, int(found.pk), found.row, LATEST + 1


def test_an_order_whose_rows_say_everything_is_kept_nowhere() -> None:
    pipeline = Pipeline().pump(*SHOP)
    assert not pipeline.kept
    pipeline.pump(status(1, None, LATER))
    assert pipeline.kept.keys() == {b"10", b"20", b"30"}
    pipeline.pump(status(1, OPEN, LATEST))
    assert not pipeline.kept


def test_nobody_is_named_in_what_is_kept() -> None:
    pipeline = Pipeline().pump(*SHOP).pump(*LOST["everything at once"])
    assert pipeline.kept
    text = b"".join(pipeline.kept.values()).lower()
    assert not any(word in text for word in (b"@", b"example", b"eve", b"ann", b"bob"))


@pytest.mark.parametrize(
    "fact", [of_order(ChangeKind.HEADER, 10, 10, None, LATEST), header(10, sort=2, at=LATEST)], ids=["deleted", "type ignored"]
)
def test_a_positive_fact_ends_what_was_kept(fact: Step) -> None:
    after = Pipeline().pump(*SHOP).pump(status(1, None, LATER)).rebuilt().pump(fact)
    assert b"10" not in after.kept
    assert not any(key == "SO10" for _, key in after.records())


def test_what_changes_after_a_rebuild_counts_though_the_order_is_frozen() -> None:
    after = Pipeline().pump(*SHOP).pump(status(1, None, LATER)).rebuilt().pump(total(10, "20", LATEST))
    assert after.record(ANN, "SO10")["order_subtotal"] == "20.00"
    after.pump(of_order(ChangeKind.TOTAL, 10, 10, None, LATEST + 1))
    assert shown(after.rebuilt()) == shown(after)


def test_only_the_state_in_force_writes_and_another_publishes_its_own_at_the_switch() -> None:
    before = Pipeline().pump(*SHOP).pump(status(1, None, LATER))
    shadow = Pipeline(kept=before.kept)
    shadow.in_force = False
    shadow.pump(*before.newest()).pump(of_order(ChangeKind.TOTAL, 20, 20, None, LATER))
    assert shadow.kept == before.kept, "nothing is written by a state that is being built"
    own = shown(shadow)
    shadow.restart()
    shadow.in_force = True
    shadow.pump(total(10, "20", LATEST))
    assert read_frozen(shadow.kept[b"20"]).net is not None
    shadow.pump(total(10, "10", LATEST + 1))
    assert shown(shadow) == own == shown(shadow.rebuilt())


def test_what_another_state_says_later_is_read_until_this_one_knows_better() -> None:
    before = Pipeline().pump(*SHOP)
    shadow = Pipeline()
    shadow.in_force = False
    gone_there = status(1, None, LATER)
    before.pump(gone_there)
    shadow.pump(*before.newest())
    assert not shadow.records()
    shadow._keep([*before.kept.items()], [])
    assert shown(shadow.pump()) == shown(before)


class TestBought:
    def test_another_name_or_sku_changes_no_order_that_was_there(self) -> None:
        pipeline = Pipeline().pump(*SHOP)
        before = shown(pipeline)
        pipeline.pump(item(5, "SHIRT-L", "Large shirt", at=LATER)).pump(item(5, "SHIRT-XL", "Huge shirt", at=LATEST))
        assert shown(pipeline) == before
        assert pipeline.contact(ANN)["OW_LAST_SKUS"] == "SHIRT-M"

    def test_an_order_that_comes_after_it_has_the_new_one(self) -> None:
        pipeline = Pipeline().pump(*SHOP).pump(item(5, "SHIRT-L", "Large shirt", at=LATER))
        pipeline.pump(header(40), total(40), line(40, 400, variant=5)).pump(item(5, "SHIRT-XL", "Huge shirt", at=LATEST))
        assert pipeline.record(ANN, "SO40")["products"][0]["sku"] == "SHIRT-L"
        assert pipeline.contact(ANN)["OW_LAST_SKUS"] == "SHIRT-L"
        assert shown(pipeline.rebuilt()) == shown(pipeline)

    def test_a_name_that_comes_late_fills_what_was_missing(self) -> None:
        pipeline = Pipeline().pump(*SHOP, item(7, None, "Gloves"), line(20, 201, variant=7))
        pipeline.pump(item(7, "GLOVES", "Warm gloves", at=LATER))
        assert [(one["sku"], one["name"]) for one in pipeline.record(EVE, "SO20")["products"]] == [
            ("HAT", "Hat"),
            ("GLOVES", "Gloves"),
        ]

    def test_a_line_that_is_deleted_and_inserted_anew_keeps_it(self) -> None:
        pipeline = Pipeline().pump(*SHOP).pump(item(5, "SHIRT-L", "Large shirt", at=LATER))
        pipeline.pump(of_order(ChangeKind.LINE, 10, 100, None, LATER)).pump(line(10, 101, variant=5))
        assert pipeline.record(ANN, "SO10")["products"][0]["sku"] == "SHIRT-M"

    def test_the_name_on_the_line_itself_comes_first(self) -> None:
        pipeline = Pipeline().pump(*SHOP, line(10, 101, variant=6, name="Hat with a feather"))
        pipeline.pump(item(6, "HAT-2", "Cap", at=LATER))
        assert [(one["sku"], one["name"]) for one in pipeline.rebuilt().record(ANN, "SO10")["products"]] == [
            ("SHIRT-M", "Shirt"),
            ("HAT", "Hat with a feather"),
        ]

    def test_of_many_names_the_oldest_are_kept_and_the_row_stays_bounded(self) -> None:
        pipeline = Pipeline().pump(*SHOP)
        for at in range(10, 90):
            pipeline.pump(item(5, f"S{at}", None, at=at))
        assert len(pipeline.state[TOPICS.orders].rows[b"i5"]) < 1_000
        assert pipeline.record(ANN, "SO10")["products"][0]["sku"] == "SHIRT-M"


def _losses(random: Random) -> list[list[Step]]:
    found = random.sample(sorted(LOST), 3)
    return [[step] for name in found for step in LOST[name]]


@settings(deadline=None, max_examples=40)
@given(shops(), st.randoms(use_true_random=False), st.integers(0, 6))
def test_a_rebuild_takes_nothing_away_whatever_was_lost_and_whatever_crashed(
    found: list[list[Step]], random: Random, crashes: int
) -> None:
    before = Pipeline().pump(*interleaved(found, random))
    usual = before.content().keys(), before.records().keys()
    words = [[status(pk, random.choice(["no such word", None]), 10)] for pk in (1, 2, 3)]
    sorts = [of_order(ChangeKind.TOTAL, order, order, None, 10) for order in (1, 2, 3, 4)]
    names = [item(pk, f"NEW{pk}", None, at=10) for pk in (1, 2)]
    before.feed(*interleaved([*words, sorts, names], random)).pump_badly(random, crashes)
    after = Pipeline(kept=before.kept)
    after.feed(*random.sample(before.newest(), len(before.newest()))).pump_badly(random, crashes)
    assert (after.content().keys(), after.records().keys()) == usual
    assert shown(after) == shown(before)


def test_a_version_from_before_it_froze_does_not_know_better_than_what_was_kept() -> None:
    before = Pipeline().pump(*SHOP).pump(header(10, status=2, at=5)).pump(status(2, "no such word", LATER))
    frozen = shown(before)
    # The lookup's former word was compacted away; the header's versions were not, and come one by one.
    others = [step for step in before.newest() if step[0][1].kind is not ChangeKind.HEADER or step[0][1].key != "10"]
    after = Pipeline(kept=before.kept).pump(*others).pump(header(10)).pump(header(10, status=2, at=5))
    assert shown(after) == frozen
    assert after.kept == before.kept


@pytest.mark.parametrize("late", [False, True])
def test_what_was_kept_counts_whether_it_is_read_before_or_behind_the_rows(late: bool) -> None:
    before = (
        Pipeline().pump(*SHOP).pump(item(5, "SHIRT-L", "Large", at=7)).pump(of_order(ChangeKind.DETAIL, 10, 10, None, LATER))
    )
    after = Pipeline(kept={} if late else before.kept)
    # Its own records come behind this one in the topic.
    after.in_force = False
    names = [step for step in before.newest() if step[0][1].kind is ChangeKind.VARIANT_INFO]
    after.pump(item(5, "SHIRT-M", "Shirt"), *(step for step in before.newest() if step not in names)).pump(*names)
    if late:
        after._keep([*before.kept.items()], [])
        after.pump()
    assert shown(after) == shown(before)
    assert after.orders.held.counts(frozen=True) == before.orders.held.counts(frozen=True) == {"order_without_detail": 1}


def test_what_a_replaced_worker_says_late_is_put_right() -> None:
    pipeline = Pipeline().pump(*SHOP).pump(header(10, status=77, at=LATER))
    late = pipeline.kept[b"10"]
    pipeline.restart()
    pipeline.pump(total(10, "20", LATEST))
    newest = dict(pipeline.kept)
    assert newest[b"10"] != late
    pipeline._keep([(b"10", late)], [])
    assert pipeline.pump().kept == newest
    thawed = header(10, status=2, at=LATEST)
    assert b"10" not in pipeline.pump(thawed).kept
    pipeline._keep([(b"10", late)], [])
    assert b"10" not in pipeline.pump().kept


def test_rows_that_are_read_again_have_it_said_again() -> None:
    pipeline = Pipeline().pump(*SHOP).pump(status(1, None, LATER))
    kept = dict(pipeline.kept)
    # The topic lost its tail, and nobody was told.
    pipeline.kept.clear()
    assert pipeline.pump(*pipeline.newest()).kept == kept


def test_orders_that_an_older_version_had_frozen_are_said_when_their_partition_is_opened() -> None:
    pipeline = Pipeline().pump(*SHOP).pump(status(1, None, LATER))
    kept = dict(pipeline.kept)
    pipeline.kept.clear()
    rows_ = pipeline.state[TOPICS.orders].rows
    codec = pipeline.orders._orders
    for key in [key for key in rows_ if key[:1] == b"o" and key[1:].isdigit()]:
        row = codec.decode(rows_[key])
        row.kept = None
        rows_[key] = codec.encode(row)
    pipeline.restart()
    # The next record of the partition, whatever it is.
    pipeline.pump(item(9, "CAP", "Cap"))
    assert pipeline.kept == kept
