"""Desired against delivered: what makes a contact dirty, and what settles it."""

from typing import Any, Final

import pytest

from streams.domain.consent import SUBSCRIBED, UNSUBSCRIBED, Signal, creation_status
from streams.domain.contact_outcomes import apply_result
from streams.domain.contact_state import ContactDeliveryState, carry_consent, observe, set_desired
from streams.domain.creation import Creation
from streams.domain.versioned import version_bytes
from streams.messages.changes import ContactObserved, DesiredContact
from streams.messages.deliveries import (
    ContactCreated,
    ContactDeleted,
    ContactLooked,
    ContactMissing,
    ContactUpdated,
    CreatedAs,
    CreationAttempted,
    CreationWithdrawn,
    ListLeft,
    ListRefusal,
    ObservedContact,
    OptOutSent,
    TaskParked,
)

A, B = b'{"FIRSTNAME":"A"}', b'{"FIRSTNAME":"B"}'
CARRIED = version_bytes(1)
SECOND = 1_000_000
"""Positions of Dotdigital's words are microseconds; a delivery tells seconds."""


def wanted(row: ContactDeliveryState, fields: bytes | None, version: int, opted: bool | None = None) -> bool:
    return set_desired(row, DesiredContact(fields, opted, ()), version_bytes(version))


TASK: Final[dict[str, Any]] = {"task": "ea@example.com", "at": 0}


def created(row: ContactDeliveryState, created_as: CreatedAs = UNSUBSCRIBED) -> ContactCreated:
    """Dotdigital created the contact, with what the row wants at this moment."""
    return ContactCreated(**TASK, digest=digest(row), contact=1, created_as=created_as, opt_outs=row.opt_outs_to_send)


def updated(row: ContactDeliveryState, **facts: Any) -> ContactUpdated:
    """The contact holds what the row wants at this moment."""
    given = {"contact": 1, "created_as": row.creation.created_as, "opt_outs": row.opt_outs_to_send, **facts}
    return ContactUpdated(**TASK, digest=digest(row), **given)


def parked(row: ContactDeliveryState, code: str = "x") -> TaskParked:
    """Dotdigital refuses what the row wants at this moment."""
    return TaskParked(**TASK, digest=digest(row), code=code, tries=1)


def deleted(row: ContactDeliveryState) -> ContactDeleted:
    return ContactDeleted(**TASK, digest=digest(row))


def attempted(created_as: CreatedAs) -> CreationAttempted:
    return CreationAttempted(**TASK, created_as=created_as)


def digest(row: ContactDeliveryState) -> bytes:
    return row.desired_digest or b""


def delivered(fields: bytes = A, opted: bool | None = None) -> ContactDeliveryState:
    row = ContactDeliveryState()
    wanted(row, fields, 1, opted)
    apply_result(row, created(row, SUBSCRIBED if opted else UNSUBSCRIBED))
    return row


def test_an_empty_row_wants_nothing() -> None:
    assert not ContactDeliveryState().dirty


def test_new_content_is_dirty_until_it_is_delivered() -> None:
    row = ContactDeliveryState()
    assert wanted(row, A, 1)
    assert row.dirty
    apply_result(row, created(row))
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
    row = ContactDeliveryState()
    wanted(row, A, 5)
    assert wanted(row, B, 5)
    assert row.fields == B


def test_an_answer_to_other_content_leaves_the_row_dirty() -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1)
    in_flight = created(row)
    wanted(row, B, 2)
    apply_result(row, in_flight)
    assert row.dirty and row.known


def test_content_that_returns_while_a_call_is_under_way_is_sent_once_its_answer_is_in() -> None:
    row = delivered(A)
    wanted(row, B, 2)
    in_flight = updated(row)
    wanted(row, A, 3)
    apply_result(row, in_flight)
    assert row.dirty


def test_an_answer_read_twice_changes_nothing() -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1)
    once = created(row)
    apply_result(row, once)
    apply_result(row, once)
    assert not row.dirty and row.creation == Creation(UNSUBSCRIBED)


def test_refused_content_is_parked_and_not_sent_again() -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1)
    apply_result(row, parked(row, "contacts:invalidValue"))
    assert not row.dirty and row.code == "contacts:invalidValue"
    wanted(row, A, 2)
    assert not row.dirty and row.code == "contacts:invalidValue"


def test_other_content_leaves_the_park() -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1)
    apply_result(row, parked(row, "contacts:invalidValue"))
    wanted(row, B, 2)
    assert row.dirty and row.code is None


def test_parking_says_nothing_of_what_was_delivered_before() -> None:
    row = delivered(A)
    wanted(row, B, 2)
    apply_result(row, parked(row))
    assert row.known
    wanted(row, A, 3)
    assert not row.dirty


def test_an_opt_out_alone_makes_the_contact_dirty() -> None:
    row = delivered(A)
    wanted(row, A, 2, opted=False)
    assert row.dirty and not row.opt_out_sent
    apply_result(row, updated(row))
    assert not row.dirty and row.opt_out_sent


@pytest.mark.parametrize("opted", [True, None])
def test_an_opt_in_or_the_loss_of_one_is_nothing_to_send(opted: bool | None) -> None:
    row = delivered(A)
    wanted(row, A, 2, opted=opted)
    assert not row.dirty


def test_a_second_opt_out_is_reported_again() -> None:
    row = delivered(A)
    wanted(row, A, 2, opted=False)
    apply_result(row, updated(row))
    wanted(row, B, 3, opted=True)
    apply_result(row, updated(row))
    wanted(row, B, 4, opted=False)
    assert row.dirty and not row.opt_out_sent


def test_an_event_that_is_read_again_says_nothing_of_an_opt_out_since() -> None:
    row = delivered(A, opted=True)
    carry_consent(row, CARRIED)
    passed_on = updated(row)
    apply_result(row, passed_on)
    wanted(row, A, 2, opted=False)
    apply_result(row, passed_on)
    assert row.dirty and row.must_send_opt_out


def test_an_opt_out_that_was_reported_for_a_consent_since_withdrawn_does_not_count() -> None:
    row = delivered(A)
    wanted(row, A, 2, opted=False)
    in_flight = updated(row)
    wanted(row, A, 3, opted=None)
    apply_result(row, in_flight)
    assert not row.opt_out_sent


def test_leaving_is_something_to_send() -> None:
    row = delivered(A)
    wanted(row, None, 2)
    assert row.dirty
    apply_result(row, deleted(row))
    assert not row.dirty and not row.known


def test_consent_carried_from_a_former_address_makes_a_delivered_contact_dirty() -> None:
    row = delivered(A, opted=True)
    carry_consent(row, CARRIED)
    assert row.dirty and row.must_send_opt_out
    assert creation_status(row.consent, external=False) == UNSUBSCRIBED


def test_carried_consent_that_comes_first_waits_for_the_contact() -> None:
    row = ContactDeliveryState()
    carry_consent(row, CARRIED)
    assert not row.dirty
    wanted(row, A, 1, opted=True)
    assert row.dirty and row.must_send_opt_out
    assert creation_status(row.consent, external=False) == UNSUBSCRIBED


def test_consent_carried_twice_is_reported_once() -> None:
    row = delivered(A)
    carry_consent(row, CARRIED)
    apply_result(row, updated(row))
    carry_consent(row, CARRIED)
    assert not row.dirty


def test_an_unsubscribe_once_seen_outlives_answers_that_show_none() -> None:
    row = delivered(A, opted=True)
    apply_result(row, updated(row, observed=ObservedContact("unsubscribed", 5)))
    apply_result(row, updated(row))
    apply_result(row, ContactLooked(**TASK, observed=ObservedContact("binned", 9)))
    apply_result(row, deleted(row))
    assert row.consent.dotdigital.signal is Signal.OUT
    assert creation_status(row.consent, external=False) == UNSUBSCRIBED


@pytest.mark.parametrize(("opted", "status"), [(True, SUBSCRIBED), (None, UNSUBSCRIBED), (False, UNSUBSCRIBED)])
def test_only_an_opt_in_may_create_a_subscribed_contact(opted: bool | None, status: str) -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1, opted)
    assert creation_status(row.consent, external=False) == status


def test_a_reading_makes_a_contact_known_and_reports_what_it_says() -> None:
    row = ContactDeliveryState()
    assert observe(row, ContactObserved(7, "unsubscribed"), version_bytes(SECOND))
    assert row.contact == 7 and not row.dirty
    assert row.consent.dotdigital.signal is Signal.OUT


def test_a_reading_by_address_alone_makes_nobody_known() -> None:
    row = ContactDeliveryState()
    observe(row, ContactObserved(0, "suppressed"), version_bytes(SECOND))
    assert not row.known and row.consent.dotdigital.signal is Signal.OUT


def test_a_reading_shows_the_contact_that_took_the_place_of_another() -> None:
    row = delivered(A)
    observe(row, ContactObserved(7, "subscribed"), version_bytes(SECOND))
    assert row.contact == 7


def test_an_older_reading_is_skipped() -> None:
    row = ContactDeliveryState()
    observe(row, ContactObserved(7, "subscribed"), version_bytes(2 * SECOND))
    assert not observe(row, ContactObserved(7, "unsubscribed"), version_bytes(SECOND))
    assert row.consent.dotdigital.signal is Signal.IN


def test_the_status_that_we_gave_is_nobodys_refusal() -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1)
    apply_result(row, attempted(UNSUBSCRIBED))
    observe(row, ContactObserved(7, "unsubscribed"), version_bytes(SECOND))
    assert row.consent.dotdigital.signal is Signal.SILENT


def test_an_unsubscribe_after_a_sign_up_that_only_readings_saw_is_the_persons() -> None:
    row = ContactDeliveryState(contact=7, creation=Creation(UNSUBSCRIBED))
    observe(row, ContactObserved(7, "subscribed"), version_bytes(SECOND))
    observe(row, ContactObserved(7, "unsubscribed"), version_bytes(2 * SECOND))
    assert row.consent.dotdigital.signal is Signal.OUT


@pytest.mark.parametrize(("status", "created"), [("unsubscribed", UNSUBSCRIBED), ("subscribed", None), ("suppressed", None)])
def test_a_creation_without_an_answer_is_ours_if_it_explains_the_status(status: str, created: CreatedAs | None) -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1)
    apply_result(row, attempted(UNSUBSCRIBED))
    observe(row, ContactObserved(7, status), version_bytes(SECOND))
    assert row.creation.explaining(status) == row.creation.ours == created
    assert row.creation.created_as is None, "the answer, or the call in its place, decides"


def test_a_creation_that_is_withdrawn_was_not_made() -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1, opted=True)
    apply_result(row, attempted(SUBSCRIBED))
    apply_result(row, CreationWithdrawn(**TASK))
    assert row.dirty and row.creation.ours is None
    observe(row, ContactObserved(7, "subscribed"), version_bytes(SECOND))
    assert row.creation.created_as is None


def test_who_may_not_join_the_list_is_remembered_with_the_despatch() -> None:
    row = delivered(A)
    apply_result(row, updated(row, list_refusal=ListRefusal("x", 5, whole_list=False)))
    apply_result(row, updated(row))
    assert row.list_refused_at == 5
    observe(row, ContactObserved(7, "subscribed"), version_bytes(SECOND))
    assert row.list_refused_at is None, "another contact may"


def test_a_note_settles_nothing_but_survives_until_the_answer() -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1)
    apply_result(row, attempted(UNSUBSCRIBED))
    assert row.dirty and not row.known and row.creation.ours == UNSUBSCRIBED
    apply_result(row, created(row))
    assert row.creation == Creation(UNSUBSCRIBED)


def test_a_contact_that_vanished_is_looked_for_with_what_it_held() -> None:
    row = delivered(A)
    apply_result(row, ContactMissing(**TASK))
    assert row.dirty and not row.known and row.creation.created_as is None and not row.listed


def test_leaving_the_list_says_nothing_of_the_content() -> None:
    row = delivered(A)
    wanted(row, B, 2)
    row.listed = True
    apply_result(row, ListLeft(**TASK))
    assert row.dirty and not row.listed


def test_who_must_be_forgotten_is_dirty_until_that_is_refused() -> None:
    row = ContactDeliveryState(erase=b"digest")
    assert row.dirty
    apply_result(row, parked(row))
    assert not row.dirty and row.refused


def test_who_must_be_forgotten_is_whatever_else_is_refused() -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1)
    in_flight = parked(row)
    row.erase = b"digest"
    apply_result(row, in_flight)
    assert row.dirty and row.parked is None


def test_the_refusal_of_content_that_nobody_wants_any_more_parks_nothing() -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1)
    in_flight = parked(row)
    wanted(row, B, 2)
    apply_result(row, in_flight)
    assert row.dirty and row.parked is None and row.code is None


def test_carried_consent_leaves_the_park() -> None:
    row = ContactDeliveryState()
    wanted(row, A, 1)
    apply_result(row, parked(row))
    carry_consent(row, CARRIED)
    assert row.dirty and row.parked is None and row.code is None


def test_an_opt_out_that_was_reported_beside_refused_data_is_not_reported_again() -> None:
    row = delivered(A)
    wanted(row, B, 2, opted=False)
    apply_result(row, OptOutSent(**TASK, opt_outs=row.opt_outs))
    apply_result(row, parked(row))
    observe(row, ContactObserved(1, "unsubscribed"), version_bytes(SECOND))
    observe(row, ContactObserved(1, "subscribed"), version_bytes(2 * SECOND))
    wanted(row, A, 3, opted=False)
    assert row.opt_out_sent and not row.must_send_opt_out


def test_what_was_reported_of_a_consent_since_withdrawn_is_not_noted() -> None:
    row = delivered(A)
    wanted(row, A, 2, opted=False)
    noted = OptOutSent(**TASK, opt_outs=row.opt_outs)
    wanted(row, A, 3, opted=None)
    apply_result(row, noted)
    assert not row.opt_out_sent
