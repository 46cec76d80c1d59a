"""Contact rules §1.2: what is excluded and what is shared, from the rows alone."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from streams.mapping import Mapping
from testkit.oracle import Account, Expectation, compare, expectation
from testkit.oracle.recipients import orders_of_nobody

from .made_account import account_of, with_contact
from .made_rows import HOUSE, contact, customer, order, site, tables, with_consent

ANN, BOB, RELAY = "ann@example.com", "bob@example.com", "x1@marketplace.amazon.co.uk"
NOW = datetime(2026, 1, 20, tzinfo=UTC)


def excluding(mapping: Mapping | None = None, **changes: Any) -> Mapping:
    usual = mapping or site()
    return usual.model_copy(update={"exclude": usual.exclude.model_copy(update=changes)})


def expected(*rows: Any, mapping: Mapping | None = None) -> Expectation:
    return expectation(tables(*rows), mapping or site(), at=NOW)


def test_an_excluded_address_has_no_contact_and_the_others_keep_the_account() -> None:
    found = expected(customer(10), contact(1, 10, f"{RELAY}; {ANN}"), order(5, 10))
    assert found.contacts.keys() == {ANN}
    assert [one.owner for several in found.orders.values() for one in several] == [ANN]


def test_no_other_column_stands_in_for_an_excluded_address() -> None:
    account = customer(10, cd_statement_email=RELAY, cd_invoice_email=ANN)
    assert not expected(account).contacts
    guest = order(5, HOUSE, email=f"{RELAY}; {ANN}")
    assert not expected(guest).contacts


def test_an_excluded_account_has_no_contacts_and_no_records() -> None:
    found = expected(customer(10), contact(1, 10, ANN), order(5, 10), mapping=excluding(accounts=frozenset({10})))
    assert not found.contacts
    assert not found.orders


def test_an_order_with_an_excluded_or_unreadable_address_is_not_its_accounts_first_persons() -> None:
    rows = [customer(10), contact(1, 10, ANN), order(5, 10, email=RELAY), order(6, 10, email="n/a"), order(7, 10)]
    found = expected(*rows)
    assert list(found.orders) == ["SO-7"]
    assert found.contacts[ANN].fields["OW_ORDER_COUNT"] == 3
    assert orders_of_nobody(tables(*rows), site()) == 1


def test_an_order_of_an_excluded_account_is_nobodys_whatever_address_is_on_it() -> None:
    rows = [customer(10), order(5, 10, email=ANN), order(6, 10, email=BOB), customer(11), contact(1, 11, ANN)]
    mapping = excluding(accounts=frozenset({10}))
    assert not expected(*rows, mapping=mapping).orders
    assert orders_of_nobody(tables(*rows), mapping) == 0
    assert orders_of_nobody(tables(*rows), site()) == 1


def test_a_house_account_that_is_excluded_has_neither_guests_nor_orders() -> None:
    rows = [contact(1, HOUSE, ANN), order(5, HOUSE, email=BOB)]
    assert expected(*rows).contacts.keys() == {ANN, BOB}
    assert not expected(*rows, mapping=excluding(accounts=frozenset({HOUSE}))).contacts


def test_accounts_of_a_type_and_orders_of_a_channel() -> None:
    usual = site()
    header = usual.order.header.model_copy(update={"channel": "oh_channel"})
    columns = {
        "customer": usual.customer.model_copy(update={"type": "cd_type"}),
        "order": usual.order.model_copy(update={"header": header}),
    }
    mapping = excluding(
        usual.model_copy(update=columns), customer_types=frozenset({"staff"}), channels=frozenset({"marketplace"})
    )
    rows = [
        customer(10, cd_type=" Staff "),
        contact(1, 10, ANN),
        customer(11, cd_type="trade"),
        contact(2, 11, BOB),
        order(5, 11, oh_channel="Marketplace"),
        order(6, 11, oh_channel=None),
    ]
    found = expected(*rows, mapping=mapping)
    assert found.contacts.keys() == {BOB}
    assert found.contacts[BOB].fields["OW_ORDER_COUNT"] == 1
    assert len(found.orders) == 1


def test_an_opt_out_of_what_is_excluded_counts() -> None:
    mapping = with_consent()
    rows = [customer(10), contact(1, 10, RELAY, cc_marketing_opt_in="0"), customer(11), contact(2, 11, ANN)]
    found = expected(*rows, mapping=mapping)
    assert found.opted_out == {RELAY}
    held = account_of(found, mapping)
    there = replace(held.contacts[0], email=RELAY, fields={}, id=7)
    subscribed = Account((*held.contacts, replace(there, status="subscribed")))
    shown = compare(found, subscribed, mapping, preexisting=(RELAY,))
    assert ("consent", RELAY) in {(one.kind, one.whom) for one in shown}
    left = Account((*held.contacts, replace(there, status="unsubscribed")))
    assert RELAY not in {one.whom for one in compare(found, left, mapping, preexisting=(RELAY,))}


def test_an_address_of_five_accounts_is_nobodys_on_another_accounts_order() -> None:
    rows = [row for key in range(10, 15) for row in (customer(key), contact(key, key, ANN))]
    rows += [customer(20), contact(20, 20, BOB), *order(5, 20, email=ANN)]
    assert not expected(*rows).orders
    assert orders_of_nobody(tables(*rows), site()) == 1
    assert orders_of_nobody(tables(*rows[2:]), site()) == 0


def test_of_an_address_of_five_accounts_only_the_consent_is_known() -> None:
    mapping = with_consent()
    rows = [row for key in range(10, 15) for row in (customer(key), contact(key, key, ANN, cc_marketing_opt_in="0"))]
    found = expected(*rows, order(5, 10), mapping=mapping)
    assert found.shared == {ANN}
    assert not compare(found, Account(), mapping)
    there = with_contact(account_of(found, mapping), ANN, fields={"OW_ACCOUNT": "before"})
    assert not compare(found, there, mapping)
    subscribed = with_contact(there, ANN, status="subscribed")
    assert [one.kind for one in compare(found, subscribed, mapping)] == ["consent"]
    assert not expected(*rows[:-2], mapping=mapping).shared
