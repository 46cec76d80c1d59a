"""Whole rows of every table, with the columns that nobody maps too: an event is as wide as a real one."""

import random
from dataclasses import dataclass
from typing import Final

from testkit.simulate.people import STREETS, TOWNS, phone, postcode
from testkit.simulate.tables import ERASED, OPT_IN, Row, Value

UNITS: Final = 10_000
"""Money and quantities are whole numbers of ten-thousandths, as in ``decimal(18,4)``."""


def decimal(units: int) -> str:
    """``decimal(18,4)`` as Debezium writes it in string mode."""
    sign, size = ("-", -units) if units < 0 else ("", units)
    return f"{sign}{size // UNITS}.{size % UNITS:04d}"


def units(value: Value) -> int:
    """A ``decimal(18,4)`` column in ten-thousandths; 0 for ``NULL``."""
    return 0 if value is None else int(str(value).replace(".", ""))


@dataclass(frozen=True, slots=True)
class Line:
    """What a line is about; ``original`` is the line that a credit takes back."""

    variant: Value
    quantity: int
    price: int
    original: Value = None

    @property
    def net(self) -> int:
        return self.quantity * self.price


def customer(
    rng: random.Random, key: int, *, name: str, account: Value, trade: bool, statement: Value, invoice: Value, at: str
) -> Row:
    street, town, code, number = rng.choice(STREETS), rng.choice(TOWNS), postcode(rng), phone(rng)
    return {
        "cd_id": key,
        "cd_ow_account": account,
        "cd_statement_name": name,
        "cd_statement_address1": f"{rng.randrange(1, 200)} {street}",
        "cd_statement_address2": None,
        "cd_statement_address3": None,
        "cd_statement_town": town,
        "cd_statement_county": "",
        "cd_statement_country": "United Kingdom",
        "cd_statement_country_code": "GB",
        "cd_statement_postcode": code,
        "cd_statement_email": statement,
        "cd_statement_telephone": number,
        "cd_statement_fax": None,
        "cd_statement_website": None,
        "cd_invoice_name": name if trade else None,
        "cd_invoice_address1": street if trade else None,
        "cd_invoice_address2": None,
        "cd_invoice_address3": None,
        "cd_invoice_town": town if trade else None,
        "cd_invoice_county": None,
        "cd_invoice_country": "United Kingdom" if trade else None,
        "cd_invoice_country_code": "GB" if trade else None,
        "cd_invoice_postcode": code if trade else None,
        "cd_invoice_email": invoice,
        "cd_invoice_telephone": number if trade else None,
        "cd_vat_number": "GB999999973" if trade else None,
        "cd_account_customer": trade,
        "cd_c_id": 1,
        "cd_input_datetime": at,
        "cd_last_amended_datetime": at,
    }


def contact(
    rng: random.Random,
    key: int,
    *,
    customer: Value,
    first: Value,
    last: Value,
    full: Value,
    email: Value,
    opt_in: Value,
    at: str,
) -> Row:
    return {
        "cc_id": key,
        "cc_customer_id": customer,
        "cc_name": full,
        "cc_first_name": first,
        "cc_last_name": last,
        "cc_position": rng.choice((None, "", "Buyer", "Accounts", "Owner")),
        "cc_telephone": phone(rng),
        "cc_email": email,
        "cc_mobile": phone(rng),
        "cc_fax": None,
        "cc_extension": None,
        "cc_salutation": first,
        "cc_default": True,
        OPT_IN: opt_in,
        ERASED: None,
        "cc_input_datetime": at,
        "cc_last_amended_datetime": at,
    }


def header(
    key: int, *, number: str, at: str, customer: Value, type_id: Value, status: Value, done: bool, contact: Value = None
) -> Row:
    return {
        "oh_id": key,
        "oh_order_number": number,
        "oh_datetime": at,
        "oh_cd_id": customer,
        "oh_sot_id": type_id,
        "oh_os_id": status,
        "oh_sl_id": 1,
        "oh_cust_order_ref": f"WEB-{100000 + key}",
        "oh_order_complete": done,
        "oh_ot_id": 1,
        "oh_cc_id": contact,
    }


def detail(
    rng: random.Random, key: int, *, order: int, currency: Value, name: str, email: Value, invoice_email: Value, at: str
) -> Row:
    return {
        "ohd_id": key,
        "ohd_oh_id": order,
        "ohd_dm_id": rng.randrange(1, 6),
        "ohd_last_amended_datetime": at,
        "ohd_input_datetime": at,
        "ohd_taken_by": rng.randrange(1, 9),
        "ohd_special_instructions": rng.choice((None, "Leave with a neighbour", "Ring before delivery")),
        "ohd_required_date": at,
        "ohd_c_id": currency,
        "ohd_delivery_name": name,
        "ohd_delivery_address1": f"{rng.randrange(1, 200)} {rng.choice(STREETS)}",
        "ohd_delivery_address2": None,
        "ohd_delivery_address3": "",
        "ohd_delivery_town": rng.choice(TOWNS),
        "ohd_delivery_county": None,
        "ohd_delivery_country_code": "GB",
        "ohd_delivery_postcode": postcode(rng),
        "ohd_delivery_email": email,
        "ohd_delivery_telephone": phone(rng),
        "ohd_invoice_name": name,
        "ohd_invoice_email": invoice_email,
    }


def total(key: int, *, order: int, quantity: int, net: int | None) -> Row:
    known = 0 if net is None else net
    return {
        "oht_id": key,
        "oht_oh_id": order,
        "oht_total_quantity": decimal(quantity * UNITS),
        **total_money(net),
        "oht_weight": decimal(quantity * 3500),
        "oht_total_margin": decimal(known * 3 // 10),
        "oht_delivery_net": decimal(0),
        "oht_delivery_gross": decimal(0),
    }


def total_money(net: int | None) -> Row:
    """The columns of a total row that move together."""
    if net is None:
        return {"oht_net": None, "oht_vat": None, "oht_gross": None}
    return {"oht_net": decimal(net), "oht_vat": decimal(net // 5), "oht_gross": decimal(net + net // 5)}


def line(key: int, *, order: int, status: Value, item: Line, at: str) -> Row:
    net, vat, quantity = item.net, item.net // 5, decimal(item.quantity * UNITS)
    price, tax = decimal(item.price), decimal(item.price // 5)
    return {
        "oli_id": key,
        "oli_oh_id": order,
        "oli_vad_id": item.variant,
        "oli_sl_id": 1,
        "oli_os_id": status,
        "oli_pol_id": 0,
        "oli_original_oli_id": item.original,
        "oli_vad_description": f"Variant {item.variant}, boxed",
        "oli_rsp_net": price,
        "oli_item_price": price,
        "oli_price_per": "1.0000",
        "oli_item_net": price,
        "oli_item_vat": tax,
        "oli_item_gross": decimal(item.price + item.price // 5),
        "oli_line_net": decimal(net),
        "oli_line_vat": decimal(vat),
        "oli_line_gross": decimal(net + vat),
        "oli_qty_required": quantity,
        "oli_qty_sent": "0.0000",
        "oli_qty_tbsent": quantity,
        "oli_qty_cancelled": "0.0000",
        "oli_date_required": at,
        "oli_date_promised": at,
        "oli_direct": False,
        "oli_back_to_back": False,
        "oli_last_amended_datetime": at,
    }


def despatch(key: int, *, order: int, at: Value) -> Row:
    return {
        "dh_id": key,
        "dh_oh_id": order,
        "dh_number": f"D{key:07d}",
        "dh_datetime": at,
        "dh_consignment_number": f"JD{key:012d}GB",
    }


def status(key: int, text: str) -> Row:
    return {"os_id": key, "os_description": text}
