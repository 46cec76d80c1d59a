"""A variant and its catalogue record: the rows that exist decide, never their order of arrival."""

import json
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import rows
from streams.domain import catalogue
from streams.domain.catalogue import Effect, VariantRow
from streams.domain.versioned import version_bytes
from streams.mapping import Mapping, load_mapping
from streams.mapping.delivery import Catalogue
from streams.mapping.model import Currency
from streams.messages.changes import Change, ChangeKind, VariantInfo
from streams.messages.kinds import CHANGES

GBP, EUR = 1, 2
ORDER = load_mapping().order
CURRENCIES = {GBP: Currency(code="GBP", rate=Decimal(1)), EUR: Currency(code="EUR", rate=Decimal("0.85"))}
MAPPING = load_mapping().model_copy(update={"order": ORDER.model_copy(update={"currencies": CURRENCIES})})
KETTLE = rows.Product("KET", "Kettle")
RED = rows.Variant(90, "KET-RED", "Kettle, red", True)


def change(kind: ChangeKind, pk: int, row: object, position: int = 1, keep: tuple[str, ...] = ()) -> Change:
    return CHANGES[kind]("900", pk, version_bytes(position), 1, 0, row, keep)


def variant(row: rows.Variant | None = RED, position: int = 1) -> Change:
    return change(ChangeKind.VARIANT, 900, row, position)


def price(amount: str | None, pk: int = 1, *, per: str | None = None, currency: int | None = GBP, base: bool = False) -> Change:
    row = rows.Price(currency, None if amount is None else Decimal(amount), None if per is None else Decimal(per), base)
    return change(ChangeKind.PRICE, pk, row)


def stock(free: str | None, pk: int = 1) -> Change:
    return change(ChangeKind.STOCK, pk, rows.Stock(None if free is None else Decimal(free)))


def member(category: int | None, pk: int = 1) -> Change:
    return change(ChangeKind.MEMBERSHIP, pk, rows.Membership(category))


def held(*changes: Change) -> VariantRow:
    row = VariantRow()
    for item in changes:
        catalogue.apply(row, item, GBP)
    return row


def record(
    row: VariantRow, product: rows.Product | None = KETTLE, mapping: Mapping = MAPPING, **categories: str | None
) -> dict[str, Any] | None:
    """The record, numbers as exact text; categories are given as ``c7="Kitchen"``."""
    named = {int(key[1:]): rows.Category(name) for key, name in categories.items()}
    content = catalogue.record(900, row, product, named, mapping)
    found: dict[str, Any] | None = None if content is None else json.loads(content, parse_float=str, parse_int=str)
    return found


def shown(name: str, *changes: Change, **categories: str | None) -> Any:
    """One property of the record of a variant with a price and these changes; None when it is absent."""
    found = record(held(variant(), price("5"), *changes), KETTLE, MAPPING, **categories)
    assert found is not None
    return found.get(name)


class TestRecord:
    def test_it_says_everything_that_is_known(self) -> None:
        catalogued = Catalogue(url="https://shop.example/{code}/{sku}", image="https://shop.example/{id}.jpg")
        delivery = MAPPING.delivery.model_copy(update={"catalogue": catalogued})
        row = held(variant(), price("139.90"), stock("12"), member(7), member(3, 2))
        found = record(row, mapping=MAPPING.model_copy(update={"delivery": delivery}), c7="Kitchen", c3="Sale")
        assert found == {
            "id": "900",
            "sku": "KET-RED",
            "name": "Kettle, red",
            "price": "139.90",
            "currency": "GBP",
            "stock": "12",
            "parent_id": "90",
            "product_code": "KET",
            "product_name": "Kettle",
            "categories": [{"id": "3", "name": "Sale"}, {"id": "7", "name": "Kitchen"}],
            "url": "https://shop.example/KET/KET-RED",
            "image_path": "https://shop.example/900.jpg",
        }

    def test_it_leaves_out_what_is_none(self) -> None:
        found = record(held(variant(), price("5")), None)
        assert found is not None
        assert found.keys() == {"id", "sku", "name", "price", "currency", "stock"}

    def test_a_product_may_have_neither_code_nor_name(self) -> None:
        found = record(held(variant(), price("5")), rows.Product(None, None))
        assert found is not None
        assert found["parent_id"] == "90"
        assert not found.keys() & {"product_code", "product_name"}

    def test_a_variant_without_a_name_has_its_products(self) -> None:
        found = record(held(variant(rows.Variant(90, "K", None, True)), price("5")))
        assert found is not None
        assert found["name"] == "Kettle"

    @pytest.mark.parametrize(
        "changes",
        [
            [price("5")],
            [variant(None), price("5")],
            [variant(rows.Variant(90, "K", "Kettle", False)), price("5")],
            [variant(rows.Variant(90, None, "Kettle", True)), price("5")],
            [variant()],
            [variant(), price(None)],
            [variant(), price("0.00")],
            [variant(), price("0"), price("0.004", 2, base=True)],
            [variant(), price("5", currency=EUR), price("5", 2, currency=None)],
        ],
        ids=[
            "no variant",
            "deleted",
            "not sold",
            "no SKU",
            "no price row",
            "no amount",
            "price on application",
            "no price to the cent",
            "no price in the currency",
        ],
    )
    def test_what_is_not_in_the_catalogue_has_none(self, changes: list[Change]) -> None:
        assert record(held(*changes)) is None

    def test_a_variant_that_nobody_names_has_none(self) -> None:
        nameless = held(variant(rows.Variant(90, "K", None, True)), price("5"))
        assert record(nameless, None) is None
        assert record(nameless, rows.Product("KET", None)) is None

    def test_a_site_may_want_no_catalogue(self) -> None:
        delivery = MAPPING.delivery.model_copy(update={"catalogue": None})
        assert record(held(variant(), price("5")), mapping=MAPPING.model_copy(update={"delivery": delivery})) is None


class TestPrice:
    @pytest.mark.parametrize(
        ("amount", "per", "published"),
        [
            ("5", None, "5.00"),
            ("5", "0", "5.00"),
            ("5", "-2", "5.00"),
            ("100", "3", "33.33"),
            ("0.01", "2", "0.01"),
            ("1.005", None, "1.01"),
            ("999999999999999999.995", "1", "1000000000000000000.00"),
            ("0.014999999", "2", "0.01"),
            ("999999999999999999", "0.000000001", "999999999999999999000000000.00"),
        ],
    )
    def test_it_is_that_of_one_rounded_half_up(self, amount: str, per: str | None, published: str) -> None:
        found = record(held(variant(), price(amount, per=per)))
        assert found is not None
        assert found["price"] == published

    def test_the_lowest_key_counts(self) -> None:
        assert catalogue.unit_price(held(price("7", 9), price("5", 4), price("6", 5)), GBP) == 5

    def test_a_base_price_counts_before_all_others(self) -> None:
        assert catalogue.unit_price(held(price("5", 1), price("7", 9, base=True), price("6", 8, base=True)), GBP) == 6

    def test_one_without_an_amount_or_in_another_currency_does_not_count(self) -> None:
        row = held(price(None, 1, base=True), price("9", 2, base=True, currency=EUR), price("5", 3))
        assert catalogue.unit_price(row, GBP) == 5


class TestStock:
    @pytest.mark.parametrize(
        ("free", "published"),
        [
            ([], "0"),
            ([None], "0"),
            (["12.0000"], "12"),
            (["2.9999"], "2"),
            (["1.5", "1.5"], "3"),
            (["10", "-3.5", None], "6"),
            (["-0.5"], "0"),
            (["-7"], "0"),
        ],
    )
    def test_it_is_what_is_free_everywhere_in_whole_pieces(self, free: list[str | None], published: str) -> None:
        assert shown("stock", *(stock(amount, pk) for pk, amount in enumerate(free))) == published


class TestCategories:
    def test_each_is_reported_once(self) -> None:
        assert shown("categories", member(7), member(7, 2), c7="Kitchen") == [{"id": "7", "name": "Kitchen"}]

    def test_one_without_a_name_or_a_row_is_left_out(self) -> None:
        assert shown("categories", member(7), member(8, 2), member(None, 3), c7=None) is None

    def test_they_are_ordered_as_numbers(self) -> None:
        found = shown("categories", member(10), member(9, 2), c10="Ten", c9="Nine")
        assert [category["id"] for category in found] == ["9", "10"]


class TestAddresses:
    def filled(self, template: str, sku: str = "KET-RED", product: rows.Product | None = KETTLE) -> str | None:
        delivery = MAPPING.delivery.model_copy(update={"catalogue": Catalogue(url=template)})
        row = held(variant(rows.Variant(90, sku, "Kettle", True)), price("5"))
        found = record(row, product, MAPPING.model_copy(update={"delivery": delivery}))
        assert found is not None
        assert "image_path" not in found
        url: str | None = found.get("url")
        return url

    @pytest.mark.parametrize(
        ("sku", "encoded"),
        [
            ("A B", "A%20B"),
            ("1/2?x=y&z#", "1%2F2%3Fx%3Dy%26z%23"),
            ("50%", "50%25"),
            ("Süß", "S%C3%BC%C3%9F"),
            ("../..", "..%2F.."),
            ("{id}", "%7Bid%7D"),
            (r"\1", "%5C1"),
            ("a-b_c.d~e", "a-b_c.d~e"),
        ],
    )
    def test_what_is_filled_in_is_one_piece_of_the_address(self, sku: str, encoded: str) -> None:
        assert self.filled("https://shop.example/{sku}?v={sku}", sku) == f"https://shop.example/{encoded}?v={encoded}"

    @pytest.mark.parametrize("product", [None, rows.Product(None, "Kettle")])
    def test_one_that_needs_a_code_is_absent_without_it(self, product: rows.Product | None) -> None:
        assert self.filled("https://shop.example/{code}/{sku}", product=product) is None
        assert self.filled("https://shop.example/{sku}", product=product) == "https://shop.example/KET-RED"


class TestEffects:
    def test_what_is_newer_and_says_the_same_is_only_remembered(self) -> None:
        row = held(stock("5"))
        again = change(ChangeKind.STOCK, 1, rows.Stock(Decimal("5.0000")), 2)
        assert catalogue.apply(row, again, GBP) is Effect.KNOWN
        assert row.stocks[1].position == version_bytes(2)

    def test_what_comes_again_is_a_change_because_the_first_time_may_not_have_been_received(self) -> None:
        assert catalogue.apply(held(stock("5")), stock("5"), GBP) is Effect.CHANGED

    def test_what_is_older_is_not_written(self) -> None:
        row = held(variant(position=2))
        assert catalogue.apply(row, variant(None, 1), GBP) is Effect.STALE
        assert catalogue.item(row) == VariantInfo(90, "KET-RED", "Kettle, red")

    def test_a_row_that_goes_is_a_change_and_stays_gone(self) -> None:
        row = held(variant())
        assert catalogue.apply(row, variant(None, 2), GBP) is Effect.CHANGED
        assert catalogue.apply(row, variant(RED, 1), GBP) is Effect.STALE
        assert row.variant is not None and row.variant.row is None

    def test_a_field_that_the_source_cannot_name_stays_as_it_was(self) -> None:
        row = held(variant())
        blank = rows.Variant(90, "KET-RED", None, True)
        assert catalogue.apply(row, change(ChangeKind.VARIANT, 900, blank, 2, ("name",)), GBP) is Effect.KNOWN
        assert catalogue.item(row) == VariantInfo(90, "KET-RED", "Kettle, red")


def test_parents_are_those_that_live_rows_name() -> None:
    row = held(variant(), member(7), member(7, 2), member(8, 3), member(None, 4), change(ChangeKind.MEMBERSHIP, 3, None, 2))
    assert catalogue.parents(row) == {(ChangeKind.PRODUCT, 90), (ChangeKind.CATEGORY, 7)}
    catalogue.apply(row, variant(None, 2), GBP)
    assert catalogue.parents(row) == {(ChangeKind.CATEGORY, 7)}


amounts = st.sampled_from(["5", "5.00", "7.125", "-1"])
versions = st.one_of(
    st.builds(lambda pk, amount, base: price(amount, pk, base=base), st.integers(1, 3), amounts, st.booleans()),
    st.builds(stock, amounts, st.integers(1, 2)),
    st.builds(member, st.sampled_from([None, 7, 8]), st.integers(1, 3)),
    st.builds(variant, st.sampled_from([None, RED, rows.Variant(None, "K", None, True), rows.Variant(91, "K", "K", False)])),
    st.builds(
        lambda kind, pk: change(kind, pk, None),
        st.sampled_from([ChangeKind.PRICE, ChangeKind.STOCK, ChangeKind.MEMBERSHIP]),
        st.integers(1, 3),
    ),
)


def arriving(found: Sequence[Change], random: Random) -> list[Change]:
    """Rows in any order, the versions of each in theirs, for a row's are in one partition; some come once more, later."""
    versions_of: dict[tuple[ChangeKind, int], list[Change]] = defaultdict(list)
    for item in found:
        versions_of[item.kind, int(item.pk)].append(item)
    arrival = [versions_of[item.kind, int(item.pk)].pop(0) for item in random.sample(found, len(found))]
    for item in random.sample(found, len(found) // 2):
        first = next(place for place, other in enumerate(arrival) if other is item)
        arrival.insert(random.randint(first + 1, len(arrival)), item)
    return arrival


@settings(deadline=None)
@given(st.lists(versions, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_show(found: Sequence[Change], random: Random) -> None:
    for position, item in enumerate(found, 1):
        item.position = version_bytes(position)
    arrival = arriving(found, random)
    assert record(held(*arrival), c7="Kitchen") == record(held(*found), c7="Kitchen")
    assert catalogue.parents(held(*arrival)) == catalogue.parents(held(*found))
