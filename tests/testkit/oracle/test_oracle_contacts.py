"""Contact rules §3 and §4: who the buyers are, what they say about their addresses, and what the contact becomes."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from testkit.oracle import expectation

from .made_rows import (
    CANCELLED,
    HOUSE,
    PART,
    contact,
    contacts,
    credit,
    customer,
    despatch,
    fields,
    order,
    site,
    tables,
    with_consent,
)

ANN, BOB = "ann@example.com", "bob@example.com"


def test_every_field_of_one_plain_customer() -> None:
    shown = fields(
        ANN,
        customer(10, cd_ow_account=" SMI001 ", cd_account_customer=True),
        contact(1, 10, ANN, cc_first_name="Ann", cc_last_name="Smith"),
        order(5, 10, "100.0000", oh_datetime="2026-01-10T12:00:00Z"),
        order(6, 10, "50.5050", oh_datetime="2026-07-01T12:00:00.997Z", oh_os_id=PART, oh_order_number=" SO/6 "),
        despatch(1, 6, "2026-07-02T10:00:00Z"),
        credit(7, 10, "20.0000", oh_datetime="2026-07-05T12:00:00Z"),
    )
    assert shown == {
        "FIRSTNAME": "Ann",
        "LASTNAME": "Smith",
        "OW_ACCOUNT": "SMI001",
        "OW_TRADE": True,
        "OW_ORDER_COUNT": 2,
        "OW_TOTAL_SPEND": Decimal("130.51"),
        "OW_AOV": Decimal("65.25"),  # 65.2525, not 65.26 from the rounded spend
        "OW_FIRST_ORDER": "2026-01-10T12:00:00Z",
        "OW_LAST_ORDER": "2026-07-01T11:00:00Z",
        "OW_LAST_ORDER_NO": "SO/6",
        "OW_LAST_STATUS": "part_despatched",
        "OW_LAST_DESPATCH": "2026-07-02T09:00:00Z",
        "OW_LAST_SKUS": None,
        "OW_REFUND_COUNT": 1,
        "OW_REFUND_TOTAL": Decimal("20.00"),
        "OW_LAST_REFUND": "2026-07-05T11:00:00Z",
        "OW_REFUNDED": True,
        "OW_EXCLUDE_UNTIL": "2026-07-31T11:00:00Z",
        "OW_CONSIGNMENT": "P6",
        "OW_CARRIER": None,
    }


def test_a_customer_without_orders_has_zeros_and_nulls() -> None:
    shown = fields(ANN, customer(10, cd_account_customer=None), contact(1, 10, ANN))
    assert {name: value for name, value in shown.items() if value is not None} == {
        "OW_TRADE": False,
        "OW_ORDER_COUNT": 0,
        "OW_TOTAL_SPEND": Decimal("0.00"),
        "OW_REFUND_COUNT": 0,
        "OW_REFUND_TOTAL": Decimal("0.00"),
        "OW_REFUNDED": False,
    }


def test_credits_can_exceed_orders() -> None:
    shown = fields(ANN, customer(10), contact(1, 10, ANN), order(5, 10, "1.0000"), credit(6, 10, "1.0040"))
    assert str(shown["OW_TOTAL_SPEND"]) == "0.00"
    only_credits = fields(ANN, customer(10), contact(1, 10, ANN), credit(6, 10, "1.005"))
    assert (only_credits["OW_TOTAL_SPEND"], only_credits["OW_AOV"]) == (Decimal("-1.01"), None)


def test_the_exclusion_is_in_hours_not_in_days_of_the_wall_clock() -> None:
    rows = [customer(10), contact(1, 10, ANN), order(5, 10, oh_datetime="2026-10-20T12:00:00Z")]
    assert fields(ANN, *rows)["OW_EXCLUDE_UNTIL"] == "2026-11-19T11:00:00Z"
    assert fields(ANN, *rows, mapping=site(exclude_days=0))["OW_EXCLUDE_UNTIL"] == "2026-10-20T11:00:00Z"


def test_a_customer_exists_by_its_own_row_only() -> None:
    assert contacts(contact(1, 10, ANN), order(5, 10)) == {}
    assert contacts(contact(1, None, ANN), contact(2, 0, BOB)) == {}


def test_all_addresses_of_an_account_read_its_totals() -> None:
    shown = contacts(customer(10), contact(1, 10, f"{ANN}; {BOB}"), contact(2, 10, "n/a"), order(5, 10, "9.0000"))
    assert {email: made.fields["OW_TOTAL_SPEND"] for email, made in shown.items()} == dict.fromkeys((ANN, BOB), 9)


def test_account_addresses_serve_only_when_no_contact_has_one() -> None:
    account = customer(10, cd_statement_email="", cd_invoice_email=f"{BOB} c@example.com")
    assert set(contacts(account, contact(1, 10, "none"))) == {BOB, "c@example.com"}
    assert set(contacts(account)) == {BOB, "c@example.com"}
    assert set(contacts(account, contact(1, 10, ANN))) == {ANN}
    first = customer(10, cd_statement_email=ANN, cd_invoice_email=BOB)
    assert set(contacts(first)) == {ANN}
    assert set(contacts(customer(10, cd_statement_email="jo smith@example.com", cd_invoice_email=BOB))) == set()


def test_an_account_address_has_no_name() -> None:
    rows = [customer(10, cd_statement_email=ANN), contact(1, 10, None, cc_first_name="Ann")]
    assert fields(ANN, *rows)["FIRSTNAME"] is None


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"cc_first_name": "Ann", "cc_last_name": "Lee", "cc_name": "X Y"}, ("Ann", "Lee")),
        ({"cc_first_name": " Ann ", "cc_last_name": " ", "cc_name": "X Y"}, ("Ann", None)),
        ({"cc_first_name": "", "cc_last_name": "Lee"}, (None, "Lee")),
        ({"cc_name": " Ann  van der Lee "}, ("Ann", "van der Lee")),
        ({"cc_name": "Ann\tLee"}, ("Ann", "Lee")),
        ({"cc_name": "Ann"}, ("Ann", None)),
        ({"cc_name": " "}, (None, None)),
        ({"cc_first_name": "A" * 1001}, ("A" * 1000, None)),
    ],
)
def test_names(row: dict[str, Any], name: tuple[str | None, str | None]) -> None:
    shown = fields(ANN, customer(10), contact(1, 10, ANN, **row))
    assert (shown["FIRSTNAME"], shown["LASTNAME"]) == name


def test_the_first_contact_with_a_name_names_the_address() -> None:
    people = [
        contact(9, 10, ANN, cc_first_name="Late"),
        contact(2, 10, ANN),
        contact(3, 10, f"x <{ANN}>", cc_name="First Named"),
        contact(1, 10, BOB, cc_first_name="Other"),
    ]
    shown = fields(ANN, customer(10), people)
    assert (shown["FIRSTNAME"], shown["LASTNAME"]) == ("First", "Named")


def test_a_guest_is_a_buyer_by_order_or_by_house_contact() -> None:
    shown = contacts(contact(1, HOUSE, BOB, cc_name="Bob Hope"), order(5, HOUSE, "3.0000", email=f" {ANN.upper()} "))
    assert set(shown) == {ANN, BOB}
    assert shown[ANN].fields["OW_TOTAL_SPEND"] == 3
    assert (shown[BOB].fields["OW_ORDER_COUNT"], shown[BOB].fields["FIRSTNAME"]) == (0, "Bob")


def test_a_house_account_itself_has_no_contact() -> None:
    house = customer(HOUSE, cd_statement_email=ANN, cd_ow_account="WEB", cd_account_customer=True)
    assert contacts(house) == {}
    shown = fields(BOB, house, order(5, HOUSE, email=BOB))
    assert (shown["OW_ACCOUNT"], shown["OW_TRADE"]) == (None, False)


def test_a_guests_cancelled_order_or_credit_makes_a_contact() -> None:
    assert set(contacts(order(5, HOUSE, email=ANN, oh_os_id=CANCELLED))) == {ANN}
    assert set(contacts(credit(6, HOUSE, email=BOB))) == {BOB}
    assert contacts(order(5, HOUSE, email=ANN, oh_sot_id=2)) == {}


def test_a_guest_is_one_person_over_all_house_accounts() -> None:
    mapping = site(house_accounts=frozenset({1, 2}))
    rows = [contact(5, 2, ANN, cc_name="Second House"), order(5, 1, "1.0000", email=ANN), order(6, 2, "2", email=ANN)]
    shown = fields(ANN, *rows, mapping=mapping)
    assert (shown["OW_TOTAL_SPEND"], shown["FIRSTNAME"]) == (3, "Second")


def test_first_and_last_order_go_by_time_then_by_id() -> None:
    same = "2026-02-02T10:00:00"
    rows = [
        order(7, 10, oh_datetime=f"{same}.500Z"),
        order(8, 10, oh_datetime=f"{same}Z"),
        order(6, 10, oh_datetime=f"{same}.997Z"),
    ]
    # Fractions are cut before they could decide.
    assert fields(ANN, customer(10), contact(1, 10, ANN), *rows)["OW_LAST_ORDER_NO"] == "SO-8"


def test_several_buyers_of_one_address_are_added_up() -> None:
    shown = fields(
        ANN,
        [customer(10), contact(1, 10, ANN), order(5, 10, "1.0040", oh_datetime="2026-01-01T00:00:00Z")],
        [customer(11, cd_account_customer=True), contact(2, 11, ANN), order(6, 11, "2.0040")],
        order(7, HOUSE, "4.0000", email=ANN, oh_datetime="2026-06-01T00:00:00Z"),
        credit(8, HOUSE, "0.5000", email=ANN),
    )
    assert shown["OW_ORDER_COUNT"] == 3
    assert shown["OW_TOTAL_SPEND"] == Decimal("6.51")  # 6.508
    assert shown["OW_AOV"] == Decimal("2.17")
    assert shown["OW_TRADE"] is True
    assert (shown["OW_FIRST_ORDER"], shown["OW_LAST_ORDER"]) == ("2026-01-01T00:00:00Z", "2026-05-31T23:00:00Z")
    assert (shown["OW_LAST_ORDER_NO"], shown["OW_REFUND_COUNT"]) == ("SO-7", 1)


def named(customer_id: int, name: str, account: str | None, *orders: Any) -> list[Any]:
    row = [customer(customer_id, cd_ow_account=account), contact(customer_id, customer_id, ANN, cc_first_name=name)]
    return [row, *orders]


def test_the_buyer_of_the_latest_order_ranks_first() -> None:
    old = named(10, "Old", "OLD1", order(5, 10, oh_datetime="2026-01-01T00:00:00Z"))
    new = named(11, "New", None, order(6, 11, oh_datetime="2026-02-01T00:00:00Z"))
    shown = fields(ANN, *old, *new)
    assert (shown["FIRSTNAME"], shown["OW_ACCOUNT"]) == ("New", "OLD1")


def test_at_the_same_time_the_higher_order_ranks_first() -> None:
    at = "2026-01-01T00:00:00Z"
    rows = [
        *named(10, "Low", None, order(5, 10, oh_datetime=at)),
        *named(11, "High", None, order(6, 11, oh_datetime=at)),
    ]
    assert fields(ANN, *rows)["FIRSTNAME"] == "High"


def test_without_orders_customers_rank_before_guests_and_small_ids_before_large_ones() -> None:
    guest = contact(1, HOUSE, ANN, cc_first_name="Guest")
    assert fields(ANN, *named(12, "Large", None), *named(11, "Small", None), guest)["FIRSTNAME"] == "Small"
    assert fields(ANN, customer(11), contact(2, 11, ANN), guest)["FIRSTNAME"] == "Guest"


def test_a_buyer_with_orders_ranks_before_one_without() -> None:
    late = [contact(1, HOUSE, ANN, cc_first_name="Guest"), order(5, HOUSE, email=ANN)]
    assert fields(ANN, *named(10, "Idle", None), *late)["FIRSTNAME"] == "Guest"
    cancelled = [contact(1, HOUSE, ANN, cc_first_name="Guest"), order(5, HOUSE, email=ANN, oh_os_id=CANCELLED)]
    assert fields(ANN, *named(10, "Idle", None), *cancelled)["FIRSTNAME"] == "Idle"


def test_both_names_come_from_one_buyer() -> None:
    rows = [
        [customer(10), contact(1, 10, ANN, cc_last_name="Only")],
        [customer(11), contact(2, 11, ANN, cc_first_name="Ann", cc_last_name="Other")],
    ]
    shown = fields(ANN, *rows)
    assert (shown["FIRSTNAME"], shown["LASTNAME"]) == (None, "Only")


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        ([None], None),
        ([True], "in"),
        (["1"], "in"),
        ([" TRUE "], "in"),
        ([1, None], "in"),
        ([False, True], "out"),
        ([True, 0], "out"),
        (["maybe"], None),
    ],
)
def test_consent_is_out_if_any_row_says_so(values: list[Any], meant: str | None) -> None:
    people = [contact(key, 10, ANN, cc_marketing_opt_in=value) for key, value in enumerate(values, 1)]
    assert contacts(customer(10), people, mapping=with_consent())[ANN].consent == meant
    assert contacts(customer(10), people)[ANN].consent is None  # mode none


def test_consent_is_the_addresses_own() -> None:
    people = [contact(1, 10, ANN, cc_marketing_opt_in=True), contact(2, 10, BOB, cc_marketing_opt_in=False)]
    shown = contacts(customer(10), people, mapping=with_consent())
    assert (shown[ANN].consent, shown[BOB].consent) == ("in", "out")


def test_the_tighter_consent_of_two_buyers_wins() -> None:
    rows = [
        [customer(10), contact(1, 10, ANN, cc_marketing_opt_in=True)],
        [contact(2, HOUSE, ANN, cc_marketing_opt_in=False)],
    ]
    assert contacts(*rows, mapping=with_consent())[ANN].consent == "out"
    assert contacts(rows[0], order(5, HOUSE, email=ANN), mapping=with_consent())[ANN].consent == "in"


def test_consent_rows_of_other_customers_do_not_speak() -> None:
    rows = [
        [customer(10), contact(1, 10, ANN, cc_marketing_opt_in=True)],
        [contact(2, 99, ANN, cc_marketing_opt_in=False)],
    ]
    assert contacts(*rows, mapping=with_consent())[ANN].consent == "in"


@pytest.mark.parametrize(("words", "shown"), [({"n/a"}, {BOB}), (set(), set())])
def test_a_text_that_says_that_there_is_no_address_is_an_empty_field(words: set[str], shown: set[str]) -> None:
    mapping = site().model_copy(update={"no_address": frozenset(words)})
    made = tables(customer(10, cd_statement_email="N/A.", cd_invoice_email=BOB), contact(1, 10, "(n/a)"))
    assert set(expectation(made, mapping, at=datetime(2026, 1, 1, tzinfo=UTC)).contacts) == shown
