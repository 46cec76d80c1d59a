"""The Dotdigital account of a benchmark: our sandbox in a process of its own, which notes when each request arrives."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

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


@dataclass(frozen=True, slots=True)
class Account:
    """The sandbox, looked at through its own pages."""

    http: httpx.AsyncClient

    async def contacts(self) -> dict[int, str]:
        """The address of every contact, by id."""
        state = (await self.http.get("/_sandbox/state")).json()
        return {contact["contactId"]: contact["email"] for contact in state["contacts"]}

    async def calls(self) -> int:
        """How many requests there were so far."""
        return int((await self.http.get("/_sandbox/requests", params={"limit": 0})).json()["total"])

    async def writes(self, since: int) -> list[tuple[str, str]]:
        """Method and path of every request after number ``since`` that was to change something.

        Raises:
            WrongResult: there were more requests than the sandbox remembers.
        """
        found: list[tuple[str, str]] = []
        while rows := (await self.http.get("/_sandbox/requests", params={"since": since})).json()["requests"]:
            if rows[0]["n"] != since + 1:
                raise WrongResult("the sandbox has forgotten some of the requests")
            found += [(row["method"], row["path"]) for row in rows if row["method"] != "GET"]
            since = rows[-1]["n"]
        return found

    async def arrivals(self, emails: Mapping[int, str], wanted: AbstractSet[str], since: int, worker: Child) -> dict[str, int]:
        """When the first change of each wanted contact arrived (epoch ms), after request number ``since``.

        Raises:
            NotDrained: not all of them arrived in time; with what ``worker`` logged last.
        """
        found: dict[str, int] = {}
        deadline = time.monotonic() + PATIENCE
        while wanted - found.keys():
            rows = (await self.http.get("/_sandbox/requests", params={"since": since})).json()["requests"]
            for row in rows:
                since = row["n"]
                if row["method"] == "PATCH" and (email := emails.get(contact_of(row["path"]), "")) in wanted:
                    at = datetime.fromisoformat(row["at"])
                    found.setdefault(email, round(at.timestamp() * 1000))
            if time.monotonic() > deadline:
                raise NotDrained(f"{len(found):,} of {len(wanted):,} changes arrived:\n{worker.said(20)}")
            if not rows:
                await asyncio.sleep(0.5)
        return found

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
