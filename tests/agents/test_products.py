"""The products stage in memory: any arrival, any batch, any crash, one catalogue; and nobody hears what is no news."""

import json
from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.agents.products import ProductsHandler
from streams.capture import rows
from streams.core.clock import ManualClock
from streams.core.errors import RecordError
from streams.core.lanes import Lane
from streams.domain.versioned import version_bytes
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.mapping import Mapping, load_mapping
from streams.messages.changes import EVERYWHERE, Change, ChangeKind, DesiredRecord, VariantInfo, pack
from streams.messages.kinds import CHANGES, ResendRequestChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from tests.agents.memory import Rows, interleaved
from tests.wire import unpack

TOPICS = Topics.of("t")
MAPPING = load_mapping()
PARTITIONS = 3
RED, BLUE = 900, 901

Step = list[Change]
"""The changes that one version of one captured row makes."""


class Stage:
    """The stage's handler, its state, and what was heard of it last."""

    def __init__(self, mapping: Mapping = MAPPING) -> None:
        self.state = Rows()
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.handler = ProductsHandler(mapping, TOPICS, self.metrics)
        self.records: dict[str, tuple[bytes, DesiredRecord | None]] = {}
        self.items: dict[int, tuple[bytes, VariantInfo | None]] = {}
        self.unknown = set[str]()

    def publish(self, *steps: Step, lose_outputs: bool = False) -> list[Change]:
        """Work in one unit; the changes that it told, those for everybody once."""
        self.clock.advance(0.001)
        unit = UnitOfWork(0, PARTITIONS, self.state, self.clock.now_us())
        self.handler.handle(unit, [Record(TOPICS.products, 0, None, pack(step)) for step in steps])
        self.state.commit(unit)
        published = [] if lose_outputs else self._received(unit)
        for change in published:
            if change.kind is ChangeKind.SWEEP:
                continue
            known: dict[Any, Any] = self.records if change.kind is ChangeKind.DESIRED_CATALOGUE else self.items
            if change.pk not in known or change.position >= known[change.pk][0]:
                # What nobody knows any more stays as it was.
                former = known[change.pk][1] if change.pk in known else None
                held = isinstance(change.row, DesiredRecord) and change.row.held
                known[change.pk] = (change.position, former if held else change.row)
                self.unknown = self.unknown | {change.key} if held else self.unknown - {change.key}
        return published

    def _received(self, unit: UnitOfWork) -> list[Change]:
        published: list[Change] = []
        everywhere: dict[int, list[Change]] = {partition: [] for partition in range(PARTITIONS)}
        for (topic, partition), outputs in unit.outputs():
            for change in (change for _, value in outputs if value is not None for change in unpack(value)):
                if change.kind is ChangeKind.DESIRED_CATALOGUE:
                    assert topic == TOPICS.desired
                    published.append(change)
                elif change.kind is ChangeKind.SWEEP:
                    assert (topic, partition) == (TOPICS.products, unit.partition)
                    published.append(change)
                else:
                    assert (topic, change.key) == (TOPICS.orders, EVERYWHERE)
                    everywhere[partition].append(change)
        assert all(received == everywhere[0] for received in everywhere.values())
        return [*published, *everywhere[0]]

    def content(self) -> dict[str, Any]:
        """The records that should exist."""
        return {key: json.loads(row.content, parse_float=Decimal) for key, (_, row) in self.records.items() if row is not None}

    def sold(self) -> dict[int, VariantInfo]:
        """The items that exist, as orders know them."""
        return {key: row for key, (_, row) in self.items.items() if row is not None}


def change(kind: ChangeKind, key: int | str, pk: int, row: object, at: int, lane: Lane = Lane.LIVE) -> Change:
    return CHANGES[kind](str(key), pk, version_bytes(at), lane, 0, row)


def product(name: str | None, at: int = 1, pk: int = 90) -> Step:
    row = None if name is None else rows.Product("KET", name)
    return [change(ChangeKind.PRODUCT, EVERYWHERE, pk, row, at)]


def category(name: str | None, at: int = 1, pk: int = 7) -> Step:
    row = None if name is None else rows.Category(name)
    return [change(ChangeKind.CATEGORY, EVERYWHERE, pk, row, at)]


def variant(pk: int = RED, at: int = 1, *, of: int | None = 90, name: str | None = "Red", sold: bool = True) -> Step:
    return [change(ChangeKind.VARIANT, pk, pk, rows.Variant(of, f"SKU{pk}", name, sold), at)]


def part(kind: ChangeKind, pk: int, row: object, of: int, at: int, former: int | None) -> Step:
    """A row of a variant; ``former`` is the variant that it has left."""
    step = [change(kind, of, pk, row, at)]
    return step if former in (None, of) else [*step, change(kind, str(former), pk, None, at)]


def price(amount: str = "5", at: int = 1, *, pk: int = 1, of: int = RED, former: int | None = None) -> Step:
    return part(ChangeKind.PRICE, pk, rows.Price(1, Decimal(amount), None, False), of, at, former)


def stock(free: str = "12", at: int = 1, *, pk: int = 1, of: int = RED, former: int | None = None) -> Step:
    return part(ChangeKind.STOCK, pk, rows.Stock(Decimal(free)), of, at, former)


def member(of: int = RED, at: int = 1, *, named: int | None = 7, pk: int = 1, former: int | None = None) -> Step:
    return part(ChangeKind.MEMBERSHIP, pk, rows.Membership(named), of, at, former)


def resend(pk: int = RED) -> Step:
    return [ResendRequestChange(str(pk), pk, b"", Lane.URGENT, 0, None)]


def gist(published: list[Change]) -> list[tuple[ChangeKind, int, int]]:
    """Kind, variant and lane of each change."""
    return [(change.kind, int(change.pk), change.lane) for change in published]


RECORD, ITEM = (ChangeKind.DESIRED_CATALOGUE, RED, Lane.LIVE), (ChangeKind.VARIANT_INFO, RED, Lane.LIVE)


@pytest.fixture
def stage() -> Stage:
    """A stage that knows one variant with everything about it."""
    stage = Stage()
    stage.publish(product("Kettle"), category("Kitchen"), variant(), price(), stock(), member())
    return stage


def test_a_price_on_application_takes_the_variant_off_and_is_counted_until_there_is_one(stage: Stage) -> None:
    stage.publish(price("0", 2))
    assert stage.content() == {} and stage.handler.held.counts() == {"price_on_application": 1}
    stage.handler.revoked()
    stage.handler.recovered(0, cast(StateTable, stage.state))
    assert stage.handler.held.counts() == {"price_on_application": 1}
    stage.publish(price("5", 3))
    assert stage.content().keys() == {"900"} and not stage.handler.held.counts()


def test_a_variant_joins_what_is_known_of_it(stage: Stage) -> None:
    assert stage.content() == {
        "900": {
            "id": "900",
            "sku": "SKU900",
            "name": "Red",
            "price": Decimal("5.00"),
            "currency": "GBP",
            "stock": 12,
            "parent_id": "90",
            "product_code": "KET",
            "product_name": "Kettle",
            "categories": [{"id": "7", "name": "Kitchen"}],
        }
    }
    assert stage.sold() == {RED: VariantInfo(90, "SKU900", "Red")}


def test_a_record_names_the_variant_that_can_report_it_again(stage: Stage) -> None:
    (published,) = stage.publish(stock("3", 2))
    assert (published.key, published.pk) == ("900", "900")
    assert isinstance(published.row, DesiredRecord)
    assert published.row.source == RED


@pytest.mark.parametrize("step", [price("6", 2), stock("3", 2), member(at=2, named=None)])
def test_prices_stock_and_categories_are_no_matter_of_orders(stage: Stage, step: Step) -> None:
    assert gist(stage.publish(step)) == [RECORD]


def test_a_variant_is(stage: Stage) -> None:
    assert gist(stage.publish(variant(name="Crimson", at=2))) == [RECORD, ITEM]
    assert stage.sold()[RED].name == "Crimson"


def test_a_unit_reports_a_variant_once_however_much_it_holds() -> None:
    stage = Stage()
    published = stage.publish(variant(), price(), stock("1"), stock("2", 2), product("Kettle"), variant(at=2, name="Crimson"))
    assert gist(published) == [RECORD, ITEM]


class TestUnchangedRows:
    @pytest.mark.parametrize("step", [product("Kettle", 2), category("Kitchen", 2), variant(at=2), price(at=2), stock(at=2)])
    def test_a_row_that_is_written_anew_without_a_change_publishes_nothing(self, stage: Stage, step: Step) -> None:
        assert stage.publish(step) == []

    def test_its_position_is_remembered(self, stage: Stage) -> None:
        stage.publish(stock("12", 5))
        assert stage.publish(stock("3", 4)) == []
        assert stage.content()["900"]["stock"] == 12

    @pytest.mark.parametrize(
        ("step", "published"),
        [
            (product("Kettle"), [RECORD]),
            (category("Kitchen"), [RECORD]),
            (variant(), [RECORD, ITEM]),
            (price(), [RECORD]),
            (stock(), [RECORD]),
            (member(), [RECORD]),
        ],
    )
    def test_a_row_that_comes_again_is_reported_again_at_a_higher_position(
        self, stage: Stage, step: Step, published: list[tuple[ChangeKind, int, int]]
    ) -> None:
        before = stage.records["900"][0]
        again = stage.publish(step)
        assert gist(again) == published
        assert all(change.position > before for change in again)

    def test_an_older_row_neither_reports_nor_writes_anything(self, stage: Stage) -> None:
        stage.publish(variant(at=5), price("6", 5), product("Kettle", 5))
        before = dict(stage.state.rows)
        assert stage.publish(variant(at=4, name="Crimson"), price("7", 4), product("Teapot", 4)) == []
        assert stage.state.rows == before
        assert stage.metrics.registry.get_sample_value("owdd_stale_changes_total", {"stage": "products"}) == 3

    def test_what_belongs_to_a_variant_that_never_was_waits_for_it(self) -> None:
        stage = Stage()
        assert stage.publish(price(), stock(), member(), category("Kitchen")) == []
        assert gist(stage.publish(variant(of=None))) == [RECORD, ITEM]
        assert stage.content()["900"]["categories"] == [{"id": "7", "name": "Kitchen"}]


class TestParents:
    def test_a_renamed_product_is_reported_by_its_variants_only_and_without_haste(self, stage: Stage) -> None:
        stage.publish(variant(BLUE, of=91), price(pk=2, of=BLUE))
        assert gist(stage.publish(product("Teapot", 2))) == [(ChangeKind.DESIRED_CATALOGUE, RED, Lane.BULK)]
        assert stage.content()["900"]["product_name"] == "Teapot"

    def test_a_renamed_category_is_too(self, stage: Stage) -> None:
        assert gist(stage.publish(category("Cookery", 2), category("Garden", pk=8))) == [
            (ChangeKind.DESIRED_CATALOGUE, RED, Lane.BULK)
        ]
        assert stage.content()["900"]["categories"] == [{"id": "7", "name": "Cookery"}]

    @pytest.mark.parametrize("late", [product("Kettle"), category("Kitchen")])
    def test_one_that_comes_after_its_variants_is_as_pressing_as_they_were(self, late: Step) -> None:
        stage = Stage()
        stage.publish(variant(), price(), member())
        assert gist(stage.publish(late)) == [RECORD]

    def test_ids_that_begin_alike_are_not_mixed_up(self, stage: Stage) -> None:
        assert stage.publish(product("Lamp", pk=9), product("Lamp", pk=900), category("Lamps", pk=70)) == []

    def test_a_product_that_goes_leaves_its_name_and_a_category_takes_it_along(self, stage: Stage) -> None:
        stage.publish(product(None, 2), category(None, 2))
        assert stage.content()["900"].keys() >= {"parent_id", "product_name"} and "categories" not in stage.content()["900"]
        assert stage.handler.held.counts(frozen=True) == {"product_not_loaded": 1}

    def test_a_variant_that_left_does_not_learn_of_it_any_more(self, stage: Stage) -> None:
        stage.publish(variant(at=2, of=91), member(at=2, named=8))
        assert stage.publish(product("Teapot", 2), category("Cookery", 2)) == []

    def test_a_category_that_is_named_twice_is_left_when_nobody_names_it_any_more(self, stage: Stage) -> None:
        stage.publish(member(pk=2))
        stage.publish(member(at=2, named=None))
        assert gist(stage.publish(category("Cookery", 2))) == [(ChangeKind.DESIRED_CATALOGUE, RED, Lane.BULK)]
        stage.publish([change(ChangeKind.MEMBERSHIP, RED, 2, None, 2)])
        assert stage.publish(category("Garden", 3)) == []


class TestLeaving:
    @pytest.mark.parametrize("step", [variant(at=2, sold=False), [change(ChangeKind.VARIANT, RED, RED, None, 2)]])
    def test_a_variant_that_is_not_in_the_catalogue_any_more_has_no_record(self, stage: Stage, step: Step) -> None:
        stage.publish(step)
        assert stage.content() == {}

    def test_a_deleted_variant_is_still_an_item_of_the_orders_that_have_it(self, stage: Stage) -> None:
        assert stage.sold()[RED] == VariantInfo(90, "SKU900", "Red")
        stage.publish([change(ChangeKind.VARIANT, RED, RED, None, 2)])
        assert stage.sold()[RED] == VariantInfo(90, "SKU900", "Red", gone=True)

    @pytest.mark.parametrize("moves", [True, False])
    def test_a_variant_without_any_price_keeps_the_last_one(self, stage: Stage, moves: bool) -> None:
        before = stage.content()["900"]["price"]
        stage.publish(variant(BLUE))
        stage.publish(price(at=2, of=BLUE, former=RED) if moves else [change(ChangeKind.PRICE, RED, 1, None, 2)])
        assert stage.content()["900"]["price"] == before
        assert stage.handler.held.counts(frozen=True) == {"variant_without_price": 1}

    def test_a_variant_that_loses_sku_and_name_keeps_them(self, stage: Stage) -> None:
        stage.publish([change(ChangeKind.VARIANT, RED, RED, rows.Variant(90, None, None, True), 2)])
        assert stage.content()["900"]["sku"] == "SKU900"
        assert stage.handler.held.counts(frozen=True) == {"variant_without_sku": 1}


class TestAskedAgain:
    def test_a_record_is_reported_again_and_only_that(self, stage: Stage) -> None:
        before = stage.records["900"]
        assert gist(stage.publish(resend())) == [(ChangeKind.DESIRED_CATALOGUE, RED, Lane.URGENT)]
        position, row = stage.records["900"]
        assert position > before[0]
        assert row == before[1]

    def test_of_a_variant_that_never_was_there_is_no_record(self, stage: Stage) -> None:
        (published,) = stage.publish(resend(5))
        assert (published.key, published.row) == ("5", None)


def test_a_site_without_a_catalogue_reports_only_orders() -> None:
    delivery = MAPPING.delivery.model_copy(update={"catalogue": None})
    stage = Stage(MAPPING.model_copy(update={"delivery": delivery}))
    assert gist(stage.publish(variant(), price(), product("Kettle"))) == [ITEM]
    assert stage.publish(stock(), product("Teapot", 2), resend()) == []


def test_a_change_of_another_stage_is_refused(stage: Stage) -> None:
    with pytest.raises(RecordError, match=r"^foreign_kind: product-changes carries no HEADER$"):
        stage.publish([change(ChangeKind.HEADER, RED, RED, None, 1)])


@st.composite
def timelines(draw: st.DrawFn) -> list[list[Step]]:
    """Versions of each row of a small shop, oldest first."""
    names = st.sampled_from([None, "Kettle", "Teapot"])
    ids = st.sampled_from([RED, BLUE])
    found: list[list[Step]] = []
    for pk in (90, 91):
        found.append([product(draw(names), at, pk) for at in range(1, draw(st.integers(0, 3)) + 1)])
    for pk in (7, 8):
        found.append([category(draw(names), at, pk) for at in range(1, draw(st.integers(0, 3)) + 1)])
    for pk in (RED, BLUE):
        parents = st.sampled_from([None, 90, 91])
        found.append(
            [
                draw(st.sampled_from([variant(pk, at, of=draw(parents), name=draw(names)), variant(pk, at, sold=False)]))
                for at in range(1, draw(st.integers(0, 3)) + 1)
            ]
        )
    amounts = st.sampled_from(["1", "2"]).map(Decimal)
    parts: dict[ChangeKind, st.SearchStrategy[object]] = {
        ChangeKind.PRICE: st.builds(rows.Price, st.just(1), amounts, st.none(), st.booleans()),
        ChangeKind.STOCK: st.builds(rows.Stock, amounts),
        ChangeKind.MEMBERSHIP: st.builds(rows.Membership, st.sampled_from([None, 7, 8])),
    }
    for kind, content in parts.items():
        for pk in (1, 2):
            owners = draw(st.lists(ids, max_size=3))
            pairs = zip(owners, [None, *owners], strict=False)
            found.append([part(kind, pk, draw(content), of, at, former) for at, (of, former) in enumerate(pairs, 1)])
    return found


def worked(stage: Stage, steps: Sequence[Step], random: Random, crashes: int) -> Stage:
    """Steps in batches of any size; a crash loses what a batch tells, or comes after it, and the batch is done again."""
    done = 0
    while done < len(steps):
        batch = steps[done : done + random.randint(1, 4)]
        lost = crashes > 0 and random.random() < 0.3
        stage.publish(*batch, lose_outputs=lost)
        if lost or (crashes > 0 and random.random() < 0.1):
            crashes -= 1
        else:
            done += len(batch)
    return stage


@settings(deadline=None, max_examples=150)
@given(timelines(), st.randoms(use_true_random=False), st.integers(0, 5))
def test_arrival_batches_and_crashes_do_not_show_in_the_catalogue(
    found: list[list[Step]], random: Random, crashes: int
) -> None:
    expected, stage = Stage(), worked(Stage(), interleaved(found, random), random, crashes)
    expected.publish(*[step for steps in found for step in steps])
    assert stage.unknown == expected.unknown
    # What cannot be worked out stays as it was delivered, and whether it ever was is a matter of arrival.
    records = [{key: one.content()[key] for key in one.content().keys() - one.unknown} for one in (stage, expected)]
    assert records[0] == records[1] and stage.sold() == expected.sold()


@settings(deadline=None, max_examples=60)
@given(timelines(), st.randoms(use_true_random=False))
def test_any_end_of_the_input_may_be_read_again(found: list[list[Step]], random: Random) -> None:
    steps = interleaved(found, random)
    stage = worked(Stage(), steps, random, 0)
    before = stage.content(), stage.sold()
    worked(stage, steps[random.randint(0, len(steps)) :], random, 0)
    assert (stage.content(), stage.sold()) == before
