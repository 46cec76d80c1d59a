"""The shop's tables as SQL sees them: the types of their columns, in SQL Server's words, and the names that a site gives them.

Types and nullability are what Orderwise's published tables let one expect. ``IDENTITY`` is left out: the shop numbers its rows
itself, and now and then changes a number, which an identity column does not allow.
"""

from dataclasses import dataclass
from typing import Final

from streams.mapping import Mapping
from testkit.simulate.tables import (
    CATEGORY,
    CONTACT,
    CUSTOMER,
    DESPATCH,
    DETAIL,
    ERASED,
    HEADER,
    KEYS,
    LINE,
    MEMBERSHIP,
    OPT_IN,
    PRICE,
    PRODUCT,
    RETURN,
    STATUS,
    STOCK,
    TOTAL,
    VARIANT,
    site_names,
)

INT: Final = "int"
BIT: Final = "bit"
DECIMAL: Final = "decimal(18,4)"
DATETIME: Final = "datetime"
MEMO: Final = "nvarchar(max)"


def _text(length: int) -> str:
    return f"nvarchar({length})"


COLUMNS: Final[dict[str, dict[str, str]]] = {
    STATUS: {"os_id": INT, "os_description": _text(100)},
    CUSTOMER: {
        "cd_id": INT,
        "cd_ow_account": _text(30),
        "cd_statement_name": _text(100),
        "cd_statement_address1": _text(100),
        "cd_statement_address2": _text(100),
        "cd_statement_address3": _text(100),
        "cd_statement_town": _text(100),
        "cd_statement_county": _text(100),
        "cd_statement_country": _text(100),
        "cd_statement_country_code": _text(3),
        "cd_statement_postcode": _text(20),
        "cd_statement_email": _text(255),
        "cd_statement_telephone": _text(50),
        "cd_statement_fax": _text(50),
        "cd_statement_website": _text(255),
        "cd_invoice_name": _text(100),
        "cd_invoice_address1": _text(100),
        "cd_invoice_address2": _text(100),
        "cd_invoice_address3": _text(100),
        "cd_invoice_town": _text(100),
        "cd_invoice_county": _text(100),
        "cd_invoice_country": _text(100),
        "cd_invoice_country_code": _text(3),
        "cd_invoice_postcode": _text(20),
        "cd_invoice_email": _text(255),
        "cd_invoice_telephone": _text(50),
        "cd_vat_number": _text(30),
        "cd_account_customer": BIT,
        "cd_c_id": INT,
        "cd_input_datetime": DATETIME,
        "cd_last_amended_datetime": DATETIME,
    },
    CONTACT: {
        "cc_id": INT,
        "cc_customer_id": INT,
        "cc_name": _text(100),
        "cc_first_name": _text(50),
        "cc_last_name": _text(50),
        "cc_position": _text(100),
        "cc_telephone": _text(50),
        "cc_email": _text(255),
        "cc_mobile": _text(50),
        "cc_fax": _text(50),
        "cc_extension": _text(20),
        "cc_salutation": _text(50),
        "cc_default": BIT,
        OPT_IN: BIT,
        ERASED: BIT,
        "cc_input_datetime": DATETIME,
        "cc_last_amended_datetime": DATETIME,
    },
    HEADER: {
        "oh_id": INT,
        "oh_order_number": _text(30),
        "oh_datetime": DATETIME,
        "oh_cd_id": INT,
        "oh_sot_id": INT,
        "oh_os_id": INT,
        "oh_sl_id": INT,
        "oh_cust_order_ref": _text(100),
        "oh_order_complete": BIT,
        "oh_ot_id": INT,
        "oh_cc_id": INT,
    },
    DETAIL: {
        "ohd_id": INT,
        "ohd_oh_id": INT,
        "ohd_dm_id": INT,
        "ohd_last_amended_datetime": DATETIME,
        "ohd_input_datetime": DATETIME,
        "ohd_taken_by": INT,
        "ohd_special_instructions": MEMO,
        "ohd_required_date": DATETIME,
        "ohd_c_id": INT,
        "ohd_delivery_name": _text(100),
        "ohd_delivery_address1": _text(100),
        "ohd_delivery_address2": _text(100),
        "ohd_delivery_address3": _text(100),
        "ohd_delivery_town": _text(100),
        "ohd_delivery_county": _text(100),
        "ohd_delivery_country_code": _text(3),
        "ohd_delivery_postcode": _text(20),
        "ohd_delivery_email": _text(255),
        "ohd_delivery_telephone": _text(50),
        "ohd_invoice_name": _text(100),
        "ohd_invoice_email": _text(255),
    },
    TOTAL: {
        "oht_id": INT,
        "oht_oh_id": INT,
        "oht_total_quantity": DECIMAL,
        "oht_net": DECIMAL,
        "oht_vat": DECIMAL,
        "oht_gross": DECIMAL,
        "oht_weight": DECIMAL,
        "oht_total_margin": DECIMAL,
        "oht_delivery_net": DECIMAL,
        "oht_delivery_gross": DECIMAL,
    },
    LINE: {
        "oli_id": INT,
        "oli_oh_id": INT,
        "oli_vad_id": INT,
        "oli_sl_id": INT,
        "oli_os_id": INT,
        "oli_pol_id": INT,
        "oli_original_oli_id": INT,
        "oli_vad_description": _text(250),
        "oli_rsp_net": DECIMAL,
        "oli_item_price": DECIMAL,
        "oli_price_per": DECIMAL,
        "oli_item_net": DECIMAL,
        "oli_item_vat": DECIMAL,
        "oli_item_gross": DECIMAL,
        "oli_line_net": DECIMAL,
        "oli_line_vat": DECIMAL,
        "oli_line_gross": DECIMAL,
        "oli_qty_required": DECIMAL,
        "oli_qty_sent": DECIMAL,
        "oli_qty_tbsent": DECIMAL,
        "oli_qty_cancelled": DECIMAL,
        "oli_date_required": DATETIME,
        "oli_date_promised": DATETIME,
        "oli_direct": BIT,
        "oli_back_to_back": BIT,
        "oli_last_amended_datetime": DATETIME,
    },
    DESPATCH: {
        "dh_id": INT,
        "dh_oh_id": INT,
        "dh_number": _text(30),
        "dh_datetime": DATETIME,
        "dh_consignment_number": _text(100),
    },
    RETURN: {
        "crh_id": INT,
        "crh_cd_id": INT,
        "crh_oh_id": INT,
        "crh_credit_oh_id": INT,
        "crh_return_number": _text(30),
        "crh_datetime": DATETIME,
        "crh_status": _text(50),
    },
    PRODUCT: {
        "pd_id": INT,
        "pd_product_code": _text(50),
        "pd_description": _text(250),
        "pd_option_1_description": _text(100),
        "pd_option_2_description": _text(100),
        "pd_option_3_description": _text(100),
        "pd_option_4_description": _text(100),
        "pd_last_amended_datetime": DATETIME,
    },
    VARIANT: {
        "vad_id": INT,
        "vad_pd_id": INT,
        "vad_variant_code": _text(50),
        "vad_description": _text(250),
        "vad_abv_description": _text(250),
        "vad_ean_code": _text(50),
        "vad_purchase_variant": BIT,
        "vad_sale_variant": BIT,
        "vad_quantity": DECIMAL,
        "vad_case_quantity": DECIMAL,
        "vad_uom": _text(10),
        "vad_weight": DECIMAL,
        "vad_volume": DECIMAL,
        "vad_length": DECIMAL,
        "vad_width": DECIMAL,
        "vad_depth": DECIMAL,
        "vad_commodity_code": _text(50),
        "vad_country_code_of_origin": _text(3),
        "vad_input_datetime": DATETIME,
        "vad_last_amended_datetime": DATETIME,
    },
    PRICE: {
        "vafp_id": INT,
        "vafp_vad_id": INT,
        "vafp_c_id": INT,
        "vafp_vr_id": INT,
        "vafp_rsp_exc_vat": DECIMAL,
        "vafp_rsp_inc_vat": DECIMAL,
        "vafp_price_per": DECIMAL,
        "vafp_base_price": BIT,
        "vafp_input_datetime": DATETIME,
        "vafp_last_amended_datetime": DATETIME,
    },
    STOCK: {
        "vasq_id": INT,
        "vasq_vad_id": INT,
        "vasq_free_stock_quantity": DECIMAL,
        "vasq_overall_stock_quantity": DECIMAL,
        "vasq_allocated_stock_quantity": DECIMAL,
        "vasq_stock_levels_last_calculated": DATETIME,
    },
    CATEGORY: {"ctn_id": INT, "ctn_parent_id": INT, "ctn_description": _text(150)},
    MEMBERSHIP: {"vac_id": INT, "vac_vad_id": INT, "vac_ctn_id": INT},
}
"""Usual table name to usual column name to type; the key comes first."""

REQUIRED: Final = frozenset(
    {
        *KEYS.values(),
        "os_description",
        "cd_statement_name",
        "oh_order_number",
        "oh_datetime",
        "oh_order_complete",
        "ohd_oh_id",
        "oht_oh_id",
        "ctn_parent_id",
        "ctn_description",
        "vac_vad_id",
        "vac_ctn_id",
    }
)
"""Columns that are never NULL. An account's flag, a contact's customer and a price may be: the shop empties them at times."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column at a site; ``type`` is SQL Server's."""

    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table at a site."""

    schema: str
    name: str
    key: str
    columns: tuple[Column, ...]

    @property
    def types(self) -> dict[str, str]:
        """Column name to type."""
        return {column.name: column.type for column in self.columns}


def site_tables(mapping: Mapping) -> list[Table]:
    """The shop's tables under the names that ``mapping`` gives them."""
    found: list[Table] = []
    for usual, names in site_names(mapping).items():
        columns = tuple(
            Column(names.columns.get(name, name), _type(mapping, name, kind), name in REQUIRED)
            for name, kind in COLUMNS[usual].items()
        )
        found.append(Table(mapping.source.schema_, names.table, names.key, columns))
    return found


def _type(mapping: Mapping, column: str, usual: str) -> str:
    """The type of a column at a site: consent that is not told by true and false is told by words, and so is erasure."""
    consent, erasure = mapping.consent, mapping.erasure
    words = column == OPT_IN and "true" not in consent.opted_in | consent.opted_out
    words |= column == ERASED and erasure is not None and "true" not in erasure.erased
    return _text(50) if words else usual
