"""Consent words that the mapping does not know are counted, and shown as far as they may be."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from streams.capture.envelope import UNAVAILABLE, RowEvent
from streams.ingest.consent_words import OTHER, ConsentWords
from streams.mapping import Mapping, load_mapping
from streams.mapping.model import ConsentRule
from streams.observability.metrics import Metrics

RULE = ConsentRule(mode="column", column="cc_opt", opted_in=frozenset({"yes", "1"}), opted_out=frozenset({"no", "0"}))
MAPPED = load_mapping().model_copy(update={"consent": RULE})


def counted(*values: Any, mapping: Mapping = MAPPED, table: str = "customer_contact") -> dict[str, float]:
    """How often each word is counted after rows with these values."""
    metrics = Metrics()
    words = ConsentWords(mapping, metrics)
    for value in values:
        words.note(RowEvent(table, "u", {"cc_id": 1}, None, {"cc_opt": value}, b"", 0, False))
    samples = next(iter(metrics.unknown_consent_words.collect())).samples
    return {sample.labels["word"]: sample.value for sample in samples if sample.name.endswith("_total")}


@pytest.mark.parametrize("value", [None, "", "  ", " YES ", "no", 1, "0", UNAVAILABLE])
def test_what_the_mapping_knows_and_no_value_at_all_are_no_unknown_words(value: Any) -> None:
    assert counted(value) == {}


def test_an_unknown_word_is_counted_in_the_spelling_of_the_mapping() -> None:
    assert counted("No thanks", " no THANKS", "N", "0.0000", -1) == {"no thanks": 2, "n": 1, "0.0000": 1, "-1": 1}


@pytest.mark.parametrize("value", ["ann@example.com", "x" * 31, "a\nb", "\x1b[1m"])
def test_what_people_wrote_of_themselves_is_counted_and_not_shown(value: str) -> None:
    assert counted(value) == {OTHER: 1}


def test_only_so_many_words_are_shown() -> None:
    found = counted(*(f"word {number}" for number in range(30)), "word 3")
    assert len(found) == 21 and found[OTHER] == 10 and found["word 3"] == 2


def test_each_word_is_logged_once() -> None:
    with capture_logs() as logs:
        counted("maybe", "maybe", "ann@example.com")
    assert [entry["word"] for entry in logs] == ["maybe", OTHER]


def test_other_tables_deletions_and_sites_without_a_column_have_no_words() -> None:
    assert counted("maybe", table="order_header") == counted("maybe", mapping=load_mapping()) == {}
    metrics = Metrics()
    ConsentWords(MAPPED, metrics).note(
        RowEvent("customer_contact", "d", {"cc_id": 1}, {"cc_opt": "maybe"}, None, b"", 0, False)
    )
    assert not [sample for family in metrics.unknown_consent_words.collect() for sample in family.samples]
