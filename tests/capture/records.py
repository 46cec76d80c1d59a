"""Rows and envelopes as Debezium's recommended modes write them for the default mapping, for tests to spoil.

Each row has unmapped columns too, personal ones among them, because a captured row always does.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Row: TypeAlias = dict[str, Any]

AT: Final = "2026-03-05T08:41:12.25Z"
LSN: Final = "0000003a:000012f8:0004"

CUSTOMER: Final[Row] = {
    "cd_id": 7,
    "cd_ow_account": "BRI001",
    "cd_statement_name": "Bright Ltd",
    "cd_account_customer": True,
    "cd_statement_email": "accounts@bright.co.uk",
    "cd_invoice_email": None,
}
CONTACT: Final[Row] = {
    "cc_id": 70,
    "cc_customer_id": 7,
    "cc_name": "Ann Lee",
    "cc_first_name": "Ann",
    "cc_last_name": "Lee",
    "cc_email": "Ann@Bright.co.uk",
    "cc_mobile": "07700 900123",
}
HEADER: Final[Row] = {
    "oh_id": 5,
    "oh_order_number": "SO10042",
    "oh_datetime": AT,
    "oh_cd_id": 7,
    "oh_sot_id": 1,
    "oh_os_id": 2,
    "oh_cust_order_ref": "WEB-100005",
}
DETAIL: Final[Row] = {
    "ohd_id": 50,
    "ohd_oh_id": 5,
    "ohd_c_id": 1,
    "ohd_delivery_name": "Ann Lee",
    "ohd_delivery_email": "ann@bright.co.uk",
    "ohd_invoice_email": None,
}
TOTAL: Final[Row] = {"oht_id": 51, "oht_oh_id": 5, "oht_net": "140.0000", "oht_vat": "28.0000"}
LINE: Final[Row] = {
    "oli_id": 52,
    "oli_oh_id": 5,
    "oli_vad_id": 900,
    "oli_original_oli_id": 0,
    "oli_qty_required": "2.0000",
    "oli_line_net": "140.0000",
    "oli_date_required": AT,
}
DESPATCH: Final[Row] = {
    "dh_id": 53,
    "dh_oh_id": 5,
    "dh_number": "D0000053",
    "dh_datetime": AT,
    "dh_consignment_number": "JD000000000053GB",
}
STATUS: Final[Row] = {"os_id": 2, "os_description": "Awaiting Despatch "}
PRODUCT: Final[Row] = {"pd_id": 90, "pd_product_code": "KET", "pd_description": "Kettle", "pd_option_1_description": "Colour"}
VARIANT: Final[Row] = {
    "vad_id": 900,
    "vad_pd_id": 90,
    "vad_variant_code": " KET-RED ",
    "vad_description": "Kettle, red",
    "vad_sale_variant": True,
    "vad_weight": "1.2000",
}
PRICE: Final[Row] = {
    "vafp_id": 91,
    "vafp_vad_id": 900,
    "vafp_c_id": 1,
    "vafp_rsp_exc_vat": "140.0000",
    "vafp_rsp_inc_vat": "168.0000",
    "vafp_price_per": "2.0000",
    "vafp_base_price": True,
}
STOCK: Final[Row] = {
    "vasq_id": 92,
    "vasq_vad_id": 900,
    "vasq_free_stock_quantity": "12.0000",
    "vasq_overall_stock_quantity": "14.0000",
}
CATEGORY: Final[Row] = {"ctn_id": 93, "ctn_parent_id": 0, "ctn_description": "Kitchen"}
MEMBERSHIP: Final[Row] = {"vac_id": 94, "vac_vad_id": 900, "vac_ctn_id": 93}

ROWS: Final[dict[str, Row]] = {
    "customer_detail": CUSTOMER,
    "customer_contact": CONTACT,
    "order_header": HEADER,
    "order_header_detail": DETAIL,
    "order_header_total": TOTAL,
    "order_line_item": LINE,
    "delivery_header": DESPATCH,
    "order_status": STATUS,
    "product_detail": PRODUCT,
    "variant_detail": VARIANT,
    "variant_foreign_price": PRICE,
    "variant_stock_quantity": STOCK,
    "category_treeview_node": CATEGORY,
    "variant_category": MEMBERSHIP,
}
"""One row of every mapped table; its primary key is its first column."""


def key(table: str) -> bytes:
    """The record key of the table's sample row."""
    column = next(iter(ROWS[table]))
    return json.dumps({column: ROWS[table][column]}).encode()


def source(table: str) -> Row:
    """The ``source`` block of a streamed change."""
    return {
        "version": "3.6.3.Final",
        "connector": "sqlserver",
        "name": "ow",
        "ts_ms": 1772700072613,
        "snapshot": "false",
        "db": "Orderwise",
        "sequence": None,
        "ts_us": 1772700072613000,
        "ts_ns": 1772700072613000000,
        "schema": "dbo",
        "table": table,
        "change_lsn": "0000003a:000012f8:0002",
        "commit_lsn": LSN,
        "event_serial_no": 1,
    }


def message(table: str, op: str = "c", before: Row | None = None, after: Row | None = None) -> Row:
    """An envelope; without rows, the sample row stands on every side that ``op`` has."""
    row = ROWS[table]
    if before is None and op in "ud":
        before = row
    if after is None and op in "cur":
        after = row
    return {
        "before": before,
        "after": after,
        "source": source(table),
        "transaction": None,
        "op": op,
        "ts_ms": 1772700073190,
        "ts_us": 1772700073190482,
        "ts_ns": 1772700073190482117,
    }


def with_schemas(payload: Row, types: Mapping[str, Row]) -> Row:
    """``payload`` in the wrapper of ``schemas.enable=true``; ``types`` gives the schema of columns that are no text."""
    row = payload["after"] or payload["before"]
    fields = [{"type": "string", "optional": True, "field": name} | types.get(name, {}) for name in row]
    sides = [
        {"type": "struct", "fields": fields, "optional": True, "name": "ow.Orderwise.dbo.Value", "field": side}
        for side in ("before", "after")
    ]
    rest = [{"type": "string", "optional": False, "field": "op"}]
    schema = {"type": "struct", "fields": [*sides, *rest], "optional": False, "name": "Envelope", "version": 2}
    return {"schema": schema, "payload": payload}


def decimal_type(scale: int, precision: int = 18) -> Row:
    """The schema of a ``precise`` decimal column."""
    return {
        "type": "bytes",
        "name": "org.apache.kafka.connect.data.Decimal",
        "version": 1,
        "parameters": {"scale": str(scale), "connect.decimal.precision": str(precision)},
    }


def time_type(name: str) -> Row:
    """The schema of a column with one of Debezium's or Connect's temporal types."""
    return {"type": "int64", "name": name, "version": 1}


def encoded(value: object) -> bytes:
    """JSON as Kafka Connect writes it: no spaces, text as it is."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
