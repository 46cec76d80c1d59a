"""The shop's tables under their usual Orderwise names, and how a site's mapping renames them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from streams.mapping import Mapping, load_mapping
from streams.mapping.tables import Return, Section

Value = str | int | bool | None
Row = dict[str, Value]

CUSTOMER: Final = "customer_detail"
CONTACT: Final = "customer_contact"
HEADER: Final = "order_header"
DETAIL: Final = "order_header_detail"
TOTAL: Final = "order_header_total"
LINE: Final = "order_line_item"
DESPATCH: Final = "delivery_header"
STATUS: Final = "order_status"
RETURN: Final = "customer_return_header"
PRODUCT: Final = "product_detail"
VARIANT: Final = "variant_detail"
PRICE: Final = "variant_foreign_price"
STOCK: Final = "variant_stock_quantity"
CATEGORY: Final = "category_treeview_node"
MEMBERSHIP: Final = "variant_category"

KEYS: Final = {
    LINE: "oli_id",
    TOTAL: "oht_id",
    DESPATCH: "dh_id",
    DETAIL: "ohd_id",
    HEADER: "oh_id",
    CONTACT: "cc_id",
    CUSTOMER: "cd_id",
    RETURN: "crh_id",
    MEMBERSHIP: "vac_id",
    STOCK: "vasq_id",
    PRICE: "vafp_id",
    VARIANT: "vad_id",
    PRODUCT: "pd_id",
    CATEGORY: "ctn_id",
    STATUS: "os_id",
}
"""Table to key column, in snapshot order: parts before wholes, and the statuses that explain them last of all."""

LOB_COLUMN: Final = {DETAIL: "ohd_special_instructions"}
"""The ``nvarchar(max)`` column, whose old image SQL Server does not keep."""

OPT_IN: Final = "cc_marketing_opt_in"
ERASED: Final = "cc_gdpr_erased"

_RETURNS = Return(table=RETURN, key="crh_id", order="crh_oh_id", number="crh_return_number", at="crh_datetime")
"""The usual names of what the default mapping does not map."""


@dataclass(frozen=True, slots=True)
class TableNames:
    """One table as the site calls it; ``columns`` holds only the columns that the site renames."""

    table: str
    key: str
    columns: dict[str, str]


def site_names(mapping: Mapping) -> dict[str, TableNames]:
    """Usual table name to the names that ``mapping`` gives it; a site has only the tables that it maps."""
    names: dict[str, TableNames] = {}
    usual = load_mapping().named_sections | {"return": _RETURNS}
    for part, theirs in mapping.named_sections.items():
        ours = usual[part]
        columns = dict(_columns(ours, theirs))
        if ours.table == CONTACT and mapping.consent.column is not None:
            columns[OPT_IN] = mapping.consent.column
        if ours.table == CONTACT and mapping.erasure is not None:
            columns[ERASED] = mapping.erasure.column
        renamed = {old: new for old, new in columns.items() if old != new}
        names[ours.table] = TableNames(theirs.table, theirs.key, renamed)
    return names


def _columns(ours: Section, theirs: Section) -> Iterator[tuple[str, str]]:
    for name in type(ours).model_fields:
        old, new = getattr(ours, name), getattr(theirs, name)
        if name == "table" or old is None or new is None:
            continue
        if isinstance(old, tuple):
            # A site that maps fewer columns still has the others.
            yield from zip(old, new, strict=False)
        else:
            yield old, new
