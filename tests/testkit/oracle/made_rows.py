"""Literal rows for the oracle's tests: every builder fills in what its test does not care about."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any

from streams.mapping import Mapping, load_mapping
from streams.mapping.model import Currency
from streams.mapping.tables import Return
from testkit.oracle import Expected, expected_contacts

HOUSE = 1
STATUSES = {1: "Awaiting despatch", 2: "On hold", 3: "Cancelled", 4: " COMPLETED ", 5: "Partially despatched"}
OPEN, HELD, CANCELLED, COMPLETED, PART = STATUSES

RETURNS = Return(table="customer_return_header", key="crh_id", order="crh_oh_id", number="crh_return_number", at="crh_datetime")

Row = dict[str, Any]
Rows = Any
"""A row, or a list of rows and lists."""


@cache
def default_mapping() -> Mapping:
    return load_mapping()


def site(**changes: Any) -> Mapping:
    """The default mapping with one house account, the euro and a table of returns."""
    usual = default_mapping()
    currencies = usual.order.currencies | {2: Currency(code="EUR", rate=Decimal("0.8537"))}
    order = usual.order.model_copy(update={"currencies": currencies})
    return usual.model_copy(update={"house_accounts": frozenset({HOUSE}), "order": order, "returns": RETURNS} | changes)


def delivering(**parts: Any) -> Mapping:
    """A site that delivers these parts in another way than usual."""
    return site(delivery=default_mapping().delivery.model_copy(update=parts))


def with_consent() -> Mapping:
    """A site that records consent."""
    consent = default_mapping().consent.model_copy(update={"mode": "column", "column": "cc_marketing_opt_in"})
    return site(consent=consent)


def customer(key: int, **changes: Any) -> Row:
    return {
        "cd_id": key,
        "cd_ow_account": None,
        "cd_account_customer": False,
        "cd_statement_email": None,
        "cd_invoice_email": None,
    } | changes


def contact(key: int, customer: int | None, email: str | None, **changes: Any) -> Row:
    return {
        "cc_id": key,
        "cc_customer_id": customer,
        "cc_email": email,
        "cc_first_name": None,
        "cc_last_name": None,
        "cc_name": None,
        "cc_marketing_opt_in": None,
    } | changes


def header(key: int, customer: int | None, **changes: Any) -> Row:
    return {
        "oh_id": key,
        "oh_order_number": f"SO-{key}",
        "oh_datetime": f"2026-01-{key % 28 + 1:02d}T12:00:00Z",
        "oh_cd_id": customer,
        "oh_sot_id": 1,
        "oh_os_id": COMPLETED,
    } | changes


def detail(key: int, order: int, **changes: Any) -> Row:
    row = {"ohd_id": key, "ohd_oh_id": order, "ohd_delivery_email": None, "ohd_invoice_email": None, "ohd_c_id": 1}
    return row | changes


def total(key: int, order: int, net: str | None) -> Row:
    return {"oht_id": key, "oht_oh_id": order, "oht_net": net}


def line(key: int, order: int, original: int | None = None, **changes: Any) -> Row:
    row: Row = {"oli_id": key, "oli_oh_id": order, "oli_original_oli_id": original}
    return row | {"oli_vad_id": None, "oli_qty_required": "1.0000", "oli_line_net": "0.0000"} | changes


def despatch(key: int, order: int, at: str | None) -> Row:
    return {"dh_id": key, "dh_oh_id": order, "dh_datetime": at, "dh_consignment_number": f"P{order}"}


def returned(key: int, order: int | None, number: str | None, at: str | None = None) -> Row:
    return {"crh_id": key, "crh_oh_id": order, "crh_return_number": number, "crh_datetime": at}


def product(key: int, code: str | None = "P1", name: str | None = "Pump") -> Row:
    return {"pd_id": key, "pd_product_code": code, "pd_description": name}


def variant(key: int, code: str | None = "SKU", name: str | None = "Small pump", **changes: Any) -> Row:
    row: Row = {"vad_id": key, "vad_pd_id": None, "vad_variant_code": code, "vad_description": name}
    return row | {"vad_sale_variant": True} | changes


def price(key: int, variant: int, amount: str | None = "10.0000", **changes: Any) -> Row:
    row: Row = {"vafp_id": key, "vafp_vad_id": variant, "vafp_rsp_exc_vat": amount}
    return row | {"vafp_c_id": 1, "vafp_price_per": "1.0000", "vafp_base_price": False} | changes


def stock(key: int, variant: int, free: str | None) -> Row:
    return {"vasq_id": key, "vasq_vad_id": variant, "vasq_free_stock_quantity": free}


def category(key: int, name: str) -> Row:
    return {"ctn_id": key, "ctn_description": name}


def membership(key: int, variant: int, category: int) -> Row:
    return {"vac_id": key, "vac_vad_id": variant, "vac_ctn_id": category}


def order(key: int, customer: int | None, net: str | None = "100.0000", **changes: Any) -> list[Row]:
    """An order with detail, total and one line; ``email`` goes to the detail, everything else to the header."""
    email = changes.pop("email", None)
    return [
        header(key, customer, **changes),
        detail(key, key, ohd_delivery_email=email),
        total(key, key, net),
        line(key, key),
    ]


def credit(key: int, customer: int | None, net: str = "10.0000", **changes: Any) -> list[Row]:
    """A credit note without line references."""
    return order(key, customer, net, **({"oh_sot_id": 4, "oh_order_number": f"CN-{key}"} | changes))


_TABLES = {
    "cd_id": "customer_detail",
    "cc_id": "customer_contact",
    "oh_id": "order_header",
    "ohd_id": "order_header_detail",
    "oht_id": "order_header_total",
    "oli_id": "order_line_item",
    "dh_id": "delivery_header",
    "os_id": "order_status",
    "crh_id": "customer_return_header",
    "pd_id": "product_detail",
    "vad_id": "variant_detail",
    "vafp_id": "variant_foreign_price",
    "vasq_id": "variant_stock_quantity",
    "ctn_id": "category_treeview_node",
    "vac_id": "variant_category",
}


def _flat(rows: Iterable[Rows]) -> Iterator[Row]:
    for item in rows:
        if isinstance(item, dict):
            yield item
        else:
            yield from _flat(item)


def tables(*rows: Rows, statuses: dict[int, str] | None = None) -> dict[str, dict[str, Row]]:
    """Rows by table and key; the statuses are there unless others are given."""
    known = STATUSES if statuses is None else statuses
    flat = list(_flat(rows))
    flat += [{"os_id": key, "os_description": text} for key, text in known.items()]
    made: dict[str, dict[str, Row]] = {table: {} for table in _TABLES.values()}
    for row in flat:
        column = next(iter(row))
        made[_TABLES[column]][str(row[column])] = row
    return made


def contacts(*rows: Rows, mapping: Mapping | None = None) -> dict[str, Expected]:
    """The contacts that these rows make."""
    return expected_contacts(tables(*rows), mapping or site())


def fields(email: str, *rows: Rows, mapping: Mapping | None = None) -> dict[str, Any]:
    """The data fields of one contact that these rows make."""
    return dict(contacts(*rows, mapping=mapping)[email].fields)
