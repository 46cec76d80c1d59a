"""Contact rules §4 to §6 at rest: what counts as a difference between the rows and the account."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.mapping.delivery import Delivery
from streams.mapping.model import BlankPolicy
from testkit.oracle import Account, Actual, Difference, Expectation, Expected, compare, expectation
from testkit.oracle.moves import all_moved_here, moved_here
from testkit.oracle.sandbox import SandboxError, read_account
from testkit.sandbox import SandboxConfig, create_app

from .made_account import account_of, with_contact, with_records
from .made_rows import contact, customer, default_mapping, order, site, tables, with_consent

command = import_module("testkit.cli.verify")
ANN, BOB = "ann@example.com", "bob@example.com"
TABLES = tables(customer(10), contact(1, 10, ANN, cc_first_name="Ann"), order(5, 10, "12.5000"))
NOW = datetime(2026, 1, 20, tzinfo=UTC)
CONTACTS_ONLY = Delivery(orders=None, catalogue=None, recent_buyers=None)
SITE = site(delivery=CONTACTS_ONLY)
WANTED = expectation(TABLES, SITE, at=NOW)
EXPECTED = WANTED.contacts


def as_sent(expected: Expected, **changes: Any) -> dict[str, Any]:
    """What the account holds after ``expected`` was sent: nulls are absent."""
    return {name: value for name, value in (expected.fields | changes).items() if value is not None}


def actual(email: str = ANN, status: str = "unsubscribed", **changes: Any) -> Actual:
    return Actual(email, status, as_sent(EXPECTED[ANN], **changes))


def differences(*held: Actual, **options: Any) -> list[tuple[str, str]]:
    return [(found.whom, found.field) for found in compare(WANTED, Account(held), SITE, **options)]


def test_what_was_sent_is_what_is_expected() -> None:
    assert differences(actual()) == []


def test_numbers_are_compared_by_value_and_times_by_instant() -> None:
    same = actual(
        OW_TOTAL_SPEND=Decimal("12.5"),
        OW_AOV=12.50,
        OW_ORDER_COUNT=Decimal("1.0"),
        OW_LAST_ORDER="2026-01-06T13:00:00+01:00",
    )
    assert differences(same) == []


def test_field_names_match_in_any_case() -> None:
    held = actual()
    assert differences(Actual(ANN, held.status, {name.lower(): value for name, value in held.fields.items()})) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("OW_TOTAL_SPEND", Decimal("12.51")),
        ("OW_TOTAL_SPEND", "twelve"),
        ("OW_TOTAL_SPEND", None),
        ("OW_ORDER_COUNT", True),
        ("OW_REFUNDED", 0),
        ("OW_TRADE", "false"),
        ("OW_LAST_ORDER", "2026-01-06T12:00:01Z"),
        ("OW_LAST_ORDER", "yesterday"),
        ("OW_LAST_REFUND", "2026-01-06T12:00:00Z"),
        ("FIRSTNAME", "ann"),
        ("OW_LAST_REFUND", ""),
    ],
)
def test_a_wrong_field_is_named_with_both_values(field: str, value: Any) -> None:
    found = compare(WANTED, Account((actual(**{field: value}),)), SITE)
    assert found == [Difference("contact", ANN, field, EXPECTED[ANN].fields[field], value)]


def test_other_data_fields_are_not_ours_to_judge() -> None:
    assert differences(actual(SHOE_SIZE=9)) == []


def test_a_missing_binned_or_doubled_contact_is_a_difference() -> None:
    assert differences() == [(ANN, "contact")]
    assert differences(Actual(ANN, "unsubscribed", actual().fields, binned=True)) == [(ANN, "contact")]
    assert differences(actual(), actual(email=ANN.upper())) == [(ANN, "contact")]


def test_an_address_without_rows_is_gone_or_cleared() -> None:
    left = {"OW_ORDER_COUNT": 3, "SHOE_SIZE": 9}
    assert differences(actual(), Actual(BOB, "subscribed", left)) == [(BOB, "OW_ORDER_COUNT")]
    assert differences(actual(), Actual(BOB, "subscribed", left, binned=True)) == []
    assert differences(actual(), Actual(BOB, "subscribed", {"SHOE_SIZE": 9})) == []
    assert differences(actual(), Actual(BOB, "subscribed", {"FIRSTNAME": "typed by Bob"})) == []


@pytest.mark.parametrize(("policies", "found"), [({}, []), ({"last_name": "clear"}, [(ANN, "LASTNAME")])])
def test_a_name_that_the_rows_lack_is_whatever_was_typed_unless_the_site_clears_it(
    policies: dict[str, BlankPolicy], found: list[tuple[str, str]]
) -> None:
    mapping = SITE.model_copy(update={"blank_fields": policies})
    wrong = compare(expectation(TABLES, mapping, at=NOW), Account((actual(LASTNAME="typed"),)), mapping)
    assert [(difference.whom, difference.field) for difference in wrong] == found


def test_a_contact_that_we_created_is_gone_when_we_know_which_those_are() -> None:
    cleared = Actual(BOB, "subscribed", {})
    assert differences(actual(), cleared, preexisting=set()) == [(BOB, "contact")]
    assert differences(actual(), cleared, preexisting={BOB}) == []


def test_nobody_is_subscribed_without_a_mapped_consent() -> None:
    assert differences(actual(status="subscribed")) == [(ANN, "status")]
    assert differences(actual(status="subscribed"), opted_in_ever={ANN}) == [(ANN, "status")]
    assert differences(actual(status="subscribed"), preexisting={ANN}) == []


@pytest.mark.parametrize(
    ("value", "ever", "before", "right"),
    [
        (True, False, False, True),
        (False, True, True, False),
        (None, False, False, False),
        (None, True, False, True),
        (None, False, True, True),
    ],
)
def test_subscribed_needs_an_opt_in_and_no_opt_out(value: bool | None, ever: bool, before: bool, right: bool) -> None:
    expected = published_of_consent(value)
    held = Account((Actual(ANN, "subscribed", as_sent(expected.contacts[ANN])),))
    options: dict[str, Any] = {"opted_in_ever": {ANN} if ever else (), "preexisting": {ANN} if before else None}
    found = compare(expected, held, CONSENTING, **options)
    assert [(difference.kind, difference.field) for difference in found] == ([] if right else [("consent", "status")])


def test_opted_in_does_not_demand_a_subscription() -> None:
    expected = published_of_consent(True)
    assert compare(expected, Account((Actual(ANN, "suppressed", as_sent(expected.contacts[ANN])),)), CONSENTING) == []


def test_who_unsubscribed_in_dotdigital_is_not_subscribed_again_whatever_the_rows_say() -> None:
    expected = published_of_consent(True)
    held = Account((Actual(ANN, "subscribed", as_sent(expected.contacts[ANN])),))
    (found,) = compare(expected, held, CONSENTING, unsubscribed_there={ANN.upper()})
    assert (found.kind, found.whom, found.field) == ("consent", ANN, "status")
    assert compare(expected, held, CONSENTING, unsubscribed_there={BOB}) == []


def published_of_consent(value: bool | None) -> Expectation:
    rows = tables(customer(10), contact(1, 10, ANN, cc_marketing_opt_in=value))
    return expectation(rows, CONSENTING, at=NOW)


CONSENTING = with_consent().model_copy(update={"delivery": CONTACTS_ONLY})


ADMIN_CALLS = ("state", "records", "events", "programs")
FIELDS = {
    "OW_ACCOUNT": "String", "OW_TRADE": "Boolean", "OW_ORDER_COUNT": "Numeric", "OW_TOTAL_SPEND": "Numeric",
    "OW_AOV": "Numeric", "OW_FIRST_ORDER": "Date", "OW_LAST_ORDER": "Date", "OW_LAST_ORDER_NO": "String",
    "OW_LAST_STATUS": "String", "OW_LAST_DESPATCH": "Date", "OW_REFUND_COUNT": "Numeric", "OW_REFUND_TOTAL": "Numeric",
    "OW_LAST_REFUND": "Date", "OW_REFUNDED": "Boolean", "OW_EXCLUDE_UNTIL": "Date", "OW_LAST_SKUS": "String",
}  # fmt: skip


async def test_the_sandbox_itself_can_be_compared() -> None:
    # Through JSON text, as amounts are written by the bridge: numbers, not strings.
    data = {name: float(value) if isinstance(value, Decimal) else value for name, value in actual().fields.items()}
    seeded = [{"email": ANN, "status": "unsubscribed", "dataFields": data}, {"email": BOB, "binned": True}]
    app = create_app(SandboxConfig("user@apiconnector.example", "a-password-1", data_fields=FIELDS))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as box:
        (await box.post("/_sandbox/contacts", json={"contacts": seeded})).raise_for_status()
        answers = {f"/_sandbox/{name}": (await box.get(f"/_sandbox/{name}")).content for name in ADMIN_CALLS}
    client = httpx.Client(transport=httpx.MockTransport(lambda asked: httpx.Response(200, content=answers[asked.url.path])))
    account = read_account("http://sandbox", client)
    assert compare(WANTED, account, SITE, preexisting=()) == []
    assert [contact.email for contact in account.by_id.values()] == [ANN]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"contacts": [{"email": ANN}], "lists": []}),
    ],
)
def test_anything_but_a_sandbox_is_an_error_with_its_url(answer: httpx.Response) -> None:
    client = httpx.Client(transport=httpx.MockTransport(lambda _: answer))
    with pytest.raises(SandboxError, match="http://elsewhere"):
        read_account("http://elsewhere/", client)


SHIPPED = account_of(expectation(TABLES, default_mapping(), at=NOW), default_mapping())
"""What the command expects of an account, with the mapping that it takes unless told otherwise."""


def with_bob(**changes: Any) -> Account:
    return replace(SHIPPED, contacts=(*SHIPPED.contacts, Actual(BOB, "subscribed", {}, id=900, **changes)))


def spoilt() -> Account:
    """Ann with another name and count, and her order under Bob."""
    fields = {**SHIPPED.contacts[0].fields, "FIRSTNAME": "Zed", "OW_ORDER_COUNT": 7}
    wrong = with_contact(with_bob(), ANN, fields=fields)
    order_of_bob = replace(SHIPPED.collections[0].records[0], owner=900)
    return with_records(wrong, SHIPPED.collections[0].name, order_of_bob)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OWDD_MAPPING", raising=False)
    content = {"seed": 1, "tables": TABLES, "opted_in_ever": []}
    (tmp_path / "truth.json").write_bytes(orjson.dumps(content))
    return tmp_path


def run(files: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify", "--truth", str(files / "truth.json"), *options])
    return result.exit_code, result.output


def test_verify_exits_with_0_when_nothing_differs(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "read_account", lambda _: SHIPPED)
    code, output = run(files)
    assert (code, "No difference" in output) == (0, True)


def test_verify_exits_with_2_and_keeps_people_out_of_its_output(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "read_account", lambda _: spoilt())
    code, output = run(files, "--json")
    assert code == 2
    shown = orjson.loads(output)
    assert shown["by_kind"] == {"contact": 2, "record": 1}
    assert shown["by_field"] == {"FIRSTNAME": 1, "OW_ORDER_COUNT": 1, "owner": 1}
    assert (shown["contacts"], shown["records"], shown["catalogue"], shown["follow_ups"]) == (1, 1, 0, 0)
    assert not [person for person in (ANN, BOB, "Zed") if person in output]
    code, output = run(files, "--show-personal-data", "--limit", "1")
    assert (code, ANN in output, "Zed" in output, "3 differences" in output) == (2, True, True, True)


def test_verify_has_other_codes_when_it_cannot_compare(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "read_account", lambda _: Account((actual(),)))
    assert run(files, "--mapping", str(files / "missing.yaml"))[0] == 3
    assert run(files, "--preexisting", str(files / "missing.txt"))[0] == 1
    assert run(files, "--truth", str(files / "missing.json"))[0] == 1
    monkeypatch.undo()
    assert run(files, "--url", "http://127.0.0.1:1")[0] == 1
    assert run(files, "--url", "nonsense")[0] == 1


def test_verify_knows_who_was_there_before(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "read_account", lambda _: with_bob(lists=()))
    (files / "before.txt").write_text("\nBob@Example.com \n")
    assert run(files)[0] == 0
    assert run(files, "--preexisting", str(files / "before.txt"))[0] == 0
    (files / "before.txt").write_text("")
    assert run(files, "--preexisting", str(files / "before.txt"))[0] == 2


def test_verify_knows_who_was_erased_and_who_unsubscribed(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (files / "bob.txt").write_text(f"{BOB}\n")
    monkeypatch.setattr(command, "read_account", lambda _: with_bob(lists=()))
    for option, kind in (("--erased", "erasure"), ("--unsubscribed", "consent")):
        code, output = run(files, option, str(files / "bob.txt"), "--json")
        assert (code, orjson.loads(output)["by_kind"]) == (2, {kind: 1})
        assert run(files, option, str(files / "missing.txt"))[0] == 1
    truth = orjson.loads((files / "truth.json").read_bytes()) | {"erased": [BOB]}
    (files / "truth.json").write_bytes(orjson.dumps(truth))
    assert orjson.loads(run(files, "--json")[1])["by_kind"] == {"erasure": 1}


RENAMING = SITE.model_copy(update={"contact": SITE.contact.model_copy(update={"on_move": "rename"})})


@pytest.mark.parametrize(("mapping", "found"), [(SITE, [(ANN, "status")]), (RENAMING, [])])
def test_a_subscription_may_have_come_along_only_if_contacts_are_renamed(mapping: Any, found: list[tuple[str, str]]) -> None:
    held = Account((actual(status="subscribed"),))
    assert [(one.whom, one.field) for one in compare(WANTED, held, mapping, preexisting=(), moved_here={ANN})] == found
    assert compare(WANTED, held, RENAMING, preexisting=(), moved_here={BOB}), "to another address"


def test_a_contact_goes_along_where_only_the_address_of_a_row_changes() -> None:
    def versions(*changes: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            contact(1, 10, email, **({"cc_first_name": "Ann"} | rest)) for email, rest in ((c.pop("at"), c) for c in changes)
        ]

    assert moved_here(versions({"at": ANN}, {"at": BOB}), RENAMING) == {BOB}
    assert moved_here(versions({"at": ANN}, {"at": BOB, "cc_first_name": "Bob"}), RENAMING) == frozenset()
    assert moved_here(versions({"at": ANN, "cc_first_name": None}, {"at": BOB, "cc_first_name": None}), RENAMING) == frozenset()
    assert moved_here(versions({"at": ANN}, {"at": BOB, "cc_customer_id": 11}), RENAMING) == frozenset()
    assert moved_here(versions({"at": ANN}, {"at": ANN}), RENAMING) == frozenset()


def test_moves_are_read_from_every_version_of_every_contact_row_and_a_deleted_one_has_not_moved() -> None:
    def version(key: int, email: str) -> dict[str, Any]:
        return contact(key, 10, email, cc_first_name="Ann")

    table = SITE.contact.table
    history: Any = {
        table: {
            "1": [version(1, ANN), version(1, BOB)],
            "2": [version(2, "cat@example.com"), None],
            "3": [version(3, "cat@example.com")],
        }
    }
    tables = {table: {"1": version(1, ANN), "2": version(2, BOB)}}
    assert all_moved_here(tables, history, RENAMING) == {ANN, BOB}
    assert all_moved_here(tables, history, SITE) == frozenset()
    history[table]["1"] = [version(1, ANN), None]
    assert all_moved_here(tables, history, RENAMING) == frozenset()
