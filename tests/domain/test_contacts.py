"""Several buyers, one contact: the merge looks at the set of parts and nothing else."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain import contact_projection
from streams.domain.buyers import ERASED
from streams.domain.contact_projection import MOST_BUYERS, ContactRow, ranked
from streams.domain.totals import combined
from streams.domain.versioned import version_bytes
from streams.mapping import load_mapping
from streams.mapping.model import BlankPolicy
from streams.messages.changes import Change, OrderStatus, Totals
from streams.messages.contributions import AddressLeft, BuyerContribution
from streams.messages.kinds import BuyerContributionChange

MAPPING = load_mapping()
DAY = 86_400
T = 1_700_000_000


def part(
    *,
    name: str | None = None,
    surname: str | None = None,
    account: str | None = None,
    trade: bool = False,
    opted: bool | None = None,
    number: str | None = None,
    status: OrderStatus | None = None,
    skus: str | None = None,
    **totals: Any,
) -> BuyerContribution:
    return BuyerContribution(name, surname, account, trade, opted, Totals(**totals), number, status, skus)


def published(buyer: str, row: BuyerContribution | AddressLeft, position: int = 1) -> Change:
    return BuyerContributionChange("a@example.com", buyer, version_bytes(position), 1, 0, row)


def held(parts: dict[str, BuyerContribution | AddressLeft]) -> ContactRow:
    row = ContactRow()
    for buyer, item in parts.items():
        contact_projection.apply(row, published(buyer, item, sum(buyer.encode())))
    return row


def fields(**parts: BuyerContribution) -> dict[str, Any]:
    """The merged data fields, numbers as exact text."""
    content = contact_projection.desired(held(dict(parts)), MAPPING).fields
    assert content is not None
    found: dict[str, Any] = json.loads(content, parse_float=str, parse_int=str)
    return found


def orders(count: int, spend: str, at: int, order: int = 1, **more: Any) -> dict[str, Any]:
    return {"orders": count, "paid": count, "spend": Decimal(spend), "first": (at, order), "last": (at, order), **more}


moments = st.none() | st.tuples(st.integers(0, 3), st.integers(1, 3))
money = st.decimals(-10_000, 10_000, places=4)
made = st.builds(
    Totals,
    live=st.integers(0, 3),
    orders=st.integers(0, 3),
    spend=money,
    refunds=st.integers(0, 3),
    refunded=money,
    first=moments,
    last=moments,
    despatched=st.none() | st.integers(0, 5),
    last_refund=st.none() | st.integers(0, 5),
    paid=st.integers(0, 3),
)
names = st.none() | st.sampled_from(["A", "B"])
parts = st.builds(BuyerContribution, names, names, names, st.booleans(), st.none() | st.booleans(), made, names, st.none())
buyers = st.sampled_from(["c1", "c2", "c10", "ea@example.com"])


@settings(deadline=None)
@given(st.dictionaries(buyers, parts | st.builds(AddressLeft, names), min_size=1), st.data())
def test_parts_may_arrive_in_any_order(found: dict[str, BuyerContribution | AddressLeft], data: st.DataObject) -> None:
    shuffled = dict(data.draw(st.permutations(list(found.items()))))
    assert contact_projection.desired(held(found), MAPPING) == contact_projection.desired(held(shuffled), MAPPING)


@settings(deadline=None)
@given(st.lists(made), st.data())
def test_totals_do_not_depend_on_order_or_grouping(found: list[Totals], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(found))
    cut = data.draw(st.integers(0, len(found)))
    assert combined([combined(shuffled[:cut]), combined(shuffled[cut:])]) == combined(found)


def test_the_latest_order_gives_number_status_and_name() -> None:
    found = fields(
        c1=part(name="Old", number="N1", status="completed", **orders(1, "1", T, 5)),
        c2=part(name="New", number="N2", status="open", **orders(1, "1", T + 1, 4)),
    )
    assert (found["OW_LAST_ORDER_NO"], found["OW_LAST_STATUS"], found["FIRSTNAME"]) == ("N2", "open", "New")


def test_of_two_orders_at_one_time_the_higher_id_is_the_latest() -> None:
    found = fields(c1=part(number="N1", **orders(1, "1", T, 5)), c2=part(number="N2", **orders(1, "1", T, 4)))
    assert found["OW_LAST_ORDER_NO"] == "N1"


def test_names_come_from_the_first_in_rank_that_has_either() -> None:
    found = fields(
        c1=part(**orders(1, "1", T + 1)),
        c2=part(surname="Smith", **orders(1, "1", T)),
        c3=part(name="Zoe", surname="Z"),
    )
    assert (found.get("FIRSTNAME"), found["LASTNAME"]) == (None, "Smith")


@pytest.mark.parametrize("before", [("c2", "c10"), ("c10", "ea@example.com"), ("c2", "ea@example.com")])
def test_ties_go_to_accounts_before_persons_and_to_the_smaller_account(before: tuple[str, str]) -> None:
    winner, loser = part(account="W"), part(account="L")
    assert ranked({before[1]: loser, before[0]: winner}) == [winner, loser]


def test_a_buyer_without_orders_comes_last() -> None:
    none, some = part(), part(**orders(1, "1", 0))
    assert ranked({"c1": none, "c2": some}) == [some, none]


def test_sums_and_extremes_run_over_all_parts() -> None:
    found = fields(
        c1=part(**orders(2, "10.10", T, despatched=T + 5), refunds=1, refunded=Decimal("2.05"), last_refund=T + 9),
        c2=part(**orders(1, "5.05", T + DAY), trade=True, account="ACC"),
    )
    assert {name: found[name] for name in found if name.startswith("OW_") and name not in _TEXT} == {
        "OW_ORDER_COUNT": "3",
        "OW_TOTAL_SPEND": "13.10",
        "OW_AOV": "4.37",
        "OW_REFUND_COUNT": "1",
        "OW_REFUND_TOTAL": "2.05",
        "OW_FIRST_ORDER": "2023-11-14T22:13:20Z",
        "OW_LAST_ORDER": "2023-11-15T22:13:20Z",
        "OW_LAST_DESPATCH": "2023-11-14T22:13:25Z",
        "OW_LAST_REFUND": "2023-11-14T22:13:29Z",
        "OW_EXCLUDE_UNTIL": "2023-12-15T22:13:20Z",
    }
    assert (found["OW_ACCOUNT"], found["OW_TRADE"], found["OW_REFUNDED"]) == ("ACC", True, True)


_TEXT = {
    "OW_ACCOUNT",
    "OW_TRADE",
    "OW_REFUNDED",
    "OW_LAST_ORDER_NO",
    "OW_LAST_STATUS",
    "OW_LAST_SKUS",
    "OW_CONSIGNMENT",
    "OW_CARRIER",
}


@pytest.mark.parametrize(
    ("spend", "shown"),
    [
        ("0.005", "0.01"),
        ("0.0049", "0.00"),
        ("2.675", "2.68"),
        ("-0.005", "-0.01"),
        ("-0.004", "0.00"),
        ("1E+3", "1000.00"),
        ("12345678901234567.89", "12345678901234567.89"),
    ],
)
def test_money_is_exact_rounded_half_up_and_never_minus_zero(spend: str, shown: str) -> None:
    assert fields(c1=part(**orders(1, spend, T)))["OW_TOTAL_SPEND"] == shown


def test_parts_are_rounded_once_and_not_one_by_one() -> None:
    found = fields(c1=part(**orders(1, "0.004", T)), c2=part(**orders(1, "0.004", T)))
    assert found["OW_TOTAL_SPEND"] == "0.01"


def test_the_average_is_taken_before_rounding() -> None:
    found = fields(c1=part(**orders(3, "0.014", T), refunded=Decimal("0.005"), refunds=1))
    assert (found["OW_TOTAL_SPEND"], found["OW_AOV"]) == ("0.01", "0.00")


def test_orders_of_nothing_are_no_part_of_the_average() -> None:
    found = fields(c1=part(**orders(2, "10", T) | {"paid": 1}), c2=part(**orders(1, "0", T) | {"paid": 0}))
    assert (found["OW_ORDER_COUNT"], found["OW_AOV"]) == ("3", "10.00")


def test_what_is_not_known_is_null() -> None:
    found = fields(c1=part())
    assert {name for name, value in found.items() if value is None} == {
        "OW_ACCOUNT",
        "OW_AOV",
        "OW_FIRST_ORDER",
        "OW_LAST_ORDER",
        "OW_LAST_ORDER_NO",
        "OW_LAST_STATUS",
        "OW_LAST_DESPATCH",
        "OW_LAST_SKUS",
        "OW_LAST_REFUND",
        "OW_EXCLUDE_UNTIL",
        "OW_CONSIGNMENT",
        "OW_CARRIER",
    }
    assert found["OW_ORDER_COUNT"] == "0" and found["OW_TOTAL_SPEND"] == "0.00" and found["OW_REFUNDED"] is False


def test_the_latest_order_says_what_was_bought_last() -> None:
    found = fields(c1=part(skus="OLD", **orders(1, "1", T)), c2=part(skus="NEW", **orders(1, "1", T + 1)))
    assert found["OW_LAST_SKUS"] == "NEW"


def test_the_latest_despatch_of_any_buyer_decides_on_the_recent_buyers() -> None:
    parts = {"c1": part(**orders(1, "1", T, despatched=T + 9)), "c2": part(**orders(1, "1", T + 5, despatched=T + 6))}
    assert contact_projection.desired(held({**parts}), MAPPING).despatched == T + 9


def test_an_address_that_everybody_left_has_no_content() -> None:
    row = held({"c1": AddressLeft("b@example.com"), "c2": AddressLeft(None)})
    desired = contact_projection.desired(row, MAPPING)
    assert desired.fields is None and desired.moved_to == ("b@example.com",)


def test_of_several_moves_the_newest_is_named_last() -> None:
    row = ContactRow()
    contact_projection.apply(row, published("c1", AddressLeft("new@example.com", b"9"), 1))
    contact_projection.apply(row, published("c2", AddressLeft("old@example.com", b"3"), 2))
    contact_projection.apply(row, published("c3", AddressLeft("new@example.com", b"1"), 3))
    desired = contact_projection.desired(row, MAPPING)
    assert (desired.moved_to, desired.left_at) == (("old@example.com", "new@example.com"), b"9")


def test_everybody_who_left_is_named_also_while_others_stay() -> None:
    row = held(
        {"c1": AddressLeft("new@example.com"), "c2": AddressLeft("other@example.com"), "c3": part(), "c4": AddressLeft(None)}
    )
    assert contact_projection.desired(row, MAPPING).moved_to == ("new@example.com", "other@example.com")


def test_one_who_left_says_nothing_about_consent() -> None:
    row = held({"c1": part(opted=True), "c2": AddressLeft(None)})
    assert contact_projection.desired(row, MAPPING).opted is True


@pytest.mark.parametrize("place", [0, 250, 500])
def test_an_opt_out_counts_whichever_of_too_many_buyers_says_it(place: int) -> None:
    row = ContactRow()
    for number in range(MOST_BUYERS + 1):
        contact_projection.apply(row, published(f"c{number}", part(opted=False if number == place else None)))
    assert len(row.parts) == MOST_BUYERS
    assert contact_projection.desired(row, MAPPING).opted is False
    contact_projection.apply(row, published("c501", part(opted=None)))
    assert contact_projection.desired(row, MAPPING).opted is False


def test_clearing_names_every_field_of_ours_that_nobody_else_fills() -> None:
    content = json.loads(contact_projection.cleared(MAPPING))
    assert content == dict.fromkeys(fields(c1=part()).keys() - {"FIRSTNAME", "LASTNAME"})


def test_a_blank_name_empties_nothing_and_a_blank_fact_does() -> None:
    found = fields(c1=part())
    assert not found.keys() & {"FIRSTNAME", "LASTNAME"} and found["OW_ACCOUNT"] is None
    assert fields(c1=part(name="Ann"))["FIRSTNAME"] == "Ann"


@pytest.mark.parametrize("policy", ["keep", "clear"])
def test_a_site_decides_what_a_blank_value_does(policy: BlankPolicy) -> None:
    mapping = MAPPING.model_copy(update={"blank_fields": {"last_name": policy, "account": policy}})
    row = held({"c1": part()})
    found = json.loads(contact_projection.desired(row, mapping).fields or b"")
    assert ({"LASTNAME", "OW_ACCOUNT"} <= found.keys()) == (policy == "clear")
    assert "FIRSTNAME" not in found


def test_a_name_that_an_erasure_took_is_emptied_whatever_the_policy() -> None:
    found = fields(c1=part(name=ERASED))
    assert (found["FIRSTNAME"], found["LASTNAME"]) == (None, None)
    found = fields(c1=part(name=ERASED), c2=part(surname="Lee"))
    assert (found["FIRSTNAME"], found["LASTNAME"]) == (None, "Lee")


@pytest.mark.parametrize("at", [253_400_000_000, 253_402_214_400])
def test_an_order_at_the_end_of_time_still_has_a_contact(at: int) -> None:
    found = fields(c1=part(**orders(1, "1", at)))
    assert found["OW_LAST_ORDER"].startswith("9999-")


def test_an_absurd_amount_still_has_a_contact() -> None:
    assert fields(c1=part(**orders(1, "1E+30", T)))["OW_ORDER_COUNT"] == "1"


def test_years_have_four_digits() -> None:
    assert fields(c1=part(**orders(1, "1", -62_135_596_800 + DAY)))["OW_LAST_ORDER"] == "0001-01-02T00:00:00Z"
