"""What each code of something set aside means, in words for people, and the command that settles it.

``docs/dead-letters.md``, ``docs/dotdigital-codes.md`` and ``docs/operations.md`` say more; a test holds the codes together.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from streams.dotdigital.codes import CODES
from streams.operations import trouble_class
from streams.operations.trouble_class import TroubleClass

Kind: TypeAlias = Literal["dead letter", "parked", "held", "frozen", "removals"]
"""How something is set aside."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a code means, and what to do."""

    words: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Meaning:
    """A code: whose matter it is, what it means, and what to do."""

    trouble: TroubleClass
    words: str
    remedy: str


_VALUE = "Add the value to mapping.yaml, then rebuild."
_ARRIVE = "For seconds this is normal. For hours: is the table captured? Is the row gone from Orderwise?"
_ADDRESS = "Correct the e-mail field in Orderwise."
_PLACEHOLDER = "Correct the placeholder in Orderwise, then rebuild."
_ITEM = "Complete the item in Orderwise."

HELD: Final[dict[str, Words]] = {
    "unknown_status": Words("The order has a status that the mapping does not know.", _VALUE),
    "unknown_type": Words("The document is of a type that the mapping does not know.", _VALUE),
    "unknown_currency": Words("The order is in a currency that the mapping does not know.", _VALUE),
    "status_not_loaded": Words("The order's status is not in the list of statuses yet.", _ARRIVE),
    "order_without_header": Words("Parts of an order are here, but not its head.", _ARRIVE),
    "order_without_total": Words("The order has no total.", _ARRIVE),
    "order_without_detail": Words("The order's detail row was deleted.", "Look the order up in Orderwise."),
    "order_without_number": Words(
        "The order had a number, and has none any more.", "Give the order its number again in Orderwise."
    ),
    "order_without_date": Words("The order's date is no date.", "Correct the order's date in Orderwise."),
    "order_without_customer": Words("The order names no customer.", "Correct the order in Orderwise."),
    "order_without_email": Words(
        "A house order has no e-mail address.", "It has no contact; nothing is to be done, or add one."
    ),
    "credit_without_order": Words("A credit note gives back a line of an order that is not here.", _ARRIVE),
    "customer_not_loaded": Words("Orders of an account are here, but not the account.", _ARRIVE),
    "contact_without_customer": Words("Persons of an account are here, but not the account.", _ARRIVE),
    "unreadable_address": Words("An e-mail field has text that names no address for certain.", _ADDRESS),
    "order_too_large": Words("The order has more than 5,000 rows: a placeholder or a test.", _PLACEHOLDER),
    "address_shared": Words("More than 500 buyers have this address: a placeholder.", _PLACEHOLDER),
    "price_on_application": Words(
        "The item is sold at 0.00, so it is not in the catalogue.", "Give it a price, if it should be."
    ),
    "variant_without_sku": Words("The item lost its SKU.", _ITEM),
    "variant_without_name": Words("The item lost its name.", _ITEM),
    "variant_without_price": Words("The item lost its price.", _ITEM),
    "product_not_loaded": Words("The item's product is not here.", _ARRIVE),
}
"""Codes of held and frozen documents."""

_NOT_JSON = Words(
    "A record of capture is not the JSON that Debezium writes.",
    "Check the connector's converters, and who else writes there.",
)
_ENVELOPE = Words("A record of capture is not a whole change.", "Check the connector's transforms.")
_COLUMN = Words("A column is missing, or not of the kind that the mapping says.", "Compare mapping.yaml with the table.")
_FIELD = Words("A value of the row cannot be used.", "Correct the row in Orderwise, then 'owdd dlq retry --execute'.")
_SETTING = Words("The connector writes this kind of value in another form.", "See 'owdd connectors plan', then retry.")
_TOO_LARGE = Words("Far too many things have one key: a placeholder.", _PLACEHOLDER)

_FAULTS = ("empty", "invalid_utf8", "truncated", "not_a_number", "too_deep", "too_large", "not_json", "not_object")
_ENVELOPES = (
    *("no_key", "bad_key", "bad_payload", "not_debezium", "unknown_op", "bad_op", "no_source", "bad_source", "no_table"),
    *("bad_before", "bad_after", "delete_without_before", "delete_with_after", "change_without_after", "no_row"),
    *("bad_snapshot", "unknown_connector", "bad_lsn", "bad_schema"),
)

DEAD_LETTERS: Final[dict[str, Words]] = {
    **dict.fromkeys((f"{place}_{fault}" for place in ("key", "value") for fault in _FAULTS), _NOT_JSON),
    **dict.fromkeys(_ENVELOPES, _ENVELOPE),
    **dict.fromkeys(("not_mapped", "key_column_missing", "key_null", "column_missing"), _COLUMN),
    **dict.fromkeys(("bad_integer", "bad_text", "bad_flag"), _COLUMN),
    **dict.fromkeys(("null_not_allowed", "integer_out_of_range", "decimal_out_of_range", "time_out_of_range"), _FIELD),
    **dict.fromkeys(("bad_decimal", "decimal_as_float", "bad_time", "ambiguous_time"), _SETTING),
    **dict.fromkeys(("row_too_large", "change_too_large", "line_credited_too_often"), _TOO_LARGE),
    "address_unavailable": Words("The change came without its address.", "Read the table again: 'owdd connectors snapshot'."),
    "unreadable_address": Words(
        "Somebody asked to be erased, and nobody can read whose address it is.", "Find the person, run 'owdd erase'."
    ),
    "bad_replay_request": Words(
        "A request to replay captured records cannot be read.", "Bring commands and workers to one release, then ask again."
    ),
    "foreign_kind": Words("A stage got a change that is not for it.", "Bring all workers to one release, then retry."),
    "cannot_apply": Words("A stage failed on a change.", "Bring all workers to one release; else report it as a defect."),
}
"""Codes of ``docs/dead-letters.md``."""

_REMOVALS = Words(
    "More things are to be removed from Dotdigital than is usual, so a person must look first.",
    "Look with 'owdd removals show', then 'owdd removals release' or 'discard'.",
)
_UNKNOWN = Words("This release does not know the code.", "See the log of the worker.")


def meaning(kind: Kind, code: str) -> Meaning:
    """What a code of that kind means."""
    match kind:
        case "dead letter":
            trouble, found = trouble_class.of_dead_letter(code), DEAD_LETTERS.get(code, _UNKNOWN)
        case "parked":
            trouble, found = trouble_class.of_parked(code), _of_parked(code)
        case "removals":
            trouble, found = TroubleClass.DATA, _REMOVALS
        case "held" | "frozen":
            trouble, found = trouble_class.of_held(code), HELD.get(code, _UNKNOWN)
    return Meaning(trouble, found.words, found.remedy)


def _of_parked(code: str) -> Words:
    known = CODES.get(code)
    retry = "then 'owdd dlq retry --execute'"
    if known is None:
        return Words("Dotdigital refused the content.", f"See 'owdd dlq list --code {code}', correct it, {retry}.")
    return Words(f"Dotdigital refused it: {known.hint}.", f"Correct the cause, {retry}.")


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
