"""Held is not gone: what was published stays while it cannot be worked out, and only a positive fact takes it away."""

from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import rows
from streams.capture.envelope import RowEvent
from streams.domain.versioned import version_bytes
from streams.ingest.router import Router
from streams.mapping.model import ConsentRule
from streams.messages.changes import ChangeKind
from tests.agents.arrivals import shops
from tests.agents.memory import interleaved
from tests.agents.pipeline import (
    ANN,
    BOB,
    CREDIT,
    EVE,
    HOUSE,
    LOOKUP,
    MAPPING,
    OPEN,
    ORDER,
    PEOPLE,
    TOPICS,
    Pipeline,
    Step,
    change,
    customer,
    detail,
    header,
    of_order,
    person,
    status,
    total,
)
from tests.agents.test_erasure import erase, where

LATER, LATEST = 8, 9
ZOE = "zoe@example.com"
COLUMN = MAPPING.model_copy(update={"consent": ConsentRule(mode="column", column="cc_opt")})
GUEST = [*header(20, HOUSE), *total(20), *detail(20, EVE)]
HARM: dict[str, tuple[Step, str]] = {
    "lookup word": (status(1, "no such word", LATER), "unknown_status"),
    "lookup row": (status(1, None, LATER), "status_not_loaded"),
    "status": (header(10, status=77, at=LATER), "status_not_loaded"),
    "type": (header(10, sort=99, at=LATER), "unknown_type"),
    "customer": (header(10, None, at=LATER), "order_without_customer"),
    "number": (header(10, number=None, at=LATER), "order_without_number"),
    "total row": (of_order(ChangeKind.TOTAL, 10, 10, None, LATER), "order_without_total"),
    "total": (of_order(ChangeKind.TOTAL, 10, 10, rows.Total(None), LATER), "order_without_total"),
    "currency": (detail(10, None, 99, LATER), "unknown_currency"),
}
"""What makes order 10 impossible to work out, with the code under which it is listed."""


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline().pump(LOOKUP, PEOPLE, ORDER, detail(10, None), GUEST)


@pytest.mark.parametrize(("harm", "code"), HARM.values(), ids=HARM)
def test_an_order_that_can_no_longer_be_worked_out_stays_and_is_listed(pipeline: Pipeline, harm: Step, code: str) -> None:
    before = pipeline.content(), pipeline.records()
    pipeline.pump(harm)
    assert (pipeline.content(), pipeline.records()) == before
    frozen = pipeline.orders.held.counts(frozen=True)
    assert frozen[code] == frozen.total() > 0 and not pipeline.orders.held.counts()
    pipeline.restart()
    assert pipeline.orders.held.counts(frozen=True) == frozen


def test_an_order_that_never_was_worked_out_is_held_and_not_guessed(pipeline: Pipeline) -> None:
    pipeline.pump(status(1, "no such word", LATER), header(30, at=LATEST), total(30))
    assert pipeline.count(ANN) == 1
    assert pipeline.orders.held.counts() == {"unknown_status": 1}


def test_a_former_status_may_get_its_text_last() -> None:
    pipeline = Pipeline().pump(status(1, OPEN), PEOPLE, header(30, status=2), total(30), header(30, status=77, at=LATER))
    pipeline.pump(status(2, "dispatched"))
    assert pipeline.record(ANN, "SO30")["order_status"] == "despatched"
    assert pipeline.orders.held.counts(frozen=True).total() == 1


def test_an_order_that_never_had_a_number_is_no_frozen_one(pipeline: Pipeline) -> None:
    pipeline.pump(header(30, number=None), total(30), header(30, status=2, number=None, at=LATER))
    assert pipeline.contact(ANN)["OW_LAST_STATUS"] == "despatched"
    assert not pipeline.orders.held.counts(frozen=True)


def test_an_order_keeps_its_last_number_through_whatever_happens_to_it_without_one(pipeline: Pipeline) -> None:
    pipeline.pump(header(10, number=None, at=LATER), header(10, status=2, number=None, at=LATEST)).restart()
    shown = pipeline.record(ANN, "SO10")
    assert shown["order_status"] == "despatched" and pipeline.rebuilt().record(ANN, "SO10") == shown
    pipeline.pump(header(10, number="SO99", at=LATEST + 1))
    assert {key for _, key in pipeline.records()} == {"SO99", "SO20"}
    assert not pipeline.orders.held.counts(frozen=True)


def test_everything_is_all_right_again_when_the_word_comes_back(pipeline: Pipeline) -> None:
    before = pipeline.content(), pipeline.records()
    pipeline.pump(status(1, "no such word", LATER)).restart()
    pipeline.pump(status(1, OPEN, LATEST))
    assert (pipeline.content(), pipeline.records()) == before
    assert not pipeline.orders.held.counts() and not pipeline.orders.held.counts(frozen=True)


def test_a_frozen_record_moves_with_its_persons_address(pipeline: Pipeline) -> None:
    pipeline.pump(status(1, None, LATER), detail(20, BOB, at=LATER))
    assert (BOB, "SO20") in pipeline.records() and (EVE, "SO20") not in pipeline.records()
    assert EVE not in pipeline.content()


@pytest.mark.parametrize(
    "fact",
    [
        of_order(ChangeKind.HEADER, 20, 20, None, LATEST),
        header(20, HOUSE, sort=2, at=LATEST),
        detail(20, None, at=LATEST),
        detail(20, BOB, at=LATEST),
    ],
    ids=["header deleted", "type ignored", "address emptied", "address moved"],
)
@pytest.mark.parametrize("frozen", [True, False])
def test_a_positive_fact_withdraws_a_frozen_order_too(pipeline: Pipeline, fact: Step, frozen: bool) -> None:
    pipeline.pump(*([status(1, None, LATER)] if frozen else []), fact)
    assert EVE not in pipeline.content()
    assert (EVE, "SO20") not in pipeline.records()


@pytest.mark.parametrize("together", [True, False])
def test_an_address_that_was_emptied_is_gone_whatever_is_typed_there_next(pipeline: Pipeline, together: bool) -> None:
    emptied = detail(20, None, at=LATER)
    unreadable = of_order(ChangeKind.DETAIL, 20, 20, rows.Detail(None, 1, unreadable=True), LATEST)
    if together:
        pipeline.pump([*emptied, *unreadable])
    else:
        pipeline.pump(emptied).pump(unreadable)
    assert EVE not in pipeline.content()
    assert (EVE, "SO20") not in pipeline.records()


@pytest.mark.parametrize("together", [True, False])
def test_an_account_s_order_that_becomes_one_of_nobody_knows_whom_stays_with_the_account(
    pipeline: Pipeline, together: bool
) -> None:
    unreadable = of_order(ChangeKind.DETAIL, 11, 11, rows.Detail(None, 1, unreadable=True), 1)
    steps = [header(11), total(11), unreadable, header(11, HOUSE, at=LATER), header(11, HOUSE, status=2, at=LATEST)]
    for batch in [steps] if together else [[step] for step in steps]:
        pipeline.pump(*batch)
    assert pipeline.count(ANN) == 2
    assert not any(key == "SO11" for _, key in pipeline.records()), "it counts for the account, and is shown to nobody"
    assert pipeline.orders.held.counts(frozen=True) == {"unreadable_address": 1}
    pipeline.pump(detail(11, BOB, at=LATEST))
    assert (BOB, "SO11") in pipeline.records()


def test_a_frozen_credit_note_goes_on_giving_back(pipeline: Pipeline) -> None:
    pipeline.pump(CREDIT)
    before = pipeline.content(), pipeline.records()
    pipeline.pump(of_order(ChangeKind.HEADER, 20, 20, rows.Header("SO20", 1_700_000_020, 1, 4, 77), LATER))
    assert (pipeline.content(), pipeline.records()) == before


def of_buyer(kind: ChangeKind, key: str, pk: int, row: object) -> Step:
    return [change(TOPICS.buyers, kind, key, pk, row, LATER)]


def test_an_account_that_is_deleted_still_shows_at_the_addresses_of_its_persons(pipeline: Pipeline) -> None:
    pipeline.pump(person(1, 1, EVE))
    before = pipeline.content(), pipeline.records()
    pipeline.pump(of_buyer(ChangeKind.CUSTOMER, "c1", 1, None))
    assert (pipeline.content(), pipeline.records()) == before
    assert pipeline.buyers.held.counts(frozen=True) == {"customer_not_loaded": 1}


def test_the_last_row_that_names_an_address_takes_it_away(pipeline: Pipeline) -> None:
    assert ANN in pipeline.content()
    pipeline.pump(of_buyer(ChangeKind.CUSTOMER, "c1", 1, None))
    assert ANN not in pipeline.content()


LOST: dict[str, Step] = {
    "total row": of_order(ChangeKind.TOTAL, 30, 30, None, LATER),
    "total": of_order(ChangeKind.TOTAL, 30, 30, rows.Total(None), LATER),
    "detail row": of_order(ChangeKind.DETAIL, 30, 30, None, LATER),
}


@pytest.mark.parametrize("customer", [1, HOUSE])
@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
def test_a_row_that_is_lost_before_the_rest_of_its_order_came_counts_as_if_it_were_lost_after(
    lost: Step, customer: int
) -> None:
    of_it = [header(30, customer), total(30), detail(30, EVE)]
    former = next(step for step in of_it if step[0][1].kind is lost[0][1].kind)
    arrivals = [steps for steps in permutations([*of_it, lost]) if steps.index(former) < steps.index(lost)]
    found = []
    for steps in arrivals:
        pipeline = Pipeline().pump(LOOKUP, PEOPLE, person(9, 1, EVE))
        for step in steps:
            pipeline.pump(step)
        found.append((pipeline.content(), pipeline.records(), pipeline.orders.held.counts(frozen=True)))
    assert all(each == found[0] for each in found)
    assert "SO30" in {key for _, key in found[0][1]}


def test_a_status_that_lost_its_text_before_the_order_got_it_may_be_learned_of_after_it() -> None:
    found = []
    for steps in permutations([status(1, "no such word", LATER), header(30, status=1, at=LATEST)]):
        pipeline = Pipeline().pump(LOOKUP, PEOPLE, header(30, status=2), total(30))
        for step in steps:
            pipeline.pump(step)
        found.append((pipeline.content(), pipeline.records(), pipeline.orders.held.counts(frozen=True)))
    assert found[0] == found[1]
    assert found[0][2] == {"unknown_status": 1}


@pytest.mark.parametrize(("unreadable", "there"), [(True, True), (False, False)])
def test_an_address_that_cannot_be_read_stays_and_one_that_was_emptied_goes(
    pipeline: Pipeline, unreadable: bool, there: bool
) -> None:
    pipeline.pump(person(3, 2, "zoe@example.com"), person(4, 2, "joe@example.com"))
    pipeline.pump(of_buyer(ChangeKind.CONTACT, "c2", 3, rows.Contact((), None, None, None, unreadable=unreadable)))
    assert ("zoe@example.com" in pipeline.content()) is pipeline.desired["zoe@example.com"][1].unreadable is there
    assert not pipeline.desired["joe@example.com"][1].unreadable
    assert pipeline.buyers.held.counts(frozen=True) == ({"unreadable_address": 1} if unreadable else {})


def test_no_freeze_holds_back_an_opt_out(pipeline: Pipeline) -> None:
    pipeline.pump(person(3, 2, "zoe@example.com", opted=True), of_buyer(ChangeKind.CUSTOMER, "c2", 2, None))
    pipeline.pump(of_buyer(ChangeKind.CONTACT, "c2", 3, rows.Contact((), None, None, False, unreadable=True)))
    fields, opted = pipeline.content()["zoe@example.com"]
    assert b"First3" in fields and opted is False


def test_a_person_whose_next_account_is_not_here_is_neither_wanted_nor_withdrawn(pipeline: Pipeline) -> None:
    pipeline.pump(person(3, 2, "zoe@example.com"))
    wanted = pipeline.content()["zoe@example.com"]
    pipeline.pump(person(3, 7, "zoe@example.com", at=LATER, opted=False))
    assert pipeline.content()["zoe@example.com"] == (wanted[0], False)


def orphaned(at: int, opted: bool | None = None) -> Step:
    """The person of row 3 names no account any more."""
    row = {"cc_id": 3, "cc_customer_id": 2, "cc_email": ZOE, "cc_first_name": "First3", "cc_last_name": None, "cc_name": None}
    words = {None: None, True: "1", False: "0"}
    event = RowEvent(
        "customer_contact",
        "u",
        {"cc_id": 3},
        row | {"cc_opt": None},
        row | {"cc_customer_id": 0, "cc_opt": words[opted]},
        version_bytes(at),
        0,
        False,
    )
    return list(Router(COLUMN, TOPICS).route(event, 0))


def house_rows(*fields: tuple[str | None, str]) -> list[Step]:
    """Versions of a house account's contact row: its address field and its word on consent."""
    usual = {"cc_id": 3, "cc_customer_id": HOUSE, "cc_first_name": "Zoe", "cc_last_name": None, "cc_name": None}
    found = [usual | {"cc_email": email, "cc_opt": word} for email, word in fields]
    router = Router(COLUMN, TOPICS)
    events = [
        RowEvent("customer_contact", "u", {"cc_id": 3}, before, after, version_bytes(at), 0, False)
        for at, (before, after) in enumerate(zip([None, *found], found, strict=False), 1)
    ]
    return [list(router.route(event, 0)) for event in events]


def test_a_house_contact_whose_address_cannot_be_read_stays_where_it_was() -> None:
    first, unreadable, out, corrected = house_rows((ZOE, "1"), ("tel. 07700", "1"), ("tel. 07701", "0"), (EVE, "1"))
    pipeline = Pipeline().pump(first)
    fields, _ = pipeline.content()[ZOE]
    pipeline.pump(unreadable)
    assert pipeline.content() == {ZOE: (fields, True)} and pipeline.desired[ZOE][1].unreadable
    assert pipeline.buyers.held.counts(frozen=True) == {"unreadable_address": 1}
    pipeline.pump(out)
    assert pipeline.content() == {ZOE: (fields, False)}
    pipeline.pump(corrected)
    assert pipeline.content().keys() == {EVE} and not pipeline.buyers.held.counts(frozen=True)
    assert pipeline.desired[ZOE][1].moved_to == (EVE,)


def test_its_name_stays_beside_what_its_house_orders_show() -> None:
    first, unreadable = house_rows((ZOE, "1"), ("tel. 07700", "1"))
    pipeline = Pipeline().pump(LOOKUP, first, header(20, HOUSE), total(20), detail(20, ZOE))
    before = pipeline.content()
    assert pipeline.pump(unreadable).content() == before and b"Zoe" in before[ZOE][0]


@pytest.mark.parametrize("last", [None, ""])
def test_a_house_contact_whose_address_is_emptied_after_it_could_not_be_read_is_gone(last: str | None) -> None:
    assert not Pipeline().pump(*house_rows((ZOE, "1"), ("tel. 07700", "1"), (last, "1"))).content()


def test_an_erasure_finds_a_house_contact_whose_address_cannot_be_read() -> None:
    pipeline = Pipeline().pump(*house_rows((ZOE, "1"), ("tel. 07700", "1")), erase(ZOE))
    assert where(pipeline, ZOE) == []


def of_nobody(at: int) -> Step:
    """Row 3 names an account again."""
    return [change(TOPICS.buyers, ChangeKind.CONTACT, "u3", 3, None, at)]


def test_a_person_who_names_no_account_any_more_is_frozen_and_an_opt_out_goes_out(pipeline: Pipeline) -> None:
    pipeline.pump(person(3, 2, ZOE))
    fields, _ = pipeline.content()[ZOE]
    pipeline.pump(orphaned(LATER, opted=False))
    assert pipeline.content()[ZOE] == (fields, False)
    assert pipeline.buyers.held.counts() == {"contact_without_customer": 1}
    assert pipeline.rebuilt().desired[ZOE][1].held, "a rebuild does not know what it was, and takes nothing away"
    pipeline.pump(person(3, 2, ZOE, at=LATEST), of_nobody(LATEST))
    assert pipeline.content()[ZOE] == (fields, None) and not pipeline.buyers.held.counts()


def test_a_row_without_an_account_holds_nobody_up(pipeline: Pipeline) -> None:
    pipeline.pump(orphaned(LATER), customer(4, ZOE))
    assert b"ACC4" in pipeline.content()[ZOE][0]
    pipeline.pump(orphaned(LATEST, opted=False))
    assert pipeline.content()[ZOE][1] is False


def _harm(random: Random, order: int, at: int) -> Step:
    """Something that makes an order impossible to work out."""
    gone = of_order(random.choice([ChangeKind.TOTAL, ChangeKind.DETAIL]), order, order, None, at)
    return random.choice(
        [gone, of_order(ChangeKind.TOTAL, order, order, rows.Total(None), at), header(order, 1, sort=99, at=at)]
    )


@settings(deadline=None, max_examples=60)
@given(shops(), st.randoms(use_true_random=False), st.integers(0, 6))
def test_no_loss_of_a_row_that_is_only_needed_takes_anything_away(
    found: list[list[Step]], random: Random, crashes: int
) -> None:
    pipeline = Pipeline().pump(*interleaved(found, random))
    before = pipeline.content(), pipeline.records()
    words = [[status(pk, random.choice(["no such word", None]), 10), status(pk, None, 11)] for pk in (1, 2, 3)]
    losses = [[_harm(random, order, at) for at in (10, 11)] for order in (1, 2, 3, 4)]
    pipeline.feed(*interleaved([*words, *losses], random)).pump_badly(random, crashes)
    assert (pipeline.content(), pipeline.records()) == before
