"""Delivery rules §1 and §5: what can be bought, and the catalogue's record of it."""

from decimal import Decimal
from typing import Any

import pytest

from streams.mapping import Mapping
from streams.mapping.delivery import Catalogue
from testkit.oracle.items import catalogue_records, items, priced_on_application
from testkit.oracle.row_reading import name

from .made_rows import (
    Rows,
    category,
    default_mapping,
    delivering,
    membership,
    price,
    product,
    site,
    stock,
    tables,
    variant,
)


def records(*rows: Rows, mapping: Mapping | None = None) -> dict[str, dict[str, Any]]:
    return catalogue_records(tables(*rows), mapping or site())


def record(*rows: Rows, mapping: Mapping | None = None) -> dict[str, Any]:
    """The only record, of variant 3."""
    return records(*rows, mapping=mapping)["3"]


def test_every_property_of_one_plain_variant() -> None:
    rows = [variant(3, " AB 1 ", " Small pump ", vad_pd_id=9), product(9, " P9 ", "Pump"), price(1, 3, "12.3450")]
    rows += [stock(1, 3, "7.0000"), category(4, " Garden "), membership(1, 3, 4)]
    assert records(rows) == {
        "3": {
            "id": "3",
            "sku": "AB 1",
            "name": "Small pump",
            "price": Decimal("12.35"),
            "currency": "GBP",
            "stock": 7,
            "parent_id": "9",
            "product_code": "P9",
            "product_name": "Pump",
            "categories": [{"id": "4", "name": "Garden"}],
        }
    }


@pytest.mark.parametrize(
    ("changes", "listed"),
    [
        ({"vad_sale_variant": False}, False),
        ({"vad_sale_variant": None}, True),
        ({"vad_sale_variant": 1}, True),
        ({"vad_variant_code": "  "}, False),
        ({"vad_variant_code": None}, False),
        ({"vad_description": ""}, False),
    ],
)
def test_a_variant_is_listed_when_it_is_sold_and_has_sku_and_name(changes: dict[str, Any], listed: bool) -> None:
    assert bool(records(variant(3, **changes), price(1, 3))) == listed


def test_the_products_name_stands_in_for_a_missing_one() -> None:
    assert record(variant(3, name=None, vad_pd_id=9), product(9, name="Pump"), price(1, 3))["name"] == "Pump"
    assert records(variant(3, name=None, vad_pd_id=9), product(9, name=" "), price(1, 3)) == {}


def test_a_variant_without_price_is_not_listed() -> None:
    assert records(variant(3)) == {}
    assert records(variant(3), price(1, 3, None)) == {}
    assert records(variant(3), price(1, 4)) == {}
    assert records(variant(3), price(1, 3, vafp_c_id=2)) == {}


@pytest.mark.parametrize(("amount", "per"), [("0.0000", "1.0000"), ("-5.0000", "1.0000"), ("1.0000", "1000.0000")])
def test_a_price_of_nothing_is_a_price_on_application(amount: str, per: str) -> None:
    found = tables(
        variant(3), price(1, 3, amount, vafp_price_per=per), variant(4, vad_sale_variant=False), price(2, 4, "0.0000")
    )
    assert catalogue_records(found, site()) == {}
    assert priced_on_application(found, site()) == 1


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Nuts &amp; bolts", "Nuts & bolts"),
        ("5&#8217; &lt;left&gt;", "5\u2019 <left>"),
        ("&amp;amp;", "&amp;"),
        ("R&D &notes &unknown; &", "R&D &notes &unknown; &"),
        ("a\tb\r\nc\x1b[1md\x07\x9b\n", "a b  c[1md"),
        ("&#10;&#0; ", "\ufffd"),
        ("&#7;", None),
    ],
)
def test_a_name_is_read_as_people_read_it(typed: str, shown: str | None) -> None:
    assert name(typed) == shown


def test_the_base_price_counts_then_the_lowest_key() -> None:
    rows = [variant(3), price(10, 3, "1.0000"), price(9, 3, "2.0000")]
    assert record(rows)["price"] == 2
    assert record(rows, price(11, 3, "3.0000", vafp_base_price=True))["price"] == 3
    base = price(11, 3, "3.0000", vafp_base_price=True), price(12, 3, "4.0000", vafp_base_price=True)
    assert record(rows, *base)["price"] == 3
    assert record(rows, price(11, 3, None, vafp_base_price=True))["price"] == 2
    assert record(rows, price(1, 3, "5.0000", vafp_c_id=2, vafp_base_price=True))["price"] == 2


@pytest.mark.parametrize(
    ("amount", "per", "unit"),
    [
        ("10.0000", "1.0000", "10.00"),
        ("10.0000", "1000.0000", "0.01"),
        ("1.0000", "3.0000", "0.33"),
        ("0.0450", "1.0000", "0.05"),
        ("0.0449", "1.0000", "0.04"),
        ("10.0000", None, "10.00"),
        ("10.0000", "0.0000", "10.00"),
        ("10.0000", "-2.0000", "10.00"),
    ],
)
def test_the_unit_price_is_rounded_half_up(amount: str, per: str | None, unit: str) -> None:
    assert str(record(variant(3), price(1, 3, amount, vafp_price_per=per))["price"]) == unit


@pytest.mark.parametrize(
    ("free", "shown"),
    [
        ([], 0),
        ([None], 0),
        (["2.9999"], 2),
        (["0.6000", "0.6000"], 1),
        (["5.0000", "-2.0000", None], 3),
        (["-0.5000"], 0),
        (["-7.0000"], 0),
    ],
)
def test_stock_is_summed_then_rounded_down_and_never_negative(free: list[str | None], shown: int) -> None:
    rows = [stock(key, 3, value) for key, value in enumerate(free, 1)]
    assert record(variant(3), price(1, 3), rows, stock(99, 4, "50.0000"))["stock"] == shown


def test_categories_are_those_with_a_name_each_once_by_id() -> None:
    rows = [category(20, "B"), category(5, "A"), category(6, " "), variant(3), price(1, 3)]
    members = [membership(key, 3, to) for key, to in enumerate((20, 5, 20, 6, 77, 0), 1)]
    assert record(rows, members)["categories"] == [{"id": "5", "name": "A"}, {"id": "20", "name": "B"}]
    assert "categories" not in record(rows, membership(1, 3, 6))


def test_a_product_that_does_not_exist_says_nothing() -> None:
    assert {"parent_id", "product_code", "product_name"}.isdisjoint(record(variant(3, vad_pd_id=9), price(1, 3)))
    assert record(variant(3, vad_pd_id=9), product(9, None, None), price(1, 3))["parent_id"] == "9"


def test_addresses_are_filled_in_and_percent_encoded_or_absent() -> None:
    catalogue = Catalogue(url="https://shop.example/{code}/{sku}?v={id}", image="https://shop.example/{sku}.jpg")
    rows = [variant(3, "Ø 1/2 & 50%", vad_pd_id=9), price(1, 3)]
    shown = record(rows, product(9, "P/9"), mapping=delivering(catalogue=catalogue))
    assert shown["url"] == "https://shop.example/P%2F9/%C3%98%201%2F2%20%26%2050%25?v=3"
    assert shown["image_path"] == "https://shop.example/%C3%98%201%2F2%20%26%2050%25.jpg"
    without_code = record(rows, product(9, " "), mapping=delivering(catalogue=catalogue))
    assert "url" not in without_code
    assert "image_path" in without_code


def test_a_site_may_have_no_catalogue_no_products_and_no_flags() -> None:
    rows = [variant(3, vad_sale_variant=False), price(1, 3), price(2, 3, "4.0000", vafp_base_price=True)]
    assert records(variant(3), price(1, 3), mapping=delivering(catalogue=None)) == {}
    without = site(products=None)
    assert records(variant(3), price(1, 3), mapping=without) == {}
    assert items(tables(variant(3)), without) == {}
    usual = default_mapping().products
    assert usual is not None
    bare = usual.model_copy(
        update={
            "variant": usual.variant.model_copy(update={"sold": None}),
            "price": usual.price.model_copy(update={"base": None, "per": None}),
        }
    )
    assert record(rows, mapping=site(products=bare))["price"] == 10
