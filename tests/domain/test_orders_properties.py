"""One order from many rows: arrival order and repeats do not matter, and every reason to hold one is the documented one."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import rows
from streams.domain import order_record, orders
from streams.domain.credits import shares
from streams.domain.order_head import Statuses
from streams.domain.orders import Held, Live, OrderRow
from streams.domain.versioned import Versioned, version_bytes
from streams.mapping import Mapping, load_mapping
from streams.mapping.delivery import OrderRecords
from streams.mapping.model import Currency
from streams.messages.changes import Change, ChangeKind, LineReply, OrderFact, OrderStatus
from streams.messages.kinds import CHANGES, LineReplyChange

HOUSE = 900
STATUSES = Statuses({1: "awaiting despatch", 2: "cancelled", 3: "no such text", 4: "dispatched"})
RowId = tuple[ChangeKind, int]
Version = tuple[int, rows.Row | None]
Histories = dict[RowId, list[Version]]


def site() -> Mapping:
    mapping = load_mapping()
    currencies = {1: Currency(code="GBP", rate=Decimal(1)), 2: Currency(code="EUR", rate=Decimal("0.85"))}
    order = mapping.order.model_copy(update={"currencies": currencies})
    return mapping.model_copy(update={"house_accounts": frozenset({HOUSE}), "order": order})


MAPPING = site()


def change(kind: ChangeKind, pk: int, row: rows.Row | None, position: int = 1, keep: tuple[str, ...] = ()) -> Change:
    return CHANGES[kind]("7", pk, version_bytes(position), 1, 0, row, keep)


def assembled(changes: Sequence[Change]) -> OrderRow:
    row = OrderRow()
    for item in changes:
        orders.apply(row, item, MAPPING)
    return row


HEADER = rows.Header("SO7", 1_700_000_000, 5, 1, 1)
COMPLETE = [
    change(ChangeKind.HEADER, 7, HEADER),
    change(ChangeKind.DETAIL, 1, rows.Detail("ann@example.com", 1)),
    change(ChangeKind.TOTAL, 1, rows.Total(Decimal("10.50"))),
    change(ChangeKind.LINE, 70, rows.Line(None, 1, Decimal(1), Decimal("10.50"))),
    change(ChangeKind.DESPATCH, 1, rows.Despatch(1_700_000_500, "C1")),
]


def judged(*extra: Change, without: ChangeKind | None = None) -> orders.DocumentState:
    row = assembled([item for item in COMPLETE if item.kind is not without])
    for item in extra:
        orders.apply(row, msgspec.structs.replace(item, position=version_bytes(2)), MAPPING)
    return orders.document_state(row, STATUSES, MAPPING)


def judged_at_first(*instead: Change) -> orders.DocumentState:
    """As the first versions that ever came of their rows; a deleted one never came."""
    places = {(item.kind, item.pk): item for item in (*COMPLETE, *instead)}
    found = [item for item in places.values() if item.row is not None]
    return orders.document_state(assembled(found), STATUSES, MAPPING)


def header(**fields: object) -> Change:
    return change(ChangeKind.HEADER, 7, msgspec.structs.replace(HEADER, **fields))


prices = st.none() | st.just(Decimal("3.333"))
numbers = st.none() | st.integers(0, 3)
ROWS: dict[ChangeKind, st.SearchStrategy[rows.Row]] = {
    ChangeKind.HEADER: st.builds(
        rows.Header,
        number=st.none() | st.just("SO7"),
        at=st.integers(0, 5),
        customer=st.sampled_from([None, 5, 6, HOUSE]),
        type=st.sampled_from([None, 1, 4, 2, 77]),
        status=st.sampled_from([None, 1, 2, 3, 4, 9]),
    ),
    ChangeKind.DETAIL: st.builds(
        rows.Detail, email=st.sampled_from([None, "a@example.com", "b@example.com"]), currency=numbers
    ),
    ChangeKind.TOTAL: st.builds(rows.Total, net=st.none() | st.decimals(-9, 9, places=2)),
    ChangeKind.LINE: st.builds(
        rows.Line,
        original=st.none() | st.integers(50, 52),
        variant=numbers,
        quantity=st.none() | st.just(Decimal(2)),
        net=prices,
    ),
    ChangeKind.DESPATCH: st.builds(rows.Despatch, at=numbers, consignment=st.none()),
    ChangeKind.RETURN: st.builds(rows.Return, number=st.sampled_from([None, "R1", "R2"]), at=numbers),
}
ROW_IDS: list[RowId] = [
    (ChangeKind.HEADER, 7),
    (ChangeKind.DETAIL, 1),
    (ChangeKind.DETAIL, 2),
    (ChangeKind.TOTAL, 1),
    (ChangeKind.TOTAL, 2),
    (ChangeKind.LINE, 70),
    (ChangeKind.LINE, 71),
    (ChangeKind.DESPATCH, 1),
    (ChangeKind.RETURN, 1),
    (ChangeKind.RETURN, 2),
]


@st.composite
def histories(draw: st.DrawFn, *, rising: bool) -> Histories:
    """Versions of some rows, oldest first; positions rise, or may stand still when ``rising`` is False."""
    found: Histories = {}
    for row_id in draw(st.lists(st.sampled_from(ROW_IDS), unique=True, min_size=1)):
        position, versions = 0, []
        for value in draw(st.lists(st.none() | ROWS[row_id[0]], min_size=1, max_size=3)):
            position += draw(st.integers(1 if rising else 0, 2))
            versions.append((position, value))
        found[row_id] = versions
    return found


@st.composite
def arrivals(draw: st.DrawFn, history: Histories) -> list[Change]:
    """The history's versions, rows interleaved at will, each row's own order kept."""
    turns = draw(st.permutations([row_id for row_id, versions in history.items() for _ in versions]))
    waiting = {row_id: iter(versions) for row_id, versions in history.items()}
    found = []
    for kind, pk in turns:
        position, value = next(waiting[kind, pk])
        found.append(change(kind, pk, value, position))
    return found


def known(row: OrderRow) -> OrderRow:
    """The row with one of the credited lines answered, as the line index would."""
    answers = {50: Versioned(version_bytes(1), True), 51: Versioned(version_bytes(1), False)}
    return msgspec.structs.replace(row, line_replies=answers, owners={50: 3})


@settings(deadline=None)
@given(st.data())
def test_rows_may_arrive_in_any_order(data: st.DataObject) -> None:
    history = data.draw(histories(rising=False))
    one, other = (known(assembled(data.draw(arrivals(history)))) for _ in range(2))
    assert one == other
    judged_one, judged_other = (orders.document_state(row, STATUSES, MAPPING) for row in (one, other))
    assert judged_one == judged_other
    if isinstance(judged_one, Live) and isinstance(judged_other, Live):
        wanted = OrderRecords()
        assert order_record.content(one, judged_one, {}, wanted) == order_record.content(other, judged_other, {}, wanted)
        assert shares(one, judged_one) == shares(other, judged_other)


@settings(deadline=None)
@given(st.data())
def test_an_old_version_may_come_again_at_any_time(data: st.DataObject) -> None:
    history = data.draw(histories(rising=True))
    arrived = data.draw(arrivals(history))
    repeated = list(arrived)
    for again in data.draw(st.lists(st.integers(0, len(arrived) - 1), max_size=6)):
        place = data.draw(st.integers(repeated.index(arrived[again]) + 1, len(repeated)))
        repeated.insert(place, arrived[again])
    assert assembled(repeated) == assembled(arrived)


@settings(deadline=None)
@given(st.data())
def test_any_end_of_the_input_may_be_read_again(data: st.DataObject) -> None:
    history = data.draw(histories(rising=False))
    arrived = data.draw(arrivals(history))
    again = data.draw(st.integers(0, len(arrived)))
    once, twice = assembled(arrived), assembled([*arrived, *arrived[again:]])
    assert orders.document_state(twice, STATUSES, MAPPING) == orders.document_state(once, STATUSES, MAPPING)
    # Former headers of one transaction change places when they come again; which of them stands in does not.
    once.last.headers = twice.last.headers = []
    assert twice == once


def test_a_complete_order_is_live() -> None:
    fact = OrderFact("SO7", 1_700_000_000, "open", False, Decimal("10.50"), 1_700_000_500)
    assert judged() == Live(fact, "c5", Decimal("10.50"), MAPPING.order.currencies[1])


def test_no_rows_are_no_order() -> None:
    assert orders.document_state(OrderRow(), STATUSES, MAPPING) is None


@pytest.mark.parametrize("kind", [ChangeKind.DETAIL, ChangeKind.TOTAL, ChangeKind.LINE, ChangeKind.DESPATCH])
def test_parts_wait_for_their_header(kind: ChangeKind) -> None:
    row = assembled([item for item in COMPLETE if item.kind is kind])
    assert orders.document_state(row, STATUSES, MAPPING) == Held("order_without_header")


def test_an_order_whose_rows_are_all_deleted_is_gone() -> None:
    row = assembled(COMPLETE)
    for item in COMPLETE:
        orders.apply(row, change(item.kind, int(item.pk), None, 2), MAPPING)
    assert orders.document_state(row, STATUSES, MAPPING) is None


FAULTS = [
    ("unknown_type", header(type=77)),
    ("unknown_type", header(type=None)),
    ("status_not_loaded", header(status=None)),
    ("status_not_loaded", header(status=9)),
    ("unknown_status", header(status=3)),
    ("order_without_total", change(ChangeKind.TOTAL, 1, rows.Total(None))),
    ("order_without_total", change(ChangeKind.TOTAL, 1, None)),
    ("unknown_currency", change(ChangeKind.DETAIL, 1, rows.Detail(None, 44))),
    ("order_without_customer", header(customer=None)),
]
"""What an order may lack, with its code."""


@pytest.mark.parametrize(("code", "extra"), FAULTS)
def test_an_order_that_could_never_be_worked_out_is_held(code: str, extra: Change) -> None:
    assert judged_at_first(extra) == Held(code, withdrawn=code == "unknown_currency")


@pytest.mark.parametrize(("code", "extra"), [*FAULTS, ("order_without_detail", change(ChangeKind.DETAIL, 1, None))])
def test_an_order_that_can_no_longer_be_worked_out_keeps_its_last_facts(code: str, extra: Change) -> None:
    before = judged()
    assert isinstance(before, Live)
    assert judged(extra) == replace(before, frozen=code)


def test_a_frozen_order_shows_what_changes_in_its_other_rows() -> None:
    outcome = judged(header(status=9), change(ChangeKind.TOTAL, 1, rows.Total(Decimal(7))))
    assert isinstance(outcome, Live) and (outcome.frozen, outcome.net) == ("status_not_loaded", Decimal(7))


def test_a_lookup_that_loses_its_text_leaves_older_orders_what_it_meant() -> None:
    row = assembled(COMPLETE)
    lost: dict[int, tuple[OrderStatus, bytes]] = {1: ("open", version_bytes(2))}
    for texts, code in (({}, "status_not_loaded"), ({1: "no such text"}, "unknown_status")):
        outcome = orders.document_state(row, Statuses(texts, lost), MAPPING)
        assert isinstance(outcome, Live) and (outcome.frozen, outcome.fact.status) == (code, "open")
        lost_before = Statuses(texts, {1: ("open", version_bytes(1))})
        assert orders.document_state(row, lost_before, MAPPING) == Held(code)


def test_a_deleted_header_is_a_positive_fact() -> None:
    assert judged(change(ChangeKind.HEADER, 7, None)) == Held("order_without_header", withdrawn=True)


@pytest.mark.parametrize("ignored", [2, 3, 5, 6, 11])
def test_a_type_that_marketing_ignores_is_neither_live_nor_held(ignored: int) -> None:
    assert judged(header(type=ignored, status=None, customer=None)) is None


def test_the_first_reason_of_the_table_is_the_one_given() -> None:
    everything_wrong = [
        header(type=77, status=9, customer=None),
        change(ChangeKind.TOTAL, 1, None),
        change(ChangeKind.DETAIL, 1, rows.Detail(None, 44)),
    ]
    codes = []
    for repaired in (
        header(type=77, status=9, customer=None),
        header(type=4, status=9, customer=None),
        header(type=4, status=3, customer=None),
        header(type=4, status=1, customer=None),
    ):
        outcome = judged_at_first(repaired, *everything_wrong[1:])
        assert isinstance(outcome, Held)
        codes.append(outcome.code)
    assert codes == ["unknown_type", "status_not_loaded", "unknown_status", "order_without_total"]


def test_a_row_that_was_right_once_is_no_reason_to_hold_an_order() -> None:
    # Its earlier version stands in; the order is held for what no version of a row makes up for.
    lost, credited = change(ChangeKind.TOTAL, 1, None), change(ChangeKind.LINE, 71, rows.Line(51, None, None, None))
    emptied = change(ChangeKind.DETAIL, 1, rows.Detail(None, 1))
    assert judged(header(customer=HOUSE), lost, emptied) == Held("order_without_email", withdrawn=True)
    assert judged(header(type=77), without=ChangeKind.TOTAL) == Held("order_without_total")
    assert judged(header(type=4), credited, lost) == Held("credit_without_order", withdrawn=True)


def credit(answers: dict[int, bool]) -> orders.DocumentState:
    extra = [
        header(type=4),
        change(ChangeKind.LINE, 70, rows.Line(50, None, None, None)),
        change(ChangeKind.LINE, 71, rows.Line(51, None, None, None)),
    ]
    row = assembled(COMPLETE)
    for item in extra:
        orders.apply(row, msgspec.structs.replace(item, position=version_bytes(2)), MAPPING)
    row.line_replies = {line: Versioned(version_bytes(1), exists) for line, exists in answers.items()}
    assert orders.credited_lines(row, MAPPING) == {50, 51}
    return orders.document_state(row, STATUSES, MAPPING)


def test_an_answer_says_which_order_has_the_line_and_is_replaced_by_a_later_one() -> None:
    row = OrderRow()
    for position, answer in ((2, LineReply(50, True, 3)), (1, LineReply(50, True, 4)), (2, LineReply(50, True, 3))):
        orders.apply(row, LineReplyChange("7", 7, version_bytes(position), 1, 0, answer), MAPPING)
    assert (row.line_replies, row.owners) == ({50: Versioned(version_bytes(2), True)}, {50: 3})
    orders.apply(row, LineReplyChange("7", 7, version_bytes(3), 1, 0, LineReply(50, False, 3)), MAPPING)
    assert (row.line_replies[50].row, row.owners) == (False, {50: 3})


@pytest.mark.parametrize("answers", [{}, {50: True}, {50: True, 51: False}])
def test_a_credit_note_waits_for_every_line_that_it_gives_back(answers: dict[int, bool]) -> None:
    assert credit(answers) == Held("credit_without_order", withdrawn=True)


def test_a_credit_note_is_live_once_its_lines_exist() -> None:
    outcome = credit({50: True, 51: True})
    assert isinstance(outcome, Live) and outcome.fact.credit


def test_a_credit_note_that_names_no_line_waits_for_none() -> None:
    outcome = judged(header(type=9))
    assert isinstance(outcome, Live) and outcome.fact.credit


def test_an_order_asks_for_no_lines() -> None:
    row = assembled([*COMPLETE, change(ChangeKind.LINE, 71, rows.Line(51, None, None, None))])
    assert orders.credited_lines(row, MAPPING) == set()


def test_a_cancelled_order_is_live_but_does_not_count() -> None:
    outcome = judged(header(status=2))
    assert isinstance(outcome, Live) and not outcome.fact.counts


def test_a_foreign_amount_is_converted_exactly() -> None:
    outcome = judged(change(ChangeKind.DETAIL, 1, rows.Detail(None, 2)))
    assert isinstance(outcome, Live) and outcome.fact.net == Decimal("8.9250")


def test_an_order_without_detail_has_the_default_currency() -> None:
    outcome = judged(without=ChangeKind.DETAIL)
    assert isinstance(outcome, Live) and outcome.fact.net == Decimal("10.50")


def test_of_several_totals_the_lowest_key_counts() -> None:
    outcome = judged(change(ChangeKind.TOTAL, 3, rows.Total(Decimal(99))), change(ChangeKind.TOTAL, 0, rows.Total(Decimal(3))))
    assert isinstance(outcome, Live) and outcome.fact.net == 3


def test_when_the_lowest_total_is_deleted_the_next_one_counts() -> None:
    outcome = judged(change(ChangeKind.TOTAL, 3, rows.Total(Decimal(99))), change(ChangeKind.TOTAL, 1, None))
    assert isinstance(outcome, Live) and outcome.fact.net == 99


def test_a_house_order_belongs_to_the_address_of_its_lowest_detail() -> None:
    outcome = judged(header(customer=HOUSE), change(ChangeKind.DETAIL, 2, rows.Detail("bob@example.com", 1)))
    assert isinstance(outcome, Live) and outcome.buyer == "eann@example.com"


@pytest.mark.parametrize(
    ("detail", "code"),
    [(None, "order_without_email"), (rows.Detail(None, 1, unreadable=True), "unreadable_address")],
)
def test_a_house_order_that_never_had_an_address_is_held(detail: rows.Detail | None, code: str) -> None:
    outcome = judged_at_first(header(customer=HOUSE), change(ChangeKind.DETAIL, 1, detail))
    assert outcome == Held(code)


def test_a_house_order_whose_address_is_emptied_is_nobodys() -> None:
    outcome = judged(header(customer=HOUSE), change(ChangeKind.DETAIL, 1, rows.Detail(None, 1)))
    assert outcome == Held("order_without_email", withdrawn=True)


def test_a_house_order_keeps_the_address_that_can_no_longer_be_read() -> None:
    outcome = judged(header(customer=HOUSE), change(ChangeKind.DETAIL, 1, rows.Detail(None, 1, unreadable=True)))
    assert isinstance(outcome, Live)
    assert (outcome.buyer, outcome.frozen) == ("eann@example.com", "unreadable_address")


def test_the_latest_despatch_is_the_one_that_counts() -> None:
    outcome = judged(
        change(ChangeKind.DESPATCH, 2, rows.Despatch(1_700_000_900, None)),
        change(ChangeKind.DESPATCH, 3, rows.Despatch(None, "X")),
    )
    assert isinstance(outcome, Live) and outcome.fact.despatched == 1_700_000_900


def test_a_field_that_the_source_could_not_name_keeps_its_value() -> None:
    row = assembled(COMPLETE)
    blank = msgspec.structs.replace(HEADER, number=None, at=9)
    orders.apply(row, change(ChangeKind.HEADER, 7, blank, 2, keep=("number",)), MAPPING)
    assert row.header is not None and row.header.row == msgspec.structs.replace(HEADER, at=9)


def test_a_field_to_keep_is_none_when_nothing_was_known() -> None:
    row = assembled([change(ChangeKind.DETAIL, 1, rows.Detail(None, 2), 1, keep=("email",))])
    assert row.details[1].row == rows.Detail(None, 2)
