"""The delivery state of one record: a key that another contact held parks it, unless its order spoke in between."""

import pytest

from streams.domain.record_state import (
    KEY_CLASH,
    RecordDeliveryState,
    apply_record_result,
    digest_of,
    set_desired_record,
)
from streams.messages.changes import DesiredRecord
from streams.messages.deliveries import RecordStored, TaskParked

WANTED = DesiredRecord(b"content", 1)


def wanted(times: int) -> RecordDeliveryState:
    """A record that its order has published so often."""
    row = RecordDeliveryState()
    for number in range(times):
        assert set_desired_record(row, WANTED, b"%d" % number)
    return row


def refused(row: RecordDeliveryState, code: str) -> None:
    apply_record_result(row, TaskParked(task="r:a", at=0, digest=digest_of(WANTED.content), code=code, tries=1))


def test_a_clash_of_keys_parks_until_the_order_speaks_again() -> None:
    row = wanted(1)
    refused(row, KEY_CLASH)
    assert not row.dirty
    set_desired_record(row, WANTED, b"9")
    assert row.dirty and row.content


def test_a_clash_that_is_answered_after_the_order_spoke_again_is_tried_once_more_and_no_oftener() -> None:
    row = wanted(2)
    refused(row, KEY_CLASH)
    assert row.dirty and row.content
    refused(row, KEY_CLASH)
    assert not row.dirty


@pytest.mark.parametrize("code", ["ERROR_INVALID", "RecordKeyInvalid"])
def test_any_other_refusal_of_the_same_content_parks_whatever_the_order_said(code: str) -> None:
    row = wanted(2)
    refused(row, code)
    assert not row.dirty


def test_a_stored_record_begins_anew() -> None:
    row = wanted(2)
    apply_record_result(row, RecordStored(task="r:a", at=0, digest=digest_of(WANTED.content)))
    assert not row.dirty and not row.wanted_again


def test_content_that_its_source_cannot_say_any_more_is_not_asked_for_again() -> None:
    row = RecordDeliveryState()
    set_desired_record(row, DesiredRecord(b"{}", 7), b"1")
    row.delivered, row.hash, row.content = row.hash, b"other", None
    assert row.content_missing
    set_desired_record(row, DesiredRecord(b"", 7, held=True), b"2")
    assert not row.dirty and row.hash == row.delivered
