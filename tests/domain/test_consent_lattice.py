"""The lattice of consent: its laws, and the table of ``docs/delivery-rules.md`` section 8."""

from functools import reduce

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain import consent
from streams.domain.consent import Consent, Outcome, Signal, Statement, join, outcome
from streams.domain.creation import after_status
from streams.domain.versioned import version_bytes
from streams.messages.deliveries import CreatedAs

positions = st.integers(0, 4).map(version_bytes) | st.just(b"")
statements = st.builds(Statement, positions, st.sampled_from(Signal))
consents = st.builds(Consent, statements, statements, positions, positions)
T1, T2, T3 = (version_bytes(moment) for moment in (1, 2, 3))

WORDS = {"in": True, "out": False, "silent": None}
FREE = ["subscribed", "Subscribed", "pendingOptIn", "PendingOptIn", "softBounced", "HardBounced", "NoMxRecord", "binned"]
REFUSED = ["unsubscribed", " Unsubscribed", "suppressed", "ispComplained", "spamTrap", "domainSuppressed", "Deleted", "new", ""]


def erp(word: str) -> Consent:
    return consent.with_erp_statement(Consent(), WORDS[word], T1)


def seen(before: Consent, status: str, at: bytes, created: CreatedAs | None = None, *, published: bool = False) -> Consent:
    return consent.with_observed_status(before, status, at, created, opt_outs_sent=published)


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
    after = consent.with_erp_statement(one, opted=False, position=at)
    assert after.erp.at > at or outcome(after) >= Outcome.OUT


@given(consents)
def test_nobody_is_created_subscribed_without_the_erps_word_or_against_a_refusal(one: Consent) -> None:
    if consent.creation_status(one, external=False) == "subscribed":
        assert one.erp.signal is Signal.IN
        assert outcome(one) is Outcome.IN and not consent.opted_out(one) and not consent.refusal_follows(one)


@given(
    consents, st.sampled_from(FREE + REFUSED), positions, st.sampled_from([None, "unsubscribed", "subscribed"]), st.booleans()
)
def test_only_a_newer_subscription_takes_a_refusal_back(
    one: Consent, status: str, at: bytes, created: CreatedAs | None, published: bool
) -> None:
    after = seen(one, status, at, created, published=published)
    if consent.refusal_follows(one) and not consent.refusal_follows(after):
        assert status.lower() == "subscribed" and at > one.dotdigital.at
    assert outcome(after) >= outcome(one) or status.lower() == "subscribed"


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
    publishes = word == "out" and status not in ("unsubscribed", "suppressed")
    assert consent.must_send_opt_out(erp(word), status, sent=False) is publishes
    assert not consent.must_send_opt_out(erp(word), status, sent=True)


def test_the_erps_latest_word_counts() -> None:
    said = consent.with_erp_statement(consent.with_erp_statement(Consent(), opted=True, position=T2), opted=False, position=T1)
    assert outcome(said) is Outcome.IN
    assert outcome(consent.with_erp_statement(said, None, T3)) is Outcome.UNKNOWN


def test_an_unsubscribe_outlives_the_contact_until_the_person_subscribes_again() -> None:
    refusal = seen(erp("in"), "unsubscribed", T1)
    assert consent.creation_status(refusal, external=False) == "unsubscribed"
    assert consent.creation_status(seen(refusal, "hardBounced", T2), external=False) == "unsubscribed"
    assert consent.creation_status(seen(refusal, "pendingOptIn", T2), external=False) == "unsubscribed"
    assert consent.creation_status(seen(refusal, "subscribed", T2), external=False) == "subscribed"


def test_a_late_reading_does_not_take_an_unsubscribe_back() -> None:
    assert outcome(seen(seen(Consent(), "unsubscribed", T2), "subscribed", T1)) is Outcome.OUT


def test_the_status_that_we_gave_is_nobodys_refusal_until_somebody_else_has_changed_it() -> None:
    ours = seen(erp("in"), "Unsubscribed", T1, "unsubscribed")
    assert outcome(ours) is Outcome.IN
    created = after_status("unsubscribed", "subscribed")
    assert outcome(seen(ours, "unsubscribed", T3, created)) is Outcome.OUT
    assert outcome(seen(ours, "suppressed", T3, "unsubscribed")) is Outcome.OUT


def test_a_refusal_of_a_former_address_is_reported_and_goes_on_to_the_next() -> None:
    moved = consent.with_carried_refusal(erp("in"), T1)
    assert consent.creation_status(moved, external=False) == "unsubscribed"
    assert consent.must_send_opt_out(moved, "subscribed", sent=False)
    assert consent.refusal_follows(moved)


def test_who_subscribes_again_after_a_refusal_was_reported_takes_it_back() -> None:
    published = seen(consent.with_carried_refusal(erp("in"), T1), "unsubscribed", T2)
    back = seen(published, "subscribed", T3, published=True)
    assert not consent.refusal_follows(back) and outcome(back) is Outcome.IN
    assert consent.refusal_follows(consent.with_carried_refusal(back, T2)), "another refusal is another matter"
    assert not consent.refusal_follows(consent.with_carried_refusal(back, T1)), "a replay is not"


def test_a_subscription_from_before_a_refusal_was_reported_takes_nothing_back() -> None:
    moved = consent.with_carried_refusal(seen(erp("in"), "unsubscribed", T1), T1)
    assert consent.refusal_follows(seen(moved, "subscribed", T2, published=False))
    assert consent.refusal_follows(seen(consent.with_carried_refusal(erp("in"), T1), "subscribed", T2, published=True))


def test_an_opt_out_is_reported_once_for_each_time_that_it_is_said() -> None:
    out = erp("out")
    again = consent.with_erp_statement(out, opted=False, position=T2)
    assert not consent.opted_out_anew(out, again)
    silent = consent.with_erp_statement(out, None, T2)
    assert not consent.opted_out_anew(out, silent)
    assert consent.opted_out_anew(silent, consent.with_erp_statement(silent, opted=False, position=T3))
    carried = consent.with_carried_refusal(out, T1)
    assert consent.opted_out_anew(out, carried)
    assert not consent.opted_out_anew(carried, consent.with_carried_refusal(carried, T1)), "a replay"
