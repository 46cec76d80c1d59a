"""A text that the mapping lists says that there is no address: the field is empty, where any other such text is unreadable."""

from typing import Any

import pytest

from streams.capture import rows
from streams.capture.envelope import RowEvent
from streams.ingest.consent_words import ConsentWords
from streams.ingest.erasing import ErasureFlagColumn
from streams.ingest.router import Router
from streams.mapping.model import ConsentRule, Erasure
from streams.messages.changes import Change
from streams.observability.metrics import Metrics
from tests.ingest.test_router import MAPPING, POSITION, SAMPLES, TOPICS

HOUSE_CONTACT = {"cc_customer_id": 1}
FIELDS: list[tuple[str, str, dict[str, Any]]] = [
    ("customer_detail", "cd_statement_email", {}),
    ("customer_contact", "cc_email", {}),
    ("customer_contact", "cc_email", HOUSE_CONTACT),
    ("order_header_detail", "ohd_delivery_email", {}),
]


def routed(table: str, words: frozenset[str], **columns: Any) -> list[Change]:
    row = SAMPLES[table] | columns
    key = {next(iter(row)): next(iter(row.values()))}
    event = RowEvent(table, "u", key, None, row, POSITION, 0, False)
    router = Router(MAPPING.model_copy(update={"no_address": words}), TOPICS)
    return [change for _, change in router.route(event, 0)]


@pytest.mark.parametrize(("table", "column", "others"), FIELDS)
def test_it_is_as_good_as_an_empty_field(table: str, column: str, others: dict[str, Any]) -> None:
    empty, said = (routed(table, frozenset({"n/a"}), **others, **{column: value}) for value in (None, " N/A."))
    assert said == empty


@pytest.mark.parametrize(("table", "column", "others"), FIELDS)
def test_any_other_text_freezes(table: str, column: str, others: dict[str, Any]) -> None:
    (change,) = routed(table, frozenset({"n/a"}), **others, **{column: "none"})
    assert isinstance(change.row, rows.Customer | rows.Contact | rows.Detail)
    assert change.row.unreadable


def test_the_next_column_counts_instead() -> None:
    columns = {"cd_statement_email": "n/a", "cd_invoice_email": "bills@bright.co.uk"}
    (change,) = routed("customer_detail", frozenset({"n/a"}), **columns)
    assert isinstance(change.row, rows.Customer)
    assert (change.row.emails, change.row.unreadable) == (("bills@bright.co.uk",), False)


@pytest.mark.parametrize("table", ["customer_contact", "Customer_Contact"])
def test_a_request_to_erase_and_a_consent_word_are_seen_whatever_the_case_of_the_tables_name(table: str) -> None:
    erasure, consent = Erasure(column="cc_erased"), ConsentRule(mode="column", column="cc_opt")
    mapping = MAPPING.model_copy(update={"erasure": erasure, "consent": consent})
    row = SAMPLES["customer_contact"] | {"cc_erased": True, "cc_opt": "perhaps"}
    event = RowEvent(table, "u", {"cc_id": 70}, None, row, POSITION, 0, False)
    assert ErasureFlagColumn(mapping).addresses_to_erase(event) == ("ann@bright.co.uk",)
    metrics = Metrics()
    ConsentWords(mapping, metrics).note(event)
    assert metrics.registry.get_sample_value("owdd_unknown_consent_words_total", {"word": "perhaps"}) == 1
