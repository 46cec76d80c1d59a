"""A contact that came without a word on consent, and opts in later in Orderwise, is subscribed once; whoever left is not.

A reading later than the *in*, by more than clocks may differ, makes sure of that, so the worker's clock is set ahead.
"""

import asyncio
from pathlib import Path

import httpx

from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.oracle.sandbox import read_account
from testkit.simulate.tables import CONTACT, OPT_IN
from testkit.soak.site import Site, open_site
from tests.convergence.test_lookup_word import sign_up
from tests.convergence.written_rows import WrittenRows
from tests.patience import PATIENCE

WORKER = "worker"
LATE, SILENT, OUT, LEFT = (1, 2), 3, 4, 5
SETTINGS = {"OWDD_READBACK_SECONDS": "1", "OWDD_CONSENT_CORRECT_CREATION": "true"}
AHEAD = """import time
from pathlib import Path
original, ahead = time.time_ns, int(Path(__file__).with_name("ahead").read_text()) * 1_000_000_000
time.time_ns = lambda: original() + ahead
"""
"""Python reads it at start, as ``sitecustomize``."""


def person(key: int) -> str:
    return f"p{key}@example.com"


async def calls(running: LocalStack, ending: str) -> int:
    """How many calls were made so far to addresses that end so."""
    async with httpx.AsyncClient() as http:
        found = (await http.get(f"{running.settings.dotdigital_url}/_sandbox/requests", params={"limit": 100_000})).json()
    return sum(call["path"].endswith(ending) for call in found["requests"])


def statuses(running: LocalStack) -> dict[str, str | None]:
    return {one.email: one.status for one in read_account(running.settings.dotdigital_url).contacts}


async def test_a_late_in_subscribes_whom_we_created_and_nobody_who_left(tmp_path: Path, broker: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(AHEAD)
    (tmp_path / "ahead").write_text("0")
    by_worker = {WORKER: {"PYTHONPATH": str(tmp_path)}}
    site = Site("corrects", consent=True, partitions=2, variables=SETTINGS, by_worker=by_worker)
    async with open_site(tmp_path, broker, site) as running:
        await running.start_worker(*Role, name=WORKER)
        async with asyncio.timeout(PATIENCE):
            # The second reading begins when everybody knows the first.
            while await calls(running, "/contacts/v3") < 2:
                await asyncio.sleep(0.1)
        await running.settled()
        shop = WrittenRows(running)
        for key in (*LATE, SILENT, OUT, LEFT):
            shop.person(key, person(key), opt_in=False if key == OUT else None)
        await shop.open()
        await running.settled()
        everybody = {person(key) for key in (*LATE, SILENT, OUT, LEFT)}
        assert statuses(running) == dict.fromkeys(everybody, "unsubscribed")

        await sign_up(running, [person(LEFT)])
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{running.settings.dotdigital_url}/_sandbox/unsubscribe", json={"email": person(LEFT)})
            answer.raise_for_status()
        for key in (*LATE, OUT, LEFT):
            await shop.update(CONTACT, key, **{OPT_IN: True})
        await running.settled()
        assert statuses(running) == dict.fromkeys(everybody, "unsubscribed")

        (tmp_path / "ahead").write_text("600")
        await running.kill(WORKER)
        corrected = dict.fromkeys(everybody, "unsubscribed") | {person(key): "subscribed" for key in LATE}
        async with asyncio.timeout(PATIENCE):
            while statuses(running) != corrected:
                await asyncio.sleep(0.1)
        read = await calls(running, "/contacts/v3")
        async with asyncio.timeout(PATIENCE):
            while await calls(running, "/contacts/v3") < read + 3:
                await asyncio.sleep(0.1)
        await running.settled()
        assert statuses(running) == corrected
        assert await calls(running, "/resubscribe-with-no-challenge") == len(LATE)
        assert shop.differences() == []
