"""The Dotdigital account of a benchmark: our sandbox in a process of its own, which notes when each request arrives.

A change arrives with a call of its own, or with many others in an import: then it counts from the call that started that.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import httpx
from pydantic import SecretStr

from bench.child import Child
from bench.errors import NotDrained, WrongResult
from bench.site import Owdd, Site
from streams.dispatch.policies import client_config
from streams.dotdigital import bootstrap
from streams.dotdigital.client import DotdigitalClient, unobserved
from streams.mapping import load_mapping

PATIENCE = 120.0
_USER, _PASSWORD = "api-user", "sandbox-password"
_QUIET_SECONDS = 10.0
_IMPORTS: Final = ("/contacts/v3/import", "/insightData/v3/import")
_OF_CONTACTS: Final = "contactImport"
_KINDS: Final = (_OF_CONTACTS, "insightImport")


class Moment(NamedTuple):
    """How far the account's books were at some moment: requests, and imports that were accepted."""

    calls: int
    imports: int


class Write(NamedTuple):
    """A request that was to change something, and the contacts that it was about; 0: none that we know."""

    method: str
    route: str
    contacts: frozenset[int]


@dataclass(frozen=True, slots=True)
class Account:
    """The sandbox, looked at through its own pages."""

    http: httpx.AsyncClient

    async def moment(self) -> Moment:
        """How far its books are now."""
        jobs = (await self.http.get("/_sandbox/jobs", params={"since": sys.maxsize})).json()
        return Moment(await self.calls(), jobs["total"])

    async def contacts(self) -> dict[int, str]:
        """The address of every contact, by id."""
        state = (await self.http.get("/_sandbox/state")).json()
        return {contact["contactId"]: contact["email"] for contact in state["contacts"]}

    async def calls(self) -> int:
        """How many requests there were so far."""
        return int((await self.http.get("/_sandbox/requests", params={"limit": 0})).json()["total"])

    async def writes(self, emails: Mapping[int, str], since: Moment) -> list[Write]:
        """Every request after ``since`` that was to change something; an import that was accepted, by the rows that it did.

        ``emails``: the address of every contact, by id.

        Raises:
            WrongResult: there were more requests than the sandbox remembers, or an import is not done.
        """
        ids = {email: number for number, email in emails.items()}
        found: list[Write] = []
        for job in await self._imports(since):
            if job["state"] != "finished":
                raise WrongResult(f"an import of the kind {job['kind']} is {job['state']}")
            found.append(Write("PUT", job["kind"], frozenset(job["owners"]) or frozenset((0,))))
        done = since.calls
        while rows := (await self.http.get("/_sandbox/requests", params={"since": done})).json()["requests"]:
            if rows[0]["n"] != done + 1:
                raise WrongResult("the sandbox has forgotten some of the requests")
            for row in rows:
                if row["method"] != "GET" and not _is_accepted_import(row):
                    found.append(Write(row["method"], row["route"], frozenset((_contact_named(row["path"], ids),))))
            done = rows[-1]["n"]
        return found

    async def arrivals(
        self, emails: Mapping[int, str], wanted: AbstractSet[str], since: Moment, worker: Child, patience: float = PATIENCE
    ) -> dict[str, int]:
        """When the first change of each wanted contact, by address, arrived (epoch ms) after ``since``.

        ``emails``: the address of every contact, by id.

        Raises:
            NotDrained: not all of them arrived in time; with what ``worker`` logged last.
        """
        found: dict[str, int] = {}
        deadline, done = time.monotonic() + patience, since.calls
        while len(found) < len(wanted):
            rows = (await self.http.get("/_sandbox/requests", params={"since": done})).json()["requests"]
            changes = [(contact_of(row["path"]), _ms(row["at"])) for row in rows if row["method"] == "PATCH"]
            for job in await self._imports(since):
                if job["kind"] == _OF_CONTACTS:
                    changes += [(contact, round(job["accepted"] * 1000)) for contact in job["owners"]]
            for contact, at in changes:
                if (email := emails.get(contact, "")) in wanted:
                    found[email] = min(at, found.get(email, at))
            done = rows[-1]["n"] if rows else done
            if time.monotonic() > deadline:
                raise NotDrained(f"{len(found):,} of {len(wanted):,} changes arrived:\n{worker.said(20)}")
            if not rows:
                await asyncio.sleep(0.5)
        return found

    async def _imports(self, since: Moment) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = (await self.http.get("/_sandbox/jobs", params={"since": since.imports})).json()["jobs"]
        return [job for job in jobs if job["kind"] in _KINDS]

    async def until(self, contacts: int, worker: Child) -> dict[int, str]:
        """Wait until the account has so many contacts. Raises as :meth:`arrivals`."""
        deadline = time.monotonic() + PATIENCE
        while len(found := await self.contacts()) < contacts:
            worker.check()
            if time.monotonic() > deadline:
                raise NotDrained(f"{len(found):,} of {contacts:,} contacts exist:\n{worker.said(20)}")
            # Showing everybody keeps the sandbox busy for a while.
            await asyncio.sleep(5.0)
        return found

    async def until_quiet(self, patience: float = PATIENCE) -> None:
        """Wait until no request has come for some time.

        Raises:
            NotDrained: requests keep coming.
        """
        deadline, before, since = time.monotonic() + patience, -1, 0.0
        while time.monotonic() < deadline:
            calls, now = await self.calls(), time.monotonic()
            if calls != before:
                before, since = calls, now
            elif now - since > _QUIET_SECONDS:
                return
            await asyncio.sleep(1.0)
        raise NotDrained("the account still gets requests")


@asynccontextmanager
async def open_account(site: Site, app: Owdd) -> AsyncIterator[tuple[Account, Owdd]]:
    """An account with the fields that the mapping needs, and ``app`` with the variables that lead to it."""
    address = site.directory / "sandbox.url"
    # Of the account before, which is gone.
    address.unlink(missing_ok=True)
    login = {"OWDD_DOTDIGITAL_USER": _USER, "OWDD_DOTDIGITAL_PASSWORD": _PASSWORD}
    command = [sys.executable, "-m", "streams", "sandbox", "--port", "0", "--port-file", str(address)]
    with Child("sandbox", command, app.environment() | login, site.directory / "sandbox.log") as sandbox:
        deadline = time.monotonic() + PATIENCE
        while not address.exists():
            sandbox.check()
            if time.monotonic() > deadline:
                raise NotDrained("the sandbox did not start")
            await asyncio.sleep(0.05)
        url = address.read_text().strip()
        settings = app.settings.model_copy(
            update={"dotdigital_url": url, "dotdigital_user": _USER, "dotdigital_password": SecretStr(_PASSWORD)}
        )
        async with DotdigitalClient(client_config(settings), unobserved) as client:
            await bootstrap.apply(client, await bootstrap.plan(client, load_mapping(app.mapping)))
        async with httpx.AsyncClient(base_url=url, timeout=60.0) as http:
            yield Account(http), replace(app, more=app.more | login | {"OWDD_DOTDIGITAL_URL": url})


def contact_of(path: str) -> int:
    """The id of the contact that a request names by it; 0: none."""
    found = path.removeprefix("/contacts/v3/contactId/")
    return int(found) if found.isdecimal() else 0


def _contact_named(path: str, ids: Mapping[str, int]) -> int:
    """The contact that a request names, by its id or its address; 0: none."""
    return contact_of(path) or ids.get(unquote(path).partition("/email/")[2].partition("/")[0], 0)


def _is_accepted_import(row: Mapping[str, Any]) -> bool:
    return row["path"] in _IMPORTS and row["status"] == httpx.codes.ACCEPTED


def _ms(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)
