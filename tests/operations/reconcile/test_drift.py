"""Each class of drift by itself: what is one, and what looks like one and is none."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import orjson
import pytest

from streams.dispatch.outbox.site_policy import SitePolicy
from streams.domain.consent import Consent, Signal, Statement
from streams.domain.contact_state import ContactDeliveryState, rehash
from streams.domain.creation import Creation
from streams.domain.digester import Digester
from streams.domain.own_deeds import OwnParts
from streams.domain.record_state import GONE, FollowUpDeliveryState, RecordDeliveryState, WaitState, digest_of
from streams.domain.versioned import version_bytes
from streams.dotdigital.contact_calls import Contact, Profile
from streams.mapping.bulk_windows import BulkWindows
from streams.messages.changes import DesiredFollowUp
from streams.operations.reconcile import drift
from streams.operations.reconcile.drift import Account, Difference, Drift, Moment, of_contact, settled
from tests.operations.reconcile.planted_shop import item_of, order_of

NOW = 1_800_000_000
LIST = 7
TASK = "eann@example.com"
POLICY = SitePolicy(30 * 86_400, False, Digester(b"k"), b"k", BulkWindows((), ZoneInfo("UTC")))
OWN = OwnParts(frozenset({"firstname", "ow_account", "ow_trade"}), frozenset({LIST}), {"ow_trade": "false"})
ACCOUNT = Account(POLICY, LIST, OWN, frozenset({"FIRSTNAME"}), frozenset({"open", "held", "refunded"}))
MOMENT = Moment(NOW, NOW)
FIELDS: dict[str, object] = {"FIRSTNAME": "Ann", "OW_ACCOUNT": "A1", "OW_TRADE": None}


def row(**changes: object) -> ContactDeliveryState:
    """A contact that was delivered and is at rest."""
    found = ContactDeliveryState(fields=orjson.dumps(FIELDS), contact=1, sent_at=NOW - 10_000)
    found = msgspec.structs.replace(found, **changes)
    rehash(found)
    found.delivered = found.hash
    return found


def shown(fields: Mapping[str, object] | None = None, **changes: Any) -> Contact:
    profile = Profile(fields=FIELDS if fields is None else fields)
    return replace(Contact(1, "subscribed", "ann@example.com", NOW - 10_000, profile), **changes)


def classes(found: Iterator[Difference]) -> list[tuple[Drift, str]]:
    return [(one.drift, one.cure) for one in found]


def of(row: ContactDeliveryState, found: Contact | None, moment: Moment = MOMENT) -> list[tuple[Drift, str]]:
    return classes(of_contact(TASK, row, found, ACCOUNT, moment))


def test_what_is_as_delivered_does_not_differ() -> None:
    assert settled(row(), waits=False)
    assert of(row(), shown()) == []
    assert of(row(), shown({"firstname": "Ann", "OW_ACCOUNT": "A1", "OW_TRADE": "false", "THEIRS": "x"})) == []


@pytest.mark.parametrize("changes", [{"outcome_unknown": True}, {"parked": b"x", "code": "y"}, {"owed_to": ("b@example.com",)}])
def test_what_is_on_its_way_or_set_aside_is_not_at_rest(changes: dict[str, object]) -> None:
    assert not settled(msgspec.structs.replace(row(), **changes), waits=False)
    assert not settled(row(), waits=True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [(Drift.CONTACT_DELETED, "contact")]),
        ({"contact": None, "vanished": True}, [(Drift.CONTACT_DELETED, "contact")]),
        ({"contact": None}, [(Drift.CONTACT_MISSING, "contact")]),
        ({"fields": None}, []),
    ],
)
def test_a_contact_that_is_not_there(changes: dict[str, object], expected: list[tuple[Drift, str]]) -> None:
    assert of(row(**changes), None) == expected


@pytest.mark.parametrize(
    ("updated", "expected"),
    [(NOW - 10_000, Drift.FIELDS_STALE), (NOW - 9_800, Drift.FIELDS_STALE), (NOW - 5_000, Drift.FIELDS_CHANGED)],
)
def test_fields_that_differ(updated: int, expected: Drift) -> None:
    (found,) = of_contact(TASK, row(), shown(FIELDS | {"OW_ACCOUNT": "typed"}, updated=updated), ACCOUNT, Moment(NOW))
    assert (found.drift, found.cure, found.detail) == (expected, "content", ("OW_ACCOUNT",))


def test_a_contact_that_left_and_still_shows_our_data() -> None:
    gone = row(fields=None)
    assert of(gone, shown()) == [(Drift.CONTACT_LEFT, "content")]
    assert of(row(fields=None, moved_to=("b@example.com",)), shown()) == [(Drift.DUPLICATE_PERSON, "content")]
    assert of(gone, shown({"FIRSTNAME": "Ann", "OW_ACCOUNT": "", "OW_TRADE": "false"})) == [], "kept, emptied, default"


def test_a_place_on_the_list() -> None:
    listed = row(listed=True, despatched=NOW - 86_400)
    assert of(listed, shown()) == [(Drift.LIST_PLACE, "list place")]
    there = shown(profile=Profile(fields=FIELDS, lists=frozenset({LIST})))
    assert of(listed, there) == []
    assert of(row(listed=True, despatched=NOW - 40 * 86_400), shown()) == [], "its time is over"
    assert drift.is_list_place_of_others(row(), there, ACCOUNT, MOMENT)
    assert not drift.is_list_place_of_others(listed, there, ACCOUNT, MOMENT)


def test_an_opt_out_that_did_not_take() -> None:
    ours = row(unsubscribed_by_us=True, opt_out_sent=True, consent=Consent(erp=Statement(version_bytes(1), Signal.OUT)))
    assert of(ours, shown()) == [(Drift.CONSENT, "opt-out")]
    assert of(ours, shown(email_status="unsubscribed")) == []
    assert of(ours, shown(), Moment(NOW, None)) == [], "nobody knows whether they signed up since"
    assert of(ours, shown(updated=NOW - 100)) == [], "the next reading may show a sign-up"


def test_a_refusal_that_is_not_known_here() -> None:
    left = shown(email_status="unsubscribed")
    assert of(row(), left) == [(Drift.CONSENT, "refusal")]
    assert of(row(creation=Creation("unsubscribed")), left) == [], "we created it so"
    known = Consent(dotdigital=Statement(version_bytes(1), Signal.OUT))
    assert of(row(consent=known), left) == []
    assert of(row(), shown(email_status="softbounced")) == [], "the mailbox speaks"


ORDER = order_of(4711)
SHOWN = orjson.loads(ORDER)


def record(content: bytes | None, **changes: object) -> RecordDeliveryState:
    digest = GONE if content is None else digest_of(content)
    found = RecordDeliveryState(hash=digest, delivered=None if content is None else digest, source=4711)
    return msgspec.structs.replace(found, **changes)


@pytest.mark.parametrize(
    ("content", "found", "expected"),
    [
        (ORDER, SHOWN, []),
        (ORDER, SHOWN | {"order_total": float(SHOWN["order_total"]), "carrier": None}, []),
        (ORDER, None, [Drift.ORDER_MISSING]),
        (ORDER, SHOWN | {"order_status": "held"}, [Drift.ORDER_STATUS]),
        (ORDER, SHOWN | {"order_total": 1.0}, [Drift.ORDER_CONTENT]),
        (ORDER, SHOWN | {"order_status": "held", "order_total": 1.0}, [Drift.ORDER_CONTENT]),
        (ORDER, {"note": "x"}, [Drift.ORDER_CONTENT]),
        (None, SHOWN, [Drift.ORDER_ORPHAN]),
        (None, None, []),
    ],
)
def test_an_orders_record(content: bytes | None, found: dict[str, object] | None, expected: list[Drift]) -> None:
    assert [one.drift for one in drift.of_order("r", record(content), found, ACCOUNT)] == expected


def test_a_status_that_differs_names_both() -> None:
    (found,) = drift.of_order("r", record(ORDER), SHOWN | {"order_status": "refunded"}, ACCOUNT)
    assert found.detail == ("refunded", "open")


ITEM = item_of(7)


@pytest.mark.parametrize(
    ("content", "found", "expected"),
    [
        (ITEM, orjson.loads(ITEM), []),
        (ITEM, None, [Drift.ITEM_MISSING]),
        (ITEM, orjson.loads(ITEM) | {"stock": 4}, [Drift.ITEM_CONTENT]),
        (None, orjson.loads(ITEM), [Drift.ITEM_ORPHAN]),
        (None, None, []),
    ],
)
def test_a_catalogue_record(content: bytes | None, found: dict[str, object] | None, expected: list[Drift]) -> None:
    assert [one.drift for one in drift.of_item("k7", record(content), found)] == expected


@pytest.mark.parametrize(("age", "known", "late"), [(90_000, True, True), (3_600, True, False), (90_000, False, False)])
def test_a_follow_up_that_waits(age: int, known: bool, late: bool) -> None:
    wanted = DesiredFollowUp("C1", NOW - age, Decimal("9.50"), "GBP")
    waiting = FollowUpDeliveryState(wanted, wait=WaitState(2, 0, (NOW - age) * 1000, 0))
    contact = row() if known else row(contact=None)
    found = list(drift.of_follow_up("f", waiting, contact, ACCOUNT, MOMENT))
    assert [one.drift for one in found] == ([Drift.FOLLOW_UP_OPEN] if late else [])
    done = msgspec.structs.replace(waiting, done=True)
    assert not list(drift.of_follow_up("f", done, contact, ACCOUNT, MOMENT))


def test_every_class_is_in_the_page_and_in_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs/reconcile.md").read_text()
    for one in Drift:
        assert f"`{one}`" in page and f"``{one}``" in (drift.__doc__ or "")
