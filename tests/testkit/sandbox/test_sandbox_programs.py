"""Programs, enrolments and their twenty calls an hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from tests.testkit.sandbox.calls import add

ENROLMENTS = "/v2/programs/enrolments"
SECOND = timedelta(seconds=1)
Advance = Callable[[timedelta], None]


async def enrol(api: httpx.AsyncClient, contacts: object = None, program: object = 5, **more: object) -> httpx.Response:
    return await api.post(ENROLMENTS, json={"programId": program, "contacts": contacts, **more})


async def faults(api: httpx.AsyncClient, enrolment: str) -> list[str]:
    reply = await api.get(f"{ENROLMENTS}/{enrolment}/report-faults")
    return reply.text.splitlines()


def failed(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["message"].rsplit(" ", 1)[-1]


async def test_programs_are_listed_with_their_status(api: httpx.AsyncClient) -> None:
    assert [(row["id"], row["status"]) for row in (await api.get("/v2/programs")).json()] == [(5, "Active"), (6, "Draft")]
    assert (await api.get("/v2/programs/6")).json()["status"] == "Draft"
    assert failed(await api.get("/v2/programs/7")) == (404, "ERROR_PROGRAM_NOT_FOUND")


async def test_an_enrolment_is_processed_and_then_finished(api: httpx.AsyncClient, advance: Advance) -> None:
    ids = await add(api, "ann", "bob")
    reply = await enrol(api, ids)
    assert reply.status_code == 201
    enrolment = reply.json()["id"]
    assert reply.json() == {
        "id": enrolment,
        "programId": 5,
        "status": "Processing",
        "dateCreated": "2025-03-01 09:30:00+00:00",
        "contacts": None,
        "addressBooks": None,
    }
    assert failed(await api.get(f"{ENROLMENTS}/{enrolment}/report-faults")) == (400, "ERROR_ENROLMENT_IS_PROCESSING")
    advance(SECOND)
    assert (await api.get(f"{ENROLMENTS}/{enrolment}")).json() == reply.json() | {"status": "Finished"}
    assert await faults(api, enrolment) == ["Id,Email,TelephoneNumber,Reason"]
    assert (await api.get("/_sandbox/programs")).json()["programs"][0]["contacts"] == ids


async def test_who_cannot_be_enrolled_is_in_the_report(api: httpx.AsyncClient, advance: Advance) -> None:
    (ann,) = await add(api, "ann", mobileNumber="+447123123123")
    (out,) = await add(api, "out", status="unsubscribed")
    await enrol(api, [ann])
    second = (await enrol(api, [ann, out])).json()["id"]
    advance(SECOND)
    assert await faults(api, second) == [
        "Id,Email,TelephoneNumber,Reason",
        f"{ann},ann@example.com,447123123123,AlreadyInProgram",
        f"{out},out@example.com,,Unsubcribed",
    ]


async def test_a_list_is_enrolled_as_it_is_when_its_turn_comes(api: httpx.AsyncClient, advance: Advance) -> None:
    await enrol(api, addressBooks=[7])
    made = await api.post("/v2/address-books/7/contacts", json={"email": "ann@example.com"})
    advance(SECOND)
    assert (await api.get("/_sandbox/programs")).json()["programs"][0]["contacts"] == [made.json()["id"]]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, (400, "ERROR_ENROLMENT_INVALID")),
        ({"contacts": "1"}, (400, "ERROR_ENROLMENT_INVALID")),
        ({"contacts": list(range(26))}, (400, "ERROR_ENROLMENT_INVALID")),
        ({"contacts": [1], "program": None}, (400, "ERROR_ENROLMENT_INVALID")),
        ({"addressBooks": list(range(11))}, (400, "ERROR_ADDRESSBOOK_TOOMANY")),
        ({"addressBooks": [8]}, (400, "ERROR_ADDRESSBOOK_NOT_FOUND")),
        ({"contacts": [1]}, (400, "ERROR_CONTACT_NOT_FOUND")),
        ({"contacts": [1], "program": 7}, (404, "ERROR_PROGRAM_NOT_FOUND")),
        ({"contacts": [1], "program": 6}, (422, "ERROR_PROGRAM_NOT_ACTIVE")),
    ],
)
async def test_a_wrong_enrolment_is_refused(api: httpx.AsyncClient, body: dict[str, object], answer: tuple[int, str]) -> None:
    assert failed(await enrol(api, **body)) == answer


async def test_twenty_calls_an_hour_are_allowed(api: httpx.AsyncClient, advance: Advance) -> None:
    ids = await add(api, "ann")
    for _ in range(20):
        assert (await enrol(api, ids)).status_code == 201
        advance(timedelta(minutes=1))
    assert failed(await enrol(api, ids)) == (400, "ERROR_ENROLMENT_ALLOWANCE_EXCEEDED")
    advance(timedelta(minutes=40))
    assert (await enrol(api, ids)).status_code == 201
    assert failed(await enrol(api, ids)) == (400, "ERROR_ENROLMENT_ALLOWANCE_EXCEEDED")


async def test_a_program_can_be_made_by_hand(api: httpx.AsyncClient) -> None:
    made = await api.post("/_sandbox/programs", json={"id": 9, "status": "Active"})
    assert made.json()["programs"][-1] == {"id": 9, "status": "Active", "contacts": []}
    assert (await api.post("/_sandbox/programs", json={"id": 9, "status": "Ready"})).status_code == 400


async def test_unknown_enrolments_are_a_404(api: httpx.AsyncClient) -> None:
    assert failed(await api.get(f"{ENROLMENTS}/1")) == (404, "ERROR_ENROLMENT_NOT_FOUND")
