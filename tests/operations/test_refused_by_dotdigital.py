"""A worker whose credentials Dotdigital refuses runs and waits, is not ready, and says why."""

import asyncio
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx

from streams.core.clock import ManualClock
from streams.dispatch.reachability import Reachability
from streams.dotdigital.tiers import Call, Operation
from streams.observability.metrics import Metrics
from streams.worker import Role
from testkit.soak.site import Site, open_site


async def test_readiness_says_that_the_password_is_wrong(broker: Path, tmp_path: Path) -> None:
    wrong = {"dispatch": {"OWDD_DOTDIGITAL_PASSWORD": "a-wrong-one", "OWDD_PARTITON": "4"}}
    site = Site(f"refused-{uuid4().hex[:8]}", partitions=1, by_worker=wrong)
    async with open_site(tmp_path, broker, site) as running, httpx.AsyncClient() as http:
        worker = await running.start_worker(Role.DISPATCH, wait=False)

        found: dict[str, str] = {}
        async with asyncio.timeout(120):
            while not found:
                # It listens only after its checks, and asks Dotdigital after that.
                await asyncio.sleep(0.1)
                with suppress(httpx.HTTPError):
                    page = await http.get(f"{worker.url}/health/ready")
                    found = page.json().get("remarks", {}) if page.status_code == 503 else {}
        assert "check OWDD_DOTDIGITAL_USER and OWDD_DOTDIGITAL_PASSWORD" in found["dispatch"]
        samples = await running.scrape()
        assert samples["owdd_dotdigital_up", (("endpoint", running.settings.dotdigital_url),)] == 0
        log = worker.log.read_text()
        assert "OWDD_PARTITON is not a setting, and is ignored; did you mean OWDD_PARTITIONS?" in log
        assert "a-wrong-one" not in log


def test_an_answer_ends_it() -> None:
    clock, metrics = ManualClock(), Metrics()
    reachability = Reachability("auto", clock, metrics)
    up = metrics.dotdigital_up.labels("auto")._value
    for status, let_in, word in (
        ("401", False, "refuses our credentials"),
        ("403", True, "denies access"),
        ("no-answer", True, "does not answer"),
        ("503", True, "does not answer"),
    ):
        reachability.record(Call(Operation.ACCOUNT_INFO, Operation.ACCOUNT_INFO.tier, status, 0.1))
        assert (reachability.let_in, up.get()) == (let_in, 0)
        assert word in (reachability.remark or "")
        reachability.record(Call(Operation.ACCOUNT_INFO, Operation.ACCOUNT_INFO.tier, "404", 0.1))
        assert (reachability.let_in, up.get(), reachability.remark) == (True, 1, None)
