"""What each code of something set aside means, in words for people, and the command that settles it.

``docs/dead-letters.md``, ``docs/dotdigital-codes.md`` and ``docs/operations.md`` say more; a test holds the codes together.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from streams.dotdigital.codes import CODES, ErrorClass

Kind: TypeAlias = Literal["dead letter", "parked", "held", "frozen", "removals"]
"""How something is set aside."""


class Cause(StrEnum):
    """What must change before it can go on."""

    DATA = "data"
    """Somebody corrects a row in Orderwise, or a contact in Dotdigital."""
    CONFIGURATION = "configuration"
    """An engineer changes the mapping, the connector or the account."""
    CONNECTIVITY = "connectivity"
    """It goes on by itself once another system answers."""
    WAITING = "waiting"
    """It goes on by itself once a row arrives, or a person decides."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A code: what must change, what it means, and what to do."""

    cause: Cause
    words: str
    remedy: str


_D, _C, _W = Cause.DATA, Cause.CONFIGURATION, Cause.WAITING

_VALUE = "Add the value to mapping.yaml, then rebuild."
_ARRIVE = "For seconds this is normal. For hours: is the table captured? Is the row gone from Orderwise?"
_ADDRESS = "Correct the e-mail field in Orderwise."
_PLACEHOLDER = "Correct the placeholder in Orderwise, then rebuild."
_ITEM = "Complete the item in Orderwise."

HELD: Final[dict[str, Meaning]] = {
    "unknown_status": Meaning(_C, "The order has a status that the mapping does not know.", _VALUE),
    "unknown_type": Meaning(_C, "The document is of a type that the mapping does not know.", _VALUE),
    "unknown_currency": Meaning(_C, "The order is in a currency that the mapping does not know.", _VALUE),
    "status_not_loaded": Meaning(_W, "The order's status is not in the list of statuses yet.", _ARRIVE),
    "order_without_header": Meaning(_W, "Parts of an order are here, but not its head.", _ARRIVE),
    "order_without_total": Meaning(_W, "The order has no total.", _ARRIVE),
    "order_without_detail": Meaning(_D, "The order's detail row was deleted.", "Look the order up in Orderwise."),
    "order_without_date": Meaning(_D, "The order's date is no date.", "Correct the order's date in Orderwise."),
    "order_without_customer": Meaning(_D, "The order names no customer.", "Correct the order in Orderwise."),
    "order_without_email": Meaning(
        _D, "A house order has no e-mail address.", "It has no contact; nothing is to be done, or add one."
    ),
    "credit_without_order": Meaning(_W, "A credit note gives back a line of an order that is not here.", _ARRIVE),
    "customer_not_loaded": Meaning(_W, "Orders of an account are here, but not the account.", _ARRIVE),
    "contact_without_customer": Meaning(_W, "Persons of an account are here, but not the account.", _ARRIVE),
    "unreadable_address": Meaning(_D, "An e-mail field has text that names no address for certain.", _ADDRESS),
    "order_too_large": Meaning(_D, "The order has more than 5,000 rows: a placeholder or a test.", _PLACEHOLDER),
    "address_shared": Meaning(_D, "More than 500 buyers have this address: a placeholder.", _PLACEHOLDER),
    "price_on_application": Meaning(
        _D, "The item is sold at 0.00, so it is not in the catalogue.", "Give it a price, if it should be."
    ),
    "variant_without_sku": Meaning(_D, "The item lost its SKU.", _ITEM),
    "variant_without_name": Meaning(_D, "The item lost its name.", _ITEM),
    "variant_without_price": Meaning(_D, "The item lost its price.", _ITEM),
    "product_not_loaded": Meaning(_W, "The item's product is not here.", _ARRIVE),
}
"""Codes of held and frozen documents."""

_NOT_JSON = Meaning(
    _C,
    "A record of capture is not the JSON that Debezium writes.",
    "Check the connector's converters, and who else writes there.",
)
_ENVELOPE = Meaning(_C, "A record of capture is not a whole change.", "Check the connector's transforms.")
_COLUMN = Meaning(_C, "A column is missing, or not of the kind that the mapping says.", "Compare mapping.yaml with the table.")
_FIELD = Meaning(_D, "A value of the row cannot be used.", "Correct the row in Orderwise, then 'owdd dlq retry --execute'.")
_SETTING = Meaning(_C, "The connector writes this kind of value in another form.", "See 'owdd connectors plan', then retry.")
_TOO_LARGE = Meaning(_D, "Far too many things have one key: a placeholder.", _PLACEHOLDER)

_FAULTS = ("empty", "invalid_utf8", "truncated", "not_a_number", "too_deep", "too_large", "not_json", "not_object")
_ENVELOPES = (
    *("no_key", "bad_key", "bad_payload", "not_debezium", "unknown_op", "bad_op", "no_source", "bad_source", "no_table"),
    *("bad_before", "bad_after", "delete_without_before", "delete_with_after", "change_without_after", "no_row"),
    *("bad_snapshot", "unknown_connector", "bad_lsn", "bad_schema"),
)

DEAD_LETTERS: Final[dict[str, Meaning]] = {
    **dict.fromkeys((f"{place}_{fault}" for place in ("key", "value") for fault in _FAULTS), _NOT_JSON),
    **dict.fromkeys(_ENVELOPES, _ENVELOPE),
    **dict.fromkeys(("not_mapped", "key_column_missing", "key_null", "column_missing"), _COLUMN),
    **dict.fromkeys(("bad_integer", "bad_text", "bad_flag"), _COLUMN),
    **dict.fromkeys(("null_not_allowed", "integer_out_of_range", "decimal_out_of_range", "time_out_of_range"), _FIELD),
    **dict.fromkeys(("bad_decimal", "decimal_as_float", "bad_time", "ambiguous_time"), _SETTING),
    **dict.fromkeys(("row_too_large", "change_too_large", "line_credited_too_often"), _TOO_LARGE),
    "address_unavailable": Meaning(
        _C, "The change came without its address.", "Read the table again: 'owdd connectors snapshot'."
    ),
    "unreadable_address": Meaning(
        _D, "Somebody asked to be erased, and nobody can read whose address it is.", "Find the person, run 'owdd erase'."
    ),
    "foreign_kind": Meaning(_C, "A stage got a change that is not for it.", "Bring all workers to one release, then retry."),
    "cannot_apply": Meaning(_C, "A stage failed on a change.", "Bring all workers to one release; else report it as a defect."),
}
"""Codes of ``docs/dead-letters.md``."""

_CAUSES = {
    ErrorClass.DATA: Cause.DATA,
    ErrorClass.EXISTS: Cause.DATA,
    ErrorClass.NOT_FOUND: Cause.DATA,
    ErrorClass.ACCESS: Cause.CONFIGURATION,
    ErrorClass.MISSING: Cause.CONFIGURATION,
}
_REMOVALS = Meaning(
    Cause.WAITING,
    "More things are to be removed from Dotdigital than is usual, so a person must look first.",
    "Look with 'owdd removals show', then 'owdd removals release' or 'discard'.",
)
_UNKNOWN = Meaning(Cause.DATA, "This release does not know the code.", "See the log of the worker.")


def meaning(kind: Kind, code: str) -> Meaning:
    """What a code of that kind means."""
    if kind == "parked":
        return _of_parked(code)
    if kind == "removals":
        return _REMOVALS
    return (DEAD_LETTERS if kind == "dead letter" else HELD).get(code, _UNKNOWN)


def _of_parked(code: str) -> Meaning:
    known = CODES.get(code)
    retry = "then 'owdd dlq retry --execute'"
    if known is None:
        return Meaning(
            Cause.DATA, "Dotdigital refused the content.", f"See 'owdd dlq list --code {code}', correct it, {retry}."
        )
    cause = _CAUSES.get(known.error_class, Cause.CONNECTIVITY)
    return Meaning(cause, f"Dotdigital refused it: {known.hint}.", f"Correct the cause, {retry}.")


def command(kind: Kind, code: str) -> str:
    """The command that shows exactly what is set aside under the code."""
    match kind:
        case "dead letter":
            return f"owdd dlq list --kind ingest --code {code}"
        case "parked":
            return f"owdd dlq list --kind delivery --code {code}"
        case "held":
            return "owdd state held"
        case "frozen":
            return "owdd state held --frozen"
        case "removals":
            return "owdd removals show"
