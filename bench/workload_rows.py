"""The rows of the benchmarks' shop, as wide as Orderwise's."""

import random
from dataclasses import dataclass
from typing import Any, Final

Row = dict[str, Any]

START: Final = 1_767_225_600
"""When the shop opened, in seconds since 1970."""


@dataclass(slots=True)
class Order:
    """An order as it is now; ``net`` in ten-thousandths, ``at`` in seconds since 1970."""

    order: int
    customer: int
    net: int
    at: int
    status: int = 1

    def row(self) -> Row:
        """Its header."""
        return {
            "oh_id": self.order,
            "oh_order_number": f"SO{self.order:07d}",
            "oh_datetime": timestamp(self.at),
            "oh_cd_id": self.customer,
            "oh_sot_id": 1,
            "oh_os_id": self.status,
            "oh_sl_id": 1,
            "oh_cust_order_ref": f"WEB-{100000 + self.order}",
            "oh_order_complete": self.status == 6,
            "oh_ot_id": 1,
            "oh_cc_id": None,
            "oh_despatch_complete": self.status in (5, 6),
            "oh_invoice_complete": False,
            "oh_discount_percent": "0.0000",
            "oh_settlement_days": 30,
            "oh_analysis_1": None,
            "oh_analysis_2": "",
            "oh_analysis_3": None,
            "oh_sales_channel": "Website",
            "oh_payment_method": "Card",
        }

    def total_row(self) -> Row:
        """Its total."""
        return {
            "oht_id": self.order,
            "oht_oh_id": self.order,
            "oht_total_quantity": "2.0000",
            "oht_net": decimal(self.net),
            "oht_vat": decimal(self.net // 5),
            "oht_gross": decimal(self.net + self.net // 5),
            "oht_weight": "0.7000",
            "oht_total_margin": decimal(self.net * 3 // 10),
            "oht_delivery_net": "0.0000",
            "oht_delivery_vat": "0.0000",
            "oht_delivery_gross": "0.0000",
            "oht_discount_net": "0.0000",
            "oht_paid": "0.0000",
            "oht_settlement_net": "0.0000",
            "oht_settlement_vat": "0.0000",
            "oht_currency_net": decimal(self.net),
            "oht_currency_vat": decimal(self.net // 5),
            "oht_currency_gross": decimal(self.net + self.net // 5),
            "oht_last_amended_datetime": timestamp(self.at),
        }


def email(customer: int) -> str:
    """The address of a customer's only contact."""
    return f"person.{customer}@example.com"


def customer_of(address: str) -> int:
    """The customer whose contact has the address."""
    return int(address.partition("@")[0].removeprefix("person."))


def decimal(units: int) -> str:
    """Ten-thousandths as Debezium writes ``decimal(18,4)`` in string mode."""
    return f"{units // 10_000}.{units % 10_000:04d}"


def timestamp(at: int) -> str:
    """Seconds since 1970 as Debezium writes a ``datetime``."""
    minutes, seconds = divmod(at - START, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"2026-{1 + days // 28 % 12:02d}-{1 + days % 28:02d}T{hours:02d}:{minutes:02d}:{seconds:02d}Z"


def customer_row(rng: random.Random, key: int) -> Row:
    """An account."""
    number = f"01{rng.randrange(10**8, 10**9)}"
    return {
        "cd_id": key,
        "cd_ow_account": f"WEB{key:06d}",
        "cd_statement_name": f"Customer {key}",
        "cd_statement_address1": f"{rng.randrange(1, 200)} High Street",
        "cd_statement_address2": None,
        "cd_statement_town": "Lincoln",
        "cd_statement_county": "",
        "cd_statement_country": "United Kingdom",
        "cd_statement_country_code": "GB",
        "cd_statement_postcode": f"LN{rng.randrange(1, 9)} 1AA",
        "cd_statement_email": None,
        "cd_statement_telephone": number,
        "cd_statement_fax": None,
        "cd_invoice_name": None,
        "cd_invoice_address1": None,
        "cd_invoice_town": None,
        "cd_invoice_country": None,
        "cd_invoice_postcode": None,
        "cd_invoice_email": None,
        "cd_vat_number": None,
        "cd_account_customer": key % 10 == 0,
        "cd_c_id": 1,
        "cd_input_datetime": "2026-01-01T00:00:00Z",
        "cd_last_amended_datetime": "2026-01-01T00:00:00Z",
    }


def contact_row(rng: random.Random, key: int) -> Row:
    """A person, of the account with the same key."""
    return {
        "cc_id": key,
        "cc_customer_id": key,
        "cc_name": f"Pat Person{key}",
        "cc_first_name": "Pat",
        "cc_last_name": f"Person{key}",
        "cc_position": rng.choice((None, "", "Buyer", "Owner")),
        "cc_telephone": f"01{rng.randrange(10**8, 10**9)}",
        "cc_email": email(key),
        "cc_mobile": f"07{rng.randrange(10**8, 10**9)}",
        "cc_fax": None,
        "cc_extension": None,
        "cc_salutation": "Pat",
        "cc_default": True,
        "cc_department": None,
        "cc_address1": f"{rng.randrange(1, 200)} High Street",
        "cc_address2": None,
        "cc_town": "Lincoln",
        "cc_county": "",
        "cc_country_code": "GB",
        "cc_postcode": f"LN{rng.randrange(1, 9)} 1AA",
        "cc_input_datetime": "2026-01-01T00:00:00Z",
        "cc_last_amended_datetime": "2026-01-01T00:00:00Z",
    }


def line_row(rng: random.Random, key: int, order: Order) -> Row:
    """One of an order's lines."""
    net, variant = order.net // 2, rng.randrange(1, 2000)
    price, vat, at = decimal(net), decimal(net // 5), timestamp(order.at)
    return {
        "oli_id": key,
        "oli_oh_id": order.order,
        "oli_vad_id": variant,
        "oli_sl_id": 1,
        "oli_os_id": 1,
        "oli_pol_id": 0,
        "oli_original_oli_id": None,
        "oli_vad_description": f"Variant {variant}, boxed",
        "oli_rsp_net": price,
        "oli_item_price": price,
        "oli_price_per": "1.0000",
        "oli_item_net": price,
        "oli_item_vat": vat,
        "oli_item_gross": decimal(net + net // 5),
        "oli_line_net": price,
        "oli_line_vat": vat,
        "oli_line_gross": decimal(net + net // 5),
        "oli_qty_required": "1.0000",
        "oli_qty_sent": "0.0000",
        "oli_qty_tbsent": "1.0000",
        "oli_qty_cancelled": "0.0000",
        "oli_date_required": at,
        "oli_date_promised": at,
        "oli_direct": False,
        "oli_back_to_back": False,
        "oli_last_amended_datetime": at,
    }
