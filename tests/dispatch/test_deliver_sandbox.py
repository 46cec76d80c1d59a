"""Deliveries against the sandbox: the calls that are made, and what the account holds afterwards."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import SecretStr

from streams.core.clock import ManualClock
from streams.dispatch.outbox.tasks import Family, task_of
from streams.dispatch.policies import client_config
from streams.dispatch.senders.account_targets import AccountTargets
from streams.dispatch.senders.contact_upsert import ContactUpsert, deliver_contact
from streams.domain.consent import Consent, Signal, with_carried_refusal, with_erp_statement, with_observed_status
from streams.domain.contact_outcomes import apply_result
from streams.domain.contact_state import ContactDeliveryState, set_desired
from streams.domain.creation import NOT_OURS, Creation
from streams.domain.own_deeds import OwnParts
from streams.domain.versioned import version_bytes
from streams.dotdigital.client import Call, DotdigitalClient
from streams.dotdigital.codes import DELETED_IN_DOTDIGITAL
from streams.dotdigital.errors import AccessError, ConnectivityError, DataError, DotdigitalError, NotSentError, ThrottledError
from streams.messages.changes import DesiredContact
from streams.messages.deliveries import Checkpoint, ContactDelivered, ContactLooked
from streams.settings import Settings
from testkit.sandbox import SandboxApp, SandboxConfig, create_app
from testkit.sandbox.store import Contact

EMAIL = "ann+shop@example.com"
FIELDS = b'{"FIRSTNAME":"Ann","OW_SPEND":10.10,"OW_TRADE":false}'
CLEARED = b'{"FIRSTNAME":null,"OW_SPEND":null,"OW_TRADE":null}'
OWN = OwnParts(frozenset({"firstname", "ow_spend", "ow_trade"}))
V = version_bytes(1)
NEW = ContactDeliveryState(fields=FIELDS, hash=b"h")
SETTINGS = Settings(dotdigital_url="http://sandbox", dotdigital_user="api-user", dotdigital_password=SecretStr("password-1"))
TASK = task_of(Family.CONTACT, EMAIL)


@pytest.fixture
def box() -> SandboxApp:
    return create_app(SandboxConfig("api-user", "password-1", data_fields={"OW_SPEND": "Numeric", "OW_TRADE": "Boolean"}))


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
async def client(box: SandboxApp, calls: list[str]) -> AsyncIterator[DotdigitalClient]:
    def observe(call: Call) -> None:
        calls.append(f"{call.operation} {call.status}")

    async with DotdigitalClient(client_config(SETTINGS), observe, httpx.ASGITransport(box)) as made:
        yield made


def held(box: SandboxApp, email: str = EMAIL) -> Contact | None:
    """The account's contact, unless it is in the bin."""
    found = box.store.find("email", email)
    return None if found is None or found.binned else found


def status(box: SandboxApp) -> str | None:
    found = held(box)
    return found.email_status if found else None


def seed(box: SandboxApp, email_status: str, **data: Any) -> Contact:
    made = box.store.create({"email": EMAIL})
    made.email_status = email_status
    made.data.update(data)
    return made


class Checkpoints(list[Checkpoint]):
    """What was written down before the outcome."""

    async def write(self, event: Checkpoint) -> None:
        self.append(event)


def saying(opted: bool | None, row: ContactDeliveryState = NEW) -> ContactDeliveryState:
    """The row once the ERP says so."""
    return msgspec.structs.replace(row, consent=with_erp_statement(row.consent, opted, V))


async def send(
    client: DotdigitalClient,
    row: ContactDeliveryState,
    checkpoints: Checkpoints | None = None,
    *,
    records: Sequence[str] = (),
    collection: str | None = None,
) -> Any:
    targets = AccountTargets(CLEARED, collection, None, None, None, False, OWN)
    upsert = ContactUpsert(TASK, row, targets, records=records)
    return await deliver_contact(client, upsert, (Checkpoints() if checkpoints is None else checkpoints).write, ManualClock())


def after(row: ContactDeliveryState, event: ContactDelivered, **changes: Any) -> ContactDeliveryState:
    """The row once the event is applied, with other content wanted."""
    applied = msgspec.structs.replace(row)
    apply_result(applied, event)
    return msgspec.structs.replace(applied, **changes)


def kept_out(row: ContactDeliveryState, event: ContactDelivered) -> bool:
    """Whether the event lets the row know of an unsubscribe."""
    return after(row, event).consent.dotdigital.signal is Signal.OUT


async def test_a_new_contact_is_looked_for_and_then_created_unsubscribed(
    client: DotdigitalClient, box: SandboxApp, calls: list[str]
) -> None:
    event = await send(client, NEW)
    assert (event.outcome, event.created_as, event.opt_outs) == ("created", "unsubscribed", None)
    assert not kept_out(NEW, event), "it is ours, and nobody's refusal"
    assert calls == ["get-contact 404", "create-contact 201"]
    found = held(box)
    assert found is not None and (found.email_status, found.data["FIRSTNAME"]) == ("unsubscribed", "Ann")


async def test_an_opt_in_is_created_subscribed(client: DotdigitalClient, box: SandboxApp) -> None:
    event = await send(client, saying(True))
    assert event.created_as == "subscribed" and status(box) == "subscribed"


@pytest.mark.parametrize(
    "barred",
    [with_carried_refusal(Consent(), V), with_observed_status(Consent(), "unsubscribed", V, None, opt_outs_sent=False)],
    ids=["carried", "seen"],
)
async def test_an_opt_in_does_not_outweigh_an_unsubscribe(client: DotdigitalClient, box: SandboxApp, barred: Consent) -> None:
    await send(client, saying(True, msgspec.structs.replace(NEW, consent=barred)))
    assert status(box) == "unsubscribed"


@pytest.mark.parametrize("before", ["subscribed", "unsubscribed", "hardBounced", "pendingOptIn"])
async def test_a_contact_that_was_there_keeps_its_status(
    client: DotdigitalClient, box: SandboxApp, before: str, calls: list[str]
) -> None:
    seed(box, before)
    event = await send(client, saying(True))
    assert status(box) == before
    assert (event.outcome, event.created_as) == ("updated", None)
    assert kept_out(saying(True), event) is (before == "unsubscribed")
    assert calls == ["get-contact 200", "change-contact 200"]


async def test_a_known_contact_costs_one_call(client: DotdigitalClient, calls: list[str]) -> None:
    row = after(NEW, await send(client, NEW), hash=b"i")
    calls.clear()
    await send(client, row)
    assert calls == ["change-contact 200"]


@pytest.mark.parametrize("before", ["subscribed", "pendingOptIn"])
async def test_an_opt_out_unsubscribes(client: DotdigitalClient, box: SandboxApp, before: str) -> None:
    seed(box, before)
    event = await send(client, saying(False))
    assert status(box) == "unsubscribed" and event.opt_outs is not None


async def test_an_opt_out_leaves_a_suppression_as_it_is(client: DotdigitalClient, box: SandboxApp) -> None:
    seed(box, "suppressed")
    event = await send(client, saying(False))
    assert status(box) == "suppressed" and event.opt_outs is not None


@pytest.mark.parametrize(("fields", "sent"), [(FIELDS, []), (CLEARED, ["change-contact 200"])])
async def test_an_opt_out_of_who_is_refused_already_costs_a_look_and_what_else_changed(
    client: DotdigitalClient, calls: list[str], fields: bytes, sent: list[str]
) -> None:
    row = ContactDeliveryState()
    set_desired(row, DesiredContact(FIELDS, None, ()), V)
    row = after(row, await send(client, row))
    set_desired(row, DesiredContact(fields, False, ()), version_bytes(2))
    calls.clear()
    row = after(row, await send(client, row))
    assert calls == ["get-contact 200", *sent] and row.opt_out_sent and not row.dirty


async def test_an_opt_out_is_reported_once(client: DotdigitalClient, box: SandboxApp, calls: list[str]) -> None:
    seed(box, "subscribed")
    out = saying(False)
    row = after(out, await send(client, out), hash=b"i")
    found = held(box)
    assert found is not None
    found.email_status = "subscribed"
    calls.clear()
    await send(client, row)
    assert calls == ["change-contact 200"] and status(box) == "subscribed"


async def test_a_contact_that_vanished_is_not_created_again(client: DotdigitalClient, box: SandboxApp) -> None:
    row = msgspec.structs.replace(NEW, contact=1, creation=Creation("subscribed"), hash=b"i")
    with pytest.raises(DataError, match=DELETED_IN_DOTDIGITAL):
        await send(client, row)
    assert held(box) is None


async def test_an_unsubscribe_in_the_bin_comes_back_with_the_contact(client: DotdigitalClient, box: SandboxApp) -> None:
    opted_in = saying(True)
    row = after(opted_in, await send(client, opted_in), hash=b"i")
    found = held(box)
    assert found is not None
    found.email_status = "unsubscribed"
    box.store.bin(found)
    event = await send(client, row)
    assert status(box) == "unsubscribed" and kept_out(row, event)


async def test_an_unsubscribe_in_the_bin_outlives_a_creation(client: DotdigitalClient, box: SandboxApp) -> None:
    box.store.bin(seed(box, "unsubscribed"))
    await send(client, saying(True))
    assert status(box) == "unsubscribed"


async def test_whom_we_created_we_delete(client: DotdigitalClient, box: SandboxApp) -> None:
    row = after(NEW, await send(client, NEW), fields=None, hash=b"i")
    event = await send(client, row)
    assert held(box) is None
    gone = after(row, event)
    assert (event.outcome, gone.contact, gone.creation, gone.opt_out_sent) == ("deleted", None, NOT_OURS, False)


async def test_more_records_than_one_call_may_name_are_deleted_first(
    client: DotdigitalClient, box: SandboxApp, calls: list[str]
) -> None:
    row = after(NEW, await send(client, NEW), fields=None, hash=b"i")
    box.store.insight.create("Orders", "contact", "orders")
    calls.clear()
    await send(client, row, records=[f"A{number}" for number in range(5001)], collection="Orders")
    assert calls == ["get-contact 200", "delete-records 200", "delete-records 200", "delete-contact 200"]


async def test_whom_we_did_not_create_keeps_everything_but_our_fields(client: DotdigitalClient, box: SandboxApp) -> None:
    seed(box, "subscribed", LASTNAME="Before")
    row = after(NEW, await send(client, NEW), fields=None, hash=b"i")
    assert (await send(client, row)).outcome == "cleared"
    found = held(box)
    assert found is not None and found.data == {"LASTNAME": "Before"} and found.email_status == "subscribed"


async def test_who_was_never_delivered_is_left_alone(client: DotdigitalClient, box: SandboxApp, calls: list[str]) -> None:
    seed(box, "subscribed", FIRSTNAME="Theirs")
    event = await send(client, msgspec.structs.replace(NEW, fields=None))
    found = held(box)
    assert event.outcome == "absent" and found is not None and found.data == {"FIRSTNAME": "Theirs"}
    assert not [call for call in calls if not call.startswith("get-contact")]


async def test_leaving_twice_is_leaving_once(client: DotdigitalClient, box: SandboxApp) -> None:
    row = after(NEW, await send(client, NEW), fields=None, hash=b"i")
    await send(client, row)
    assert (await send(client, row)).outcome == "absent"
    assert held(box) is None


async def test_the_unsubscribe_of_who_leaves_is_reported(client: DotdigitalClient, box: SandboxApp) -> None:
    opted_in = saying(True)
    row = after(opted_in, await send(client, opted_in), fields=None, hash=b"i")
    found = held(box)
    assert found is not None
    found.email_status = "unsubscribed"
    checkpoints = Checkpoints()
    await send(client, row, checkpoints)
    (event,) = checkpoints
    assert isinstance(event, ContactLooked) and event.observed is not None
    assert (event.created_as, event.observed.status) == ("subscribed", "unsubscribed")


async def test_who_turned_up_between_looking_and_creating_is_updated(
    client: DotdigitalClient, box: SandboxApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = client.find

    async def find_too_early(email: str) -> Any:
        answer = await found(email)
        if answer is None:
            seed(box, "subscribed")
        return answer

    monkeypatch.setattr(client, "find", find_too_early)
    event = await send(client, NEW)
    assert (event.outcome, event.created_as, status(box)) == ("updated", None, "subscribed")
    assert len(box.store) == 1


async def test_a_lost_reply_to_a_creation_costs_no_second_contact(client: DotdigitalClient, box: SandboxApp) -> None:
    box.faults.update({"next": ["none", "http_503"]})
    with pytest.raises(ConnectivityError):
        await send(client, NEW)
    box.store.create({"email": EMAIL}).email_status = "unsubscribed"
    event = await send(client, NEW)
    assert event.outcome == "updated" and len(box.store) == 1 and status(box) == "unsubscribed"


class Cut(httpx.ASGITransport):
    """A line over which no creation leaves."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return await super().handle_async_request(request)
        raise httpx.ConnectError("no route", request=request)


@pytest.mark.parametrize("opted", [True, None])
async def test_a_creation_that_never_left_is_withdrawn(box: SandboxApp, opted: bool | None) -> None:
    checkpoints = Checkpoints()
    async with DotdigitalClient(client_config(SETTINGS), lambda call: None, Cut(box)) as client:
        with pytest.raises(NotSentError):
            await send(client, saying(opted), checkpoints)
    assert [event.outcome for event in checkpoints] == ["creation-attempted", "creation-withdrawn"]


@pytest.mark.parametrize(
    ("fault", "withdrawn"), [("http_429", True), ("flat_limit_400", True), ("http_503", False), ("lost_reply", False)]
)
async def test_a_creation_is_withdrawn_if_it_certainly_was_not_made(
    client: DotdigitalClient, box: SandboxApp, fault: str, withdrawn: bool
) -> None:
    checkpoints = Checkpoints()
    box.faults.update({"next": ["none", fault]})
    with pytest.raises((DotdigitalError, ConnectionAbortedError)):
        await send(client, NEW, checkpoints)
    assert (checkpoints[-1].outcome == "creation-withdrawn") is withdrawn


async def test_who_signed_up_while_a_creation_had_no_answer_is_not_ours(client: DotdigitalClient, box: SandboxApp) -> None:
    seed(box, "subscribed")
    event = await send(
        client, msgspec.structs.replace(NEW, creation=Creation(attempted_as="unsubscribed"), outcome_unknown=True)
    )
    assert event.created_as is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("http_500", ConnectivityError),
        ("http_503", ConnectivityError),
        ("bad_gateway_html", ConnectivityError),
        ("http_429", ThrottledError),
        ("flat_limit_400", ThrottledError),
    ],
)
async def test_a_fault_of_the_service_is_distinguished(
    client: DotdigitalClient, box: SandboxApp, fault: str, error: type[Exception]
) -> None:
    box.faults.update({"next": [fault]})
    with pytest.raises(error):
        await send(client, NEW)
    assert (await send(client, NEW)).outcome == "created"


@pytest.mark.parametrize("switch", ["unauthorized", "wrong_region"])
async def test_refused_access_is_no_fault_of_the_contact(client: DotdigitalClient, box: SandboxApp, switch: str) -> None:
    box.faults.update({switch: True})
    with pytest.raises(AccessError):
        await send(client, NEW)


async def test_a_field_that_the_account_lacks_is_a_data_error(client: DotdigitalClient, box: SandboxApp) -> None:
    with pytest.raises(DataError):
        await send(client, msgspec.structs.replace(NEW, fields=b'{"OW_NONE":1}'))
    assert held(box) is None


async def test_an_opt_out_goes_out_even_when_the_data_is_refused(client: DotdigitalClient, box: SandboxApp) -> None:
    seed(box, "subscribed")
    checkpoints = Checkpoints()
    with pytest.raises(DataError):
        await send(client, msgspec.structs.replace(saying(False), fields=b'{"OW_NONE":1}'), checkpoints)
    assert status(box) == "unsubscribed"
    assert [event.outcome for event in checkpoints] == ["opt-out-sent"], "and is remembered"
