"""Desired against delivered: what makes a contact dirty, and what settles it."""

import pytest

from streams.domain.cells import version_bytes
from streams.domain.changes import Desired
from streams.domain.delivery import Delivery, OutboxRow, Outcome, carry_consent, settle, want

A, B = b'{"FIRSTNAME":"A"}', b'{"FIRSTNAME":"B"}'


def wanted(row: OutboxRow, fields: bytes | None, version: int, opted: bool | None = None) -> bool:
    return want(row, Desired(fields, opted, None), version_bytes(version))


def answer(row: OutboxRow, outcome: Outcome = "updated", **facts: object) -> Delivery:
    """Dotdigital's answer to what the row wants at this moment."""
    given = {"contact": 1, "created": row.created, "told_out": row.opted_out, **facts}
    return Delivery("a@example.com", outcome, (row.hash or b"").hex(), row.position.hex(), 0, 1, **given)  # type: ignore[arg-type]  # facts by name


def delivered(fields: bytes = A, opted: bool | None = None) -> OutboxRow:
    row = OutboxRow()
    wanted(row, fields, 1, opted)
    settle(row, answer(row, "created"))
    return row


def test_an_empty_row_wants_nothing() -> None:
    assert not OutboxRow().dirty


def test_new_content_is_dirty_until_it_is_delivered() -> None:
    row = OutboxRow()
    assert wanted(row, A, 1)
    assert row.dirty
    settle(row, answer(row, "created"))
    assert not row.dirty and row.known


def test_what_equals_the_delivered_content_is_not_sent() -> None:
    row = delivered(A)
    assert wanted(row, A, 2)
    assert not row.dirty


def test_older_content_is_skipped() -> None:
    row = delivered(A)
    wanted(row, B, 5)
    assert not wanted(row, A, 4)
    assert row.fields == B


def test_content_at_an_equal_position_is_written_again() -> None:
    row = OutboxRow()
    wanted(row, A, 5)
    assert wanted(row, B, 5)
    assert row.fields == B


def test_an_answer_to_other_content_leaves_the_row_dirty() -> None:
    row = OutboxRow()
    wanted(row, A, 1)
    in_flight = answer(row, "created")
    wanted(row, B, 2)
    settle(row, in_flight)
    assert row.dirty and row.known


def test_content_that_returns_while_a_call_is_under_way_is_sent_once_its_answer_is_in() -> None:
    row = delivered(A)
    wanted(row, B, 2)
    in_flight = answer(row)
    wanted(row, A, 3)
    settle(row, in_flight)
    assert row.dirty


def test_an_answer_read_twice_changes_nothing() -> None:
    row = OutboxRow()
    wanted(row, A, 1)
    once = answer(row, "created", created="unsubscribed")
    settle(row, once)
    settle(row, once)
    assert not row.dirty and row.created == "unsubscribed"


def test_refused_content_is_parked_and_not_sent_again() -> None:
    row = OutboxRow()
    wanted(row, A, 1)
    settle(row, answer(row, "parked", code="contacts:invalidValue"))
    assert not row.dirty and row.code == "contacts:invalidValue"
    wanted(row, A, 2)
    assert not row.dirty and row.code == "contacts:invalidValue"


def test_other_content_leaves_the_park() -> None:
    row = OutboxRow()
    wanted(row, A, 1)
    settle(row, answer(row, "parked", code="contacts:invalidValue"))
    wanted(row, B, 2)
    assert row.dirty and row.code is None


def test_parking_says_nothing_of_what_was_delivered_before() -> None:
    row = delivered(A)
    wanted(row, B, 2)
    settle(row, answer(row, "parked", code="x", contact=None))
    assert row.known
    wanted(row, A, 3)
    assert not row.dirty


def test_an_opt_out_alone_makes_the_contact_dirty() -> None:
    row = delivered(A)
    wanted(row, A, 2, opted=False)
    assert row.dirty and not row.told_out
    settle(row, answer(row, told_out=True))
    assert not row.dirty and row.told_out


@pytest.mark.parametrize("opted", [True, None])
def test_an_opt_in_or_the_loss_of_one_is_nothing_to_send(opted: bool | None) -> None:
    row = delivered(A)
    wanted(row, A, 2, opted=opted)
    assert not row.dirty


def test_a_second_opt_out_is_told_again() -> None:
    row = delivered(A)
    wanted(row, A, 2, opted=False)
    settle(row, answer(row, told_out=True))
    wanted(row, B, 3, opted=True)
    settle(row, answer(row, told_out=False))
    wanted(row, B, 4, opted=False)
    assert row.dirty and not row.told_out


def test_an_opt_out_that_was_told_for_a_consent_since_withdrawn_does_not_count() -> None:
    row = delivered(A)
    wanted(row, A, 2, opted=False)
    in_flight = answer(row, told_out=True)
    wanted(row, A, 3, opted=None)
    settle(row, in_flight)
    assert not row.told_out


def test_leaving_is_something_to_send() -> None:
    row = delivered(A)
    wanted(row, None, 2)
    assert row.dirty
    settle(row, answer(row, "deleted", contact=None, created="no"))
    assert not row.dirty and not row.known


def test_consent_carried_from_a_former_address_makes_a_delivered_contact_dirty() -> None:
    row = delivered(A, opted=True)
    carry_consent(row)
    assert row.dirty and row.opted_out and not row.may_subscribe


def test_carried_consent_that_comes_first_waits_for_the_contact() -> None:
    row = OutboxRow()
    carry_consent(row)
    assert not row.dirty
    wanted(row, A, 1, opted=True)
    assert row.dirty and row.opted_out and not row.may_subscribe


def test_consent_carried_twice_is_told_once() -> None:
    row = delivered(A)
    carry_consent(row)
    settle(row, answer(row, told_out=True))
    carry_consent(row)
    assert not row.dirty


def test_an_unsubscribe_once_seen_is_never_forgotten() -> None:
    row = delivered(A, opted=True)
    settle(row, answer(row, tight=True))
    settle(row, answer(row, tight=False))
    assert row.tight and not row.may_subscribe


@pytest.mark.parametrize(("opted", "allowed"), [(True, True), (None, False), (False, False)])
def test_only_an_opt_in_may_create_a_subscribed_contact(opted: bool | None, allowed: bool) -> None:
    row = OutboxRow()
    wanted(row, A, 1, opted)
    assert row.may_subscribe is allowed
