"""The lattice of consent: its laws, and the table of ``docs/delivery-rules.md`` section 8."""

from functools import reduce

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain import consent
from streams.domain.consent import Consent, Said, Verdict, Word, join, verdict
from streams.domain.versioned import version_bytes
from streams.messages.deliveries import Created

positions = st.integers(0, 4).map(version_bytes) | st.just(b"")
statements = st.builds(Said, positions, st.sampled_from(Word))
consents = st.builds(Consent, statements, statements, positions, positions)
T1, T2, T3 = (version_bytes(moment) for moment in (1, 2, 3))

WORDS = {"in": True, "out": False, "silent": None}
FREE = ["subscribed", "Subscribed", "pendingOptIn", "PendingOptIn", "softBounced", "HardBounced", "NoMxRecord", "binned"]
REFUSED = ["unsubscribed", " Unsubscribed", "suppressed", "ispComplained", "spamTrap", "domainSuppressed", "Deleted", "new", ""]


def erp(word: str) -> Consent:
    return consent.erp_said(Consent(), WORDS[word], T1)


def seen(before: Consent, status: str, at: bytes, created: Created = "no", *, told: bool = False) -> Consent:
    return consent.seen(before, status, at, created, told=told)


@given(consents, consents)
def test_join_is_commutative(one: Consent, other: Consent) -> None:
    assert join(one, other) == join(other, one)


@given(consents, consents, consents)
def test_join_is_associative(one: Consent, two: Consent, three: Consent) -> None:
    assert join(join(one, two), three) == join(one, join(two, three))


@given(consents)
def test_join_is_idempotent_and_nothing_is_its_zero(one: Consent) -> None:
    assert join(one, one) == one == join(one, Consent())


@given(st.lists(consents, min_size=1).flatmap(lambda some: st.tuples(st.just(some), st.permutations([*some, some[0]]))))
def test_order_and_repetition_change_nothing(runs: tuple[list[Consent], list[Consent]]) -> None:
    once, again = runs
    assert reduce(join, once) == reduce(join, again)


@given(consents, positions)
def test_an_opt_out_beats_every_other_source(one: Consent, at: bytes) -> None:
    after = consent.erp_said(one, opted=False, position=at)
    assert after.erp.at > at or verdict(after) >= Verdict.OUT


@given(consents)
def test_nobody_is_created_subscribed_without_the_erps_word_or_against_a_refusal(one: Consent) -> None:
    if consent.creation_status(one, external=False) == "subscribed":
        assert one.erp.word is Word.IN
        assert verdict(one) is Verdict.IN and not consent.opted_out(one) and not consent.goes_along(one)


@given(
    consents, st.sampled_from(FREE + REFUSED), positions, st.sampled_from(["no", "unsubscribed", "subscribed"]), st.booleans()
)
def test_only_a_newer_subscription_takes_a_refusal_back(
    one: Consent, status: str, at: bytes, created: Created, told: bool
) -> None:
    after = seen(one, status, at, created, told=told)
    if consent.goes_along(one) and not consent.goes_along(after):
        assert status.lower() == "subscribed" and at > one.dotdigital.at
    assert verdict(after) >= verdict(one) or status.lower() == "subscribed"


@given(consents)
def test_a_row_keeps_its_consent(one: Consent) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Consent) == one


@pytest.mark.parametrize("status", FREE)
def test_a_bounce_and_a_pending_confirmation_are_nobodys_refusal(status: str) -> None:
    assert not consent.refused(status)


@pytest.mark.parametrize("status", REFUSED)
def test_complaints_and_unknown_statuses_are_refusals(status: str) -> None:
    assert consent.refused(status)


@pytest.mark.parametrize(("word", "status"), [("in", "subscribed"), ("out", "unsubscribed"), ("silent", "unsubscribed")])
def test_the_status_of_a_new_contact(word: str, status: str) -> None:
    assert consent.creation_status(erp(word), external=False) == status
    assert consent.creation_status(erp(word), external=True) is None


@pytest.mark.parametrize("status", ["subscribed", "pendingOptIn", "softBounced", "unsubscribed", "suppressed", None])
@pytest.mark.parametrize("word", WORDS)
def test_only_an_opt_out_moves_an_existing_contact_and_only_one_that_nobody_refused(word: str, status: str | None) -> None:
    tells = word == "out" and status not in ("unsubscribed", "suppressed")
    assert consent.must_tell_out(erp(word), status, told=False) is tells
    assert not consent.must_tell_out(erp(word), status, told=True)


def test_the_erps_latest_word_counts() -> None:
    said = consent.erp_said(consent.erp_said(Consent(), opted=True, position=T2), opted=False, position=T1)
    assert verdict(said) is Verdict.IN
    assert verdict(consent.erp_said(said, None, T3)) is Verdict.UNKNOWN


def test_an_unsubscribe_outlives_the_contact_until_the_person_subscribes_again() -> None:
    refusal = seen(erp("in"), "unsubscribed", T1)
    assert consent.creation_status(refusal, external=False) == "unsubscribed"
    assert consent.creation_status(seen(refusal, "hardBounced", T2), external=False) == "unsubscribed"
    assert consent.creation_status(seen(refusal, "pendingOptIn", T2), external=False) == "unsubscribed"
    assert consent.creation_status(seen(refusal, "subscribed", T2), external=False) == "subscribed"


def test_a_late_reading_does_not_take_an_unsubscribe_back() -> None:
    assert verdict(seen(seen(Consent(), "unsubscribed", T2), "subscribed", T1)) is Verdict.OUT


def test_the_status_that_we_gave_is_nobodys_refusal_until_somebody_else_has_changed_it() -> None:
    ours = seen(erp("in"), "Unsubscribed", T1, "unsubscribed")
    assert verdict(ours) is Verdict.IN
    created = consent.still_created("unsubscribed", "subscribed")
    assert verdict(seen(ours, "unsubscribed", T3, created)) is Verdict.OUT
    assert verdict(seen(ours, "suppressed", T3, "unsubscribed")) is Verdict.OUT


def test_a_refusal_of_a_former_address_is_told_and_goes_on_to_the_next() -> None:
    moved = consent.came_along(erp("in"), T1)
    assert consent.creation_status(moved, external=False) == "unsubscribed"
    assert consent.must_tell_out(moved, "subscribed", told=False)
    assert consent.goes_along(moved)


def test_who_subscribes_again_after_a_refusal_was_told_takes_it_back() -> None:
    told = seen(consent.came_along(erp("in"), T1), "unsubscribed", T2)
    back = seen(told, "subscribed", T3, told=True)
    assert not consent.goes_along(back) and verdict(back) is Verdict.IN
    assert consent.goes_along(consent.came_along(back, T2)), "another refusal is another matter"
    assert not consent.goes_along(consent.came_along(back, T1)), "a replay is not"


def test_a_subscription_from_before_a_refusal_was_told_takes_nothing_back() -> None:
    moved = consent.came_along(seen(erp("in"), "unsubscribed", T1), T1)
    assert consent.goes_along(seen(moved, "subscribed", T2, told=False))
    assert consent.goes_along(seen(consent.came_along(erp("in"), T1), "subscribed", T2, told=True))


def test_an_opt_out_is_told_once_for_each_time_that_it_is_said() -> None:
    out = erp("out")
    again = consent.erp_said(out, opted=False, position=T2)
    assert consent.still_told(out, again, told=True)
    silent = consent.erp_said(out, None, T2)
    assert not consent.still_told(out, silent, told=True)
    assert not consent.still_told(silent, consent.erp_said(silent, opted=False, position=T3), told=True)
    assert not consent.still_told(out, consent.came_along(out, T1), told=True)
    assert not consent.still_told(out, again, told=False)
