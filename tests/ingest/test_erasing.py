"""The ERP's flag, and what ingest lets through."""

from typing import Any

import pytest
from prometheus_client import Counter

from streams.capture.envelope import UNAVAILABLE, RowEvent
from streams.core.errors import RecordError
from streams.domain.digester import Digester
from streams.ingest.erased_addresses import ErasureFeed
from streams.ingest.erasing import ErasureFlagColumn, without_erased
from streams.kafka.security import KafkaConfig
from streams.mapping import load_mapping
from streams.mapping.model import Erasure
from streams.messages.kinds import ContactRowChange
from streams.messages.topics import Topics

ANN, BOB = "ann@example.com", "bob@example.com"
MAPPED = load_mapping().model_copy(update={"erasure": Erasure(column="cc_gdpr_erased")})


def contact(email: str | None, flag: Any) -> dict[str, Any]:
    row = {"cc_id": 1, "cc_customer_id": None, "cc_email": email, "cc_first_name": "A", "cc_last_name": None, "cc_name": None}
    return row | {"cc_gdpr_erased": flag}


def event(after: dict[str, Any] | None, before: dict[str, Any] | None = None, table: str = "customer_contact") -> RowEvent:
    return RowEvent(table, "u", {"cc_id": 1}, before, after, b"\1", 0, False)


@pytest.mark.parametrize("flag", [True, "1", " TRUE "])
def test_a_flagged_row_asks_for_its_addresses_though_it_belongs_to_no_account(flag: Any) -> None:
    assert ErasureFlagColumn(MAPPED).addresses_to_erase(event(contact(ANN, flag))) == (ANN,)


def test_the_former_address_is_asked_for_too() -> None:
    assert ErasureFlagColumn(MAPPED).addresses_to_erase(event(contact(None, True), contact(f"{ANN}, {BOB}", False))) == (
        ANN,
        BOB,
    )


def test_an_address_that_did_not_change_may_be_reported_by_the_row_before_alone() -> None:
    assert ErasureFlagColumn(MAPPED).addresses_to_erase(event(contact(UNAVAILABLE, True), contact(ANN, False))) == (ANN,)


@pytest.mark.parametrize("before", [None, contact(UNAVAILABLE, False)])
def test_a_flag_is_not_passed_over_because_nobody_knows_whose_it_is(before: dict[str, Any] | None) -> None:
    with pytest.raises(RecordError, match=r"^address_unavailable: cc_email "):
        ErasureFlagColumn(MAPPED).addresses_to_erase(event(contact(UNAVAILABLE, True), before))
    assert ErasureFlagColumn(MAPPED).addresses_to_erase(event(contact(UNAVAILABLE, False), before)) == ()


@pytest.mark.parametrize(
    ("happened", "mapping"),
    [
        (event(contact(ANN, False)), MAPPED),
        (event(contact(ANN, None)), MAPPED),
        (event(None, contact(ANN, True)), MAPPED),
        (event({"cd_id": 1}, table="customer_detail"), MAPPED),
        (event(contact(ANN, True)), load_mapping()),
    ],
)
def test_nothing_else_asks(happened: RowEvent, mapping: Any) -> None:
    assert ErasureFlagColumn(mapping).addresses_to_erase(happened) == ()


def test_what_names_the_erased_is_emptied_or_dropped_and_counted() -> None:
    known = ErasureFeed(KafkaConfig(""), "erasures", 1, Digester(b"k"))
    emptied = Counter("emptied", "", registry=None)
    changes = [(Topics.of("t").buyers, ContactRowChange(f"e{email}", 1, b"", 1, 0, None)) for email in (ANN, BOB)]
    assert (list(without_erased(changes, known, emptied)), bool(known)) == (changes, False)
    known.add(known.digest(ANN))
    assert list(without_erased(changes, known, emptied)) == changes[1:]
    assert emptied._value.get() == 1
