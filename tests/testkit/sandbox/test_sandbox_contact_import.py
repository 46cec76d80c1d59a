"""The v3 contact import: accepted now, done later, reported row by row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from testkit.sandbox import SandboxApp, SandboxConfig, create_app
from tests.testkit.sandbox.calls import CONTACT_IMPORT, add, read, report, row, start_import, turn
from tests.testkit.sandbox.conftest import CREDENTIALS

SECOND = timedelta(seconds=1)
Advance = Callable[[timedelta], None]


async def failures(api: httpx.AsyncClient, import_id: str) -> list[str]:
    found = await report(api, import_id)
    return [failure["failureCode"] for failed in found["failures"] for failure in failed["failures"]]


class TestTime:
    async def test_an_import_is_done_when_its_time_has_come_and_no_sooner(
        self, api: httpx.AsyncClient, advance: Advance
    ) -> None:
        wanted = await start_import(api, row(dataFields={"FIRSTNAME": "Ann"}))
        assert await report(api, wanted) == {"importId": wanted, "status": "NotFinished", "summary": None}
        assert (await read(api)).status_code == 404
        advance(SECOND)
        made = (await read(api)).json()
        assert made["dataFields"] == {"FIRSTNAME": "Ann"}
        assert await report(api, wanted) == {
            "importId": wanted,
            "status": "Finished",
            "summary": {
                "newContacts": 1,
                "updatedContacts": 0,
                "globallySuppressed": 0,
                "invalidEntries": 0,
                "duplicateIdentifiers": 0,
            },
            "created": [{"contactId": made["contactId"], "identifiers": {"email": "ann@example.com"}}],
            "updated": [],
            "failures": [],
        }

    async def test_imports_are_done_in_the_order_of_their_acceptance(self, api: httpx.AsyncClient, advance: Advance) -> None:
        await start_import(api, row(dataFields={"FIRSTNAME": "First"}))
        await start_import(api, row(dataFields={"FIRSTNAME": "Second"}))
        advance(SECOND / 2)
        await start_import(api, row(dataFields={"FIRSTNAME": "Third"}))
        advance(SECOND / 2)
        assert (await read(api)).json()["dataFields"] == {"FIRSTNAME": "Second"}
        advance(SECOND / 2)
        assert (await read(api)).json()["dataFields"] == {"FIRSTNAME": "Third"}

    async def test_what_was_sent_is_let_go_when_it_is_done(
        self, api: httpx.AsyncClient, advance: Advance, box: SandboxApp
    ) -> None:
        await start_import(api, row())
        advance(SECOND)
        await read(api)
        assert [job.payload for job in box.store.jobs] == [None]

    async def test_twenty_five_may_be_in_flight(self, api: httpx.AsyncClient, advance: Advance) -> None:
        for _ in range(25):
            await start_import(api, row())
        refused = await api.put(CONTACT_IMPORT, json={"contacts": [row()]})
        assert (refused.status_code, refused.json()["errorCode"]) == (429, "contacts:tooManyActiveImports")
        advance(SECOND)
        await start_import(api, row())


class TestRows:
    @pytest.mark.parametrize(
        ("option", "first", "last"),
        [("overwrite", "", "New"), ("overwriteIfNotEmpty", "Ann", "New"), ("overwriteIfEmpty", "Ann", "New")],
    )
    async def test_the_merge_option_decides_over_what_is_there(
        self, api: httpx.AsyncClient, advance: Advance, option: str, first: str, last: str
    ) -> None:
        await add(api, "ann", dataFields={"FIRSTNAME": "Ann"})
        await start_import(api, row(dataFields={"FIRSTNAME": "", "LASTNAME": "New"}), mergeOption=option)
        advance(SECOND)
        assert (await read(api)).json()["dataFields"] == {"FIRSTNAME": first, "LASTNAME": last}

    async def test_a_contact_is_matched_by_any_identifier_and_can_be_renamed(
        self, api: httpx.AsyncClient, advance: Advance
    ) -> None:
        (ann,) = await add(api, "ann", mobileNumber="+447123123123")
        by_id: dict[str, object] = {
            "matchIdentifier": "contactId",
            "identifiers": {"contactId": ann, "email": "ann.new@example.com"},
        }
        await start_import(api, by_id)
        advance(SECOND)
        assert (await read(api, "ann.new")).json()["contactId"] == ann

    async def test_consent_lists_and_preferences_travel_with_a_row(self, api: httpx.AsyncClient, advance: Advance) -> None:
        consent = {
            "text": "Yes",
            "dateTimeConsented": "2025-01-01T10:00:00Z",
            "url": "https://example.com",
            "ipAddress": "10.0.0.1",
            "userAgent": "x",
        }
        channel = {"email": {"status": "unsubscribed", "optInType": "single", "emailType": "plainText"}}
        rich = row(channelProperties=channel, lists=[7], preferences=[{"id": 3, "isOptedIn": True}], consentRecords=[consent])
        await start_import(api, rich)
        advance(SECOND)
        made = (await read(api)).json()
        assert made["channelProperties"]["email"] == {
            "emailType": "PlainText",
            "optInType": "Single",
            "status": "unsubscribed",
        }
        assert [held["id"] for held in made["lists"]] == [7]
        assert made["preferences"][0]["isOptedIn"] is True
        assert made["consentRecords"][0]["text"] == "Yes"

    async def test_a_binned_contact_comes_back(self, api: httpx.AsyncClient, advance: Advance) -> None:
        (ann,) = await add(api, "ann", binned=True)
        wanted = await start_import(api, row())
        advance(SECOND)
        assert [made["contactId"] for made in (await report(api, wanted))["updated"]] == [ann]
        assert (await read(api)).json()["contactId"] == ann

    @pytest.mark.parametrize(
        ("bad", "code", "counter"),
        [
            (row() | {"identifiers": {"email": "ann@@example"}}, "InvalidEmail", "invalidEntries"),
            (row(dataFields={"NO_SUCH": 1}), "ApiSchemaViolation", "invalidEntries"),
            (row(dataFields={"FIRSTNAME": "x" * 1001}), "ApiSchemaViolation", "invalidEntries"),
            (row() | {"matchIdentifier": "mobileNumber"}, "InvalidMatchIdentifier", "invalidEntries"),
            (
                {"matchIdentifier": "mobileNumber", "identifiers": {"mobileNumber": "12"}},
                "InvalidPhoneNumber",
                "invalidEntries",
            ),
            ({"matchIdentifier": "contactId", "identifiers": {"contactId": 9}}, "InvalidContactId", "invalidEntries"),
            ({"matchIdentifier": "email", "identifiers": {"contactId": "9"}}, "InvalidContactId", "invalidEntries"),
            ({"matchIdentifier": "erpId", "identifiers": {"erpId": "9"}}, "NoValidIdentifiers", "invalidEntries"),
            (
                {"matchIdentifier": "erpId", "identifiers": {"erpId": "9", "email": "bob@example.com"}},
                "Duplicate",
                "duplicateIdentifiers",
            ),
            (row("barred", channelProperties={"email": {"status": "subscribed"}}), "InvalidContactStatus", "invalidEntries"),
            (row("trap"), "GloballySuppressed", "globallySuppressed"),
        ],
    )
    async def test_a_bad_row_fails_alone(
        self, api: httpx.AsyncClient, advance: Advance, bad: dict[str, object], code: str, counter: str
    ) -> None:
        await add(api, "bob")
        await add(api, "barred", status="suppressed")
        await add(api, "trap", status="spamTrap")
        wanted = await start_import(api, bad, row("good"))
        advance(SECOND)
        found = await report(api, wanted)
        assert await failures(api, wanted) == [code]
        assert (found["failures"][0]["identifiers"], "contactId" in found["failures"][0]) == (bad["identifiers"], False)
        assert (found["summary"]["newContacts"], found["summary"][counter]) == (1, 1)

    async def test_suppressed_contacts_of_the_account_take_data(self, api: httpx.AsyncClient, advance: Advance) -> None:
        await add(api, "ann", status="suppressed")
        await start_import(api, row(dataFields={"FIRSTNAME": "Ann"}))
        advance(SECOND)
        kept = (await read(api)).json()
        assert (kept["status"], kept["dataFields"]) == ("suppressed", {"FIRSTNAME": "Ann"})

    async def test_the_second_of_two_equal_identifiers_is_a_duplicate(self, api: httpx.AsyncClient, advance: Advance) -> None:
        wanted = await start_import(
            api,
            row(dataFields={"FIRSTNAME": "One"}),
            row() | {"identifiers": {"email": "ANN@example.com"}},
        )
        advance(SECOND)
        assert await failures(api, wanted) == ["Duplicate"]
        assert (await read(api)).json()["dataFields"] == {"FIRSTNAME": "One"}

    async def test_an_unknown_list_is_a_failure_of_a_contact_that_is_imported(
        self, api: httpx.AsyncClient, advance: Advance
    ) -> None:
        wanted = await start_import(api, row(lists=[7, 8]))
        advance(SECOND)
        made = (await read(api)).json()
        assert [held["id"] for held in made["lists"]] == [7]
        found = await report(api, wanted)
        assert found["summary"]["newContacts"] == 1
        assert found["failures"][0]["contactId"] == made["contactId"]
        assert await failures(api, wanted) == ["InvalidAddressBookIds"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("bad", "code", "item"),
        [
            ({"matchIdentifier": "email"}, "contacts:badRequest", "contacts[1].identifiers"),
            ({"identifiers": {"email": "a@example.com"}}, "contacts:badRequest", "contacts[1].matchIdentifier"),
            (row(dataFields=[]), "contacts:badRequest", "contacts[1].dataFields"),
            (row(dataFields=None), "contacts:badRequest", "contacts[1].dataFields"),
            (row(lists=["7"]), "contacts:invalidValue", "contacts[1].lists[0]"),
            (row(lists=list(range(101))), "contacts:badRequest", "contacts[1].lists"),
            (row(consentRecords=[{"url": "x"}]), "server:badJson", "contacts[1].consentRecords[0].text"),
            (
                row(
                    consentRecords=[
                        {
                            "text": "t",
                            "dateTimeConsented": "yesterday",
                            "url": "u",
                            "ipAddress": "10.0.0.1",
                            "userAgent": "a",
                        }
                    ]
                ),
                "contacts:invalidValue",
                "contacts[1].consentRecords[0].dateTimeConsented",
            ),
        ],
    )
    async def test_a_wrong_structure_refuses_the_whole_call(
        self, api: httpx.AsyncClient, advance: Advance, bad: dict[str, object], code: str, item: str
    ) -> None:
        reply = await api.put(CONTACT_IMPORT, json={"contacts": [row("good"), bad]})
        assert (reply.status_code, reply.json()["errorCode"]) == (400, code)
        assert reply.json()["details"][0]["item"] == item
        advance(SECOND)
        assert (await read(api, "good")).status_code == 404

    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"contacts": []}', b'{"contacts": [{}], "mergeOption": "no"}'])
    async def test_a_body_that_is_no_import_is_a_400(self, api: httpx.AsyncClient, body: bytes) -> None:
        assert (await api.put(CONTACT_IMPORT, content=body)).status_code == 400

    async def test_a_body_above_the_limit_is_refused(self) -> None:
        box = create_app(SandboxConfig(*CREDENTIALS, most_import_bytes=100))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(box), base_url="http://sandbox", auth=CREDENTIALS) as api:
            assert (await api.put(CONTACT_IMPORT, json={"contacts": [row("a" * 100)]})).status_code == 413
            await start_import(api, row())

    async def test_unknown_imports_are_distinguished_from_wrong_ids(self, api: httpx.AsyncClient) -> None:
        unknown = await api.get(f"{CONTACT_IMPORT}/d7de900d-d337-43f6-b1e1-c8ec73e1a434")
        wrong = await api.get(f"{CONTACT_IMPORT}/123646")
        assert (unknown.status_code, unknown.json()["errorCode"]) == (404, "contacts:importNotFound")
        assert (wrong.status_code, wrong.json()["errorCode"]) == (400, "contacts:invalidId")


class TestFaults:
    @pytest.mark.parametrize(("fault", "status"), [("import_failed", "Failed"), ("import_rejected", "RejectedByWatchdog")])
    async def test_an_import_may_come_to_nothing(
        self, api: httpx.AsyncClient, advance: Advance, fault: str, status: str
    ) -> None:
        await turn(api, next_import=[fault])
        wanted = await start_import(api, row())
        advance(SECOND)
        assert await report(api, wanted) == {"importId": wanted, "status": status, "summary": None}
        assert (await read(api)).status_code == 404

    async def test_a_stuck_import_takes_a_place_until_it_is_released(
        self, api: httpx.AsyncClient, advance: Advance, box: SandboxApp
    ) -> None:
        await turn(api, next_import=["import_stuck"])
        wanted = await start_import(api, row())
        advance(timedelta(days=1))
        assert (await report(api, wanted))["status"] == "NotFinished"
        assert box.store.jobs.active("contactImport") == 1
        assert (await api.post("/_sandbox/jobs/release")).json() == {"released": 1}
        assert (await report(api, wanted))["status"] == "Finished"

    async def test_every_second_row_may_be_refused(self, api: httpx.AsyncClient, advance: Advance) -> None:
        await turn(api, next_import=["import_partial"])
        wanted = await start_import(api, row("a"), row("b"), row("c"))
        advance(SECOND)
        found = await report(api, wanted)
        assert [failed["identifiers"]["email"][0] for failed in found["failures"]] == ["a", "c"]
        assert [(await read(api, name)).status_code for name in "abc"] == [404, 200, 404]

    async def test_a_report_may_lack_rows_that_were_imported(self, api: httpx.AsyncClient, advance: Advance) -> None:
        await turn(api, next_import=["report_partial"])
        wanted = await start_import(api, row("a"), row("b"))
        advance(SECOND)
        found = await report(api, wanted)
        assert (found["summary"]["newContacts"], len(found["created"])) == (2, 1)
        assert (await read(api, "b")).status_code == 200

    async def test_casing_varies_and_members_are_added(self, api: httpx.AsyncClient, advance: Advance) -> None:
        wanted = await start_import(api, row() | {"identifiers": {"email": "ann@@example"}})
        advance(SECOND)
        await turn(api, next=["casing", "extra_members"])
        cased, extended = await report(api, wanted), await report(api, wanted)
        assert cased["status"] == "Complete"
        assert cased["failures"][0]["failures"][0]["failureCode"] == "invalidEmail"
        assert extended["status"] == "Finished"
        assert "addedLater" in extended
