"""Who moves is followed: every address that a person left knows where the person is, and only as long as it is so."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import rows
from streams.messages.changes import ChangeKind
from tests.agents.memory import interleaved
from tests.agents.pipeline import ANN, BOB, EVE, LOOKUP, MAPPING, TOPICS, Pipeline, Step, change, customer, house_person, person

SHARED = [LOOKUP, customer(1), customer(2), person(1, 1, ANN), person(2, 1, ANN)]
"""Two persons of one account at one address."""


def moved_to(pipeline: Pipeline, email: str) -> tuple[str, ...]:
    return pipeline.desired[email][1].moved_to


def gone(pk: int, at: int) -> Step:
    return [change(TOPICS.buyers, ChangeKind.CONTACT, "c1", pk, None, at)]


def test_who_leaves_a_mailbox_to_a_colleague_is_followed(pipeline: Pipeline) -> None:
    pipeline.pump(*SHARED).pump(person(1, 1, EVE, at=2))
    assert pipeline.content().keys() == {ANN, EVE}
    assert moved_to(pipeline, ANN) == (EVE,)
    pipeline.pump(gone(2, 3))
    assert pipeline.content().keys() == {EVE}
    assert moved_to(pipeline, ANN) == (EVE,)


def test_each_who_leaves_a_mailbox_to_a_colleague_is_followed(pipeline: Pipeline) -> None:
    pipeline.pump(*SHARED, person(3, 1, ANN)).pump(person(1, 1, EVE, at=2)).pump(person(2, 1, BOB, at=3))
    assert moved_to(pipeline, ANN) == (EVE, BOB)


def test_the_last_of_a_mailbox_is_followed_and_named_last(pipeline: Pipeline) -> None:
    pipeline.pump(*SHARED).pump(person(2, 1, BOB, at=2)).pump(person(1, 1, EVE, at=3))
    assert moved_to(pipeline, ANN) == (BOB, EVE)


def test_who_is_back_at_an_address_has_left_it_for_nothing(pipeline: Pipeline) -> None:
    pipeline.pump(*SHARED).pump(person(1, 1, EVE, at=2)).pump(person(1, 1, ANN, at=3)).pump(person(3, 1, EVE))
    assert (moved_to(pipeline, ANN), moved_to(pipeline, EVE)) == ((), (ANN,))


def test_a_house_contact_is_followed(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, house_person(1, ANN)).pump(house_person(1, EVE, at=2, former=ANN))
    assert pipeline.content().keys() == {EVE}
    assert moved_to(pipeline, ANN) == (EVE,)


def test_who_changes_account_and_address_is_followed(pipeline: Pipeline) -> None:
    pipeline.pump(*SHARED[:-1]).pump(person(1, 2, EVE, at=2, former=1))
    assert pipeline.content().keys() == {EVE}
    assert moved_to(pipeline, ANN) == (EVE,)


def test_who_leaves_an_excluded_address_to_a_colleague_is_followed(pipeline: Pipeline) -> None:
    there = rows.Contact((), None, None, None, excluded=(ANN,))
    pipeline.pump(customer(1), *([change(TOPICS.buyers, ChangeKind.CONTACT, "c1", pk, there, 1)] for pk in (1, 2, 3)))
    pipeline.pump(person(2, 1, BOB, at=3))
    assert moved_to(pipeline, ANN) == (BOB,)
    pipeline.pump(person(1, 1, EVE, at=2))
    assert moved_to(pipeline, ANN) == (EVE, BOB), "in the order in which they left"
    pipeline.pump(person(3, 1, at=4))
    assert moved_to(pipeline, ANN) == (EVE, BOB)


def test_who_changes_account_alone_went_nowhere(pipeline: Pipeline) -> None:
    pipeline.pump(*SHARED[:-1]).pump(person(1, 2, ANN, at=2, former=1))
    assert moved_to(pipeline, ANN) == ()


def test_who_had_no_address_in_between_is_followed(pipeline: Pipeline) -> None:
    pipeline.pump(*SHARED).pump(person(1, 1, at=2)).pump(person(1, 1, EVE, at=3))
    assert moved_to(pipeline, ANN) == (EVE,)


@settings(deadline=None, max_examples=60)
@given(st.data(), st.randoms(use_true_random=False), st.integers(0, 4))
def test_neither_arrival_nor_a_crash_changes_where_people_went(data: st.DataObject, random: Random, crashes: int) -> None:
    found = [SHARED[:3]]
    for pk in (1, 2):
        emails = data.draw(st.lists(st.sampled_from([(), (ANN,), (BOB,), (EVE,)]), min_size=1, max_size=4))
        found.append([person(pk, 1, *at_once, at=10 * at + pk) for at, at_once in enumerate(emails)])
    expected = Pipeline().pump(*[step for steps in found for step in steps])
    pipeline = Pipeline().feed(*interleaved(found, random))
    pipeline.pump_badly(random, crashes)
    for email, (_, desired) in expected.desired.items():
        assert moved_to(pipeline, email) == desired.moved_to


def renaming() -> Pipeline:
    """The joins of a site whose contacts go along with their person."""
    return Pipeline(MAPPING.model_copy(update={"contact": MAPPING.contact.model_copy(update={"on_move": "rename"})}))


def test_the_joins_name_who_moved_alone_with_an_unchanged_name_and_only_if_the_mapping_renames() -> None:
    steps = [LOOKUP, customer(1), person(1, 1, ANN)], [person(1, 1, EVE, at=2)]
    for pipeline, renames in ((Pipeline(), False), (renaming(), True)):
        for step in steps:
            pipeline.pump(*step)
        left, here = pipeline.desired[ANN][1], pipeline.desired[EVE][1]
        assert left.same_person is renames
        assert [email for email, _ in here.came_from] == ([ANN] if renames else [])
        assert not renames or here.came_from[0][1] == left.left_at


def test_where_others_were_or_are_nobody_takes_a_contact_along() -> None:
    pipeline = renaming().pump(*SHARED).pump(person(1, 1, EVE, at=2))
    assert not pipeline.desired[ANN][1].same_person and not pipeline.desired[EVE][1].came_from
    pipeline.pump(person(2, 1, BOB, at=3))
    assert not pipeline.desired[ANN][1].same_person and not pipeline.desired[BOB][1].came_from
