"""Whole rows of what is sold and of what comes back, with the columns that nobody maps too."""

import random

from testkit.simulate.row_builders import UNITS, decimal
from testkit.simulate.tables import Row, Value


def product(key: int, *, code: Value, name: Value, at: str) -> Row:
    return {
        "pd_id": key,
        "pd_product_code": code,
        "pd_description": name,
        "pd_option_1_description": "Size",
        "pd_option_2_description": "Colour",
        "pd_option_3_description": None,
        "pd_option_4_description": "",
        "pd_last_amended_datetime": at,
    }


def variant(rng: random.Random, key: int, *, product: Value, code: Value, name: Value, sold: Value, at: str) -> Row:
    return {
        "vad_id": key,
        "vad_pd_id": product,
        "vad_variant_code": code,
        "vad_description": name,
        "vad_abv_description": None,
        "vad_ean_code": f"50{rng.randrange(10**11):011d}",
        "vad_purchase_variant": rng.random() < 0.9,
        "vad_sale_variant": sold,
        "vad_quantity": decimal(UNITS),
        "vad_case_quantity": decimal(rng.choice((1, 6, 12)) * UNITS),
        "vad_uom": rng.choice(("EA", "M", "PK")),
        "vad_weight": decimal(rng.randrange(1, 200_000)),
        "vad_volume": None,
        "vad_length": None,
        "vad_width": None,
        "vad_depth": None,
        "vad_commodity_code": "73181900",
        "vad_country_code_of_origin": "GB",
        "vad_input_datetime": at,
        "vad_last_amended_datetime": at,
    }


def price(key: int, *, variant: Value, currency: Value, amount: int | None, per: Value, base: Value, at: str) -> Row:
    return {
        "vafp_id": key,
        "vafp_vad_id": variant,
        "vafp_c_id": currency,
        "vafp_vr_id": 1,
        **price_money(amount),
        "vafp_price_per": per,
        "vafp_base_price": base,
        "vafp_input_datetime": at,
        "vafp_last_amended_datetime": at,
    }


def price_money(amount: int | None) -> Row:
    """The columns of a price row that move together."""
    if amount is None:
        return {"vafp_rsp_exc_vat": None, "vafp_rsp_inc_vat": None}
    return {"vafp_rsp_exc_vat": decimal(amount), "vafp_rsp_inc_vat": decimal(amount + amount // 5)}


def stock(key: int, *, variant: Value, free: int | None, at: str) -> Row:
    return {
        "vasq_id": key,
        "vasq_vad_id": variant,
        "vasq_free_stock_quantity": None if free is None else decimal(free),
        "vasq_overall_stock_quantity": decimal(max(0, free or 0)),
        "vasq_allocated_stock_quantity": decimal(0),
        "vasq_stock_levels_last_calculated": at,
    }


def category(key: int, *, parent: int, name: str) -> Row:
    return {"ctn_id": key, "ctn_parent_id": parent, "ctn_description": name}


def membership(key: int, *, variant: int, category: int) -> Row:
    return {"vac_id": key, "vac_vad_id": variant, "vac_ctn_id": category}


def customer_return(key: int, *, customer: Value, order: Value, number: Value, at: Value) -> Row:
    return {
        "crh_id": key,
        "crh_cd_id": customer,
        "crh_oh_id": order,
        "crh_credit_oh_id": None,
        "crh_return_number": number,
        "crh_datetime": at,
        "crh_status": "Awaiting goods",
    }
