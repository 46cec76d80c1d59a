"""Runs: who works on them and when, what becomes of one whose worker dies, and what a sample and one contact cost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from aiokafka.errors import KafkaConnectionError

from streams.dotdigital.errors import DataError
from streams.messages.dead_letters import keyed_hash
from streams.messages.reconciliations import SCHEDULE
from streams.operations.reconcile import comparison, reconciler
from streams.operations.reconcile.delivered import OTHERS_CLOSED, Delivered
from streams.operations.reconcile.drift import Drift
from streams.operations.reconcile.pages import AccountPages
from streams.operations.reconcile.reconciler import Reconciler
from streams.operations.reconcile.run_log import KnownRuns
from streams.operations.state_client import StateUnavailableError
from streams.operations.state_queries import StoredTask
from testkit.virtual.account import LIST_ID
from tests.dispatch.dispatch_harness import Site, on_site
from tests.operations.reconcile.planted_shop import PlantedShop, email

SETTINGS = {"readback_seconds": 60.0}
FEW = 12
INTERVAL = 3_600


async def filled(site: Site) -> PlantedShop:
    shop = PlantedShop(site, FEW)
    await shop.fill()
    return shop


def file_of(site: Site) -> Path:
    return Path(site._directory) / "reconcile.db"


@on_site(settings=SETTINGS)
async def test_a_comparison_of_what_is_right_finds_nothing_and_leaves_nothing(site: Site) -> None:
    shop = await filled(site)
    run = await shop.compare(execute=True)
    assert (run.state, run.contacts, run.orders, run.suspects, run.healed) == ("done", FEW, FEW, 0, 0)
    assert [action for _, action, _ in shop.log.entries] == ["start", "done"]
    assert not file_of(site).exists()


@on_site(settings=SETTINGS)
async def test_what_others_put_there_is_counted_and_left_alone(site: Site) -> None:
    shop = await filled(site)
    theirs = site.box.store.insight.find("Orders")
    assert theirs is not None
    site.box.store.insight.put(theirs, "THEIRS", {"id": "THEIRS"}, shop.contact(1).id)
    shop.contact(1).lists.append(LIST_ID)
    run = await shop.compare(execute=True)
    assert run.others == {"list places": 1, "orders": 1}
    assert LIST_ID in shop.contact(1).lists
    assert (run.drift, run.healed) == ({"frozen_long": 1}, 0)
    assert "THEIRS" in theirs.records


@on_site(settings=SETTINGS)
async def test_one_contact_is_compared_with_its_orders_by_few_calls(site: Site) -> None:
    shop = await filled(site)
    shop.contact(3).data["FIRSTNAME"] = "Former"
    shop.contact(4).data["FIRSTNAME"] = "Former"
    site.forget_calls()
    run = await shop.compare(scope="contact", contact=keyed_hash(email(3).encode(), b"owdd"))
    assert run.drift == {Drift.FIELDS_STALE: 1}
    assert run.contacts == 1 and len(site.calls("GET", "/contacts/v3/{identifier}/{value}")) == 1
    nobody = await shop.compare(scope="contact", contact=keyed_hash(b"nobody@example.com", b"owdd"))
    assert (nobody.state, nobody.contacts, nobody.drift) == ("done", 0, {})


@on_site(settings=SETTINGS)
async def test_a_sample_is_as_large_as_it_was_asked_for(site: Site) -> None:
    shop = await filled(site)
    for number in range(FEW):
        shop.contact(number).data["FIRSTNAME"] = "Former"
    run = await shop.compare(scope="sample", sample=5)
    assert (run.contacts, run.drift) == (5, {Drift.FIELDS_STALE: 5})
    assert (await shop.compare(scope="sample", sample=100)).contacts == FEW


async def until_suspects(shop: PlantedShop, run: str) -> None:
    async with asyncio.timeout(600):
        while not shop.log.runs.runs[run].checked:
            await asyncio.sleep(0.05)


def working(reconciler: Reconciler) -> asyncio.Task[None]:
    return asyncio.create_task(reconciler.run())


@on_site(settings=SETTINGS)
async def test_a_run_whose_worker_dies_goes_on_where_it_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_CHUNK", 1)
    monkeypatch.setattr(comparison, "_NOTE_MS", 0)
    shop = await filled(site)
    for number in range(FEW):
        shop.contact(number).data["FIRSTNAME"] = "Former"
    run = shop.ask()
    worker = working(shop.reconciler())
    await until_suspects(shop, run)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert shop.log.runs.runs[run].state == "running" and file_of(site).exists()
    site.forget_calls()
    worker = working(shop.reconciler())
    async with asyncio.timeout(600):
        while not shop.log.runs.runs[run].over:
            await asyncio.sleep(0.5)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert shop.log.runs.runs[run].drift == {Drift.FIELDS_STALE: FEW, Drift.FROZEN_LONG: 1}
    assert not site.calls("GET", "/insightData/v3/contacts/{collectionName}"), "the pages were read before"
    assert not file_of(site).exists()


@on_site(settings=SETTINGS)
async def test_a_run_that_is_cancelled_ends_and_its_file_is_gone(site: Site) -> None:
    shop = await filled(site)
    run = shop.ask()
    shop.log.runs.cancelled.add(run)
    worker = working(shop.reconciler())
    async with asyncio.timeout(600):
        while not shop.log.runs.runs[run].over:
            await asyncio.sleep(0.5)
    await site.pass_(10)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert shop.log.runs.runs[run].state == "cancelled" and not file_of(site).exists()


@on_site(settings=SETTINGS)
async def test_everything_is_compared_by_schedule_an_interval_after_the_first_start(site: Site) -> None:
    shop = await filled(site)
    reconciler = shop.reconciler(hours=1)
    worker = working(reconciler)
    began = site.now
    await site.pass_(INTERVAL - 60)
    assert not shop.log.runs.runs
    await site.pass_(600)
    (run,) = shop.log.runs.runs.values()
    assert (run.by, run.scope, run.execute, run.state) == (SCHEDULE, "full", False, "done")
    assert run.began // 1000 >= began + INTERVAL
    reconciler.update_gauges()
    assert site.metrics.registry.get_sample_value("owdd_drift", {"class": "frozen_long"}) == 1
    age = site.metrics.registry.get_sample_value("owdd_reconcile_age_seconds")
    assert age is not None and 0 < age < 700
    await site.pass_(INTERVAL)
    assert len(shop.log.runs.runs) == 2
    reconciler.update_gauges()
    oldest = site.metrics.registry.get_sample_value("owdd_drift_oldest_seconds", {"class": "frozen_long"})
    assert oldest is not None and oldest >= INTERVAL
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


@on_site(settings=SETTINGS)
async def test_a_broker_that_does_not_answer_ends_no_worker(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = await filled(site)
    known, asked = shop.log.known, 0

    async def away() -> KnownRuns:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise KafkaConnectionError
        return await known()

    monkeypatch.setattr(shop.log, "known", away)
    run = shop.ask()
    worker = working(shop.reconciler())
    async with asyncio.timeout(600):
        while not shop.log.runs.runs[run].over:
            await asyncio.sleep(0.5)
    assert shop.log.runs.runs[run].state == "done"
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


@pytest.mark.parametrize("error", [DataError("records", "ERROR_X"), ZeroDivisionError()], ids=["refused", "defect"])
@on_site(settings=SETTINGS)
async def test_what_fails_again_and_again_ends_the_run_and_nothing_else(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    shop = await filled(site)
    tries = 0

    async def orders(_: AccountPages) -> AsyncIterator[None]:
        nonlocal tries
        tries += 1
        raise error
        yield

    monkeypatch.setattr(AccountPages, "orders", orders)
    run = shop.ask()
    worker = working(shop.reconciler())
    async with asyncio.timeout(24 * INTERVAL):
        while not shop.log.runs.runs[run].over:
            await asyncio.sleep(1)
    assert (shop.log.runs.runs[run].state, tries) == ("failed", reconciler._MOST_FAILURES)
    assert type(error).__name__ in shop.log.runs.runs[run].reason
    assert not worker.done()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


@on_site(settings=SETTINGS)
async def test_while_dotdigital_is_away_a_run_waits_and_then_goes_on(site: Site) -> None:
    shop = await filled(site)
    site.line.cut = True
    run = shop.ask()
    worker = working(shop.reconciler())
    await site.pass_(60)
    assert shop.log.runs.runs[run].state == "running"
    site.line.cut = False
    async with asyncio.timeout(600):
        while not shop.log.runs.runs[run].over:
            await asyncio.sleep(0.5)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert shop.log.runs.runs[run].state == "done"


@on_site(settings=SETTINGS)
async def test_where_other_workers_cannot_be_asked_there_is_no_schedule_and_nothing_is_late(site: Site) -> None:
    shop = await filled(site)
    owned = {0}
    reconciler = shop.reconciler(hours=1, owned=owned)

    def interval() -> float | None:
        reconciler.update_gauges()
        return site.metrics.registry.get_sample_value("owdd_reconcile_interval_seconds")

    with structlog.testing.capture_logs() as logged:
        worker = working(reconciler)
        await site.pass_(2 * INTERVAL)
    assert not shop.log.runs.runs
    assert interval() == 0
    (warned,) = (line for line in logged if line["event"] == "comparison with Dotdigital is due and not made")
    assert "OWDD_WORKERS and OWDD_STATE_TOKEN" in warned["reason"]
    owned.add(1)
    await site.pass_(600)
    assert interval() == INTERVAL
    assert [run.state for run in shop.log.runs.runs.values()] == ["done"]
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


@on_site(settings=SETTINGS)
async def test_a_run_whose_tries_fail_shows_why_and_no_longer_once_it_is_done(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await filled(site)
    run = shop.ask()
    closed = True
    slices = Delivered.slices

    async def of_some(self: Delivered, partition: int, prefix: str, after: str = "") -> AsyncIterator[dict[str, StoredTask]]:
        if partition and closed:
            raise StateUnavailableError(OTHERS_CLOSED)
        async for rows in slices(self, partition, prefix, after):
            yield rows

    monkeypatch.setattr(Delivered, "slices", of_some)
    worker = working(shop.reconciler())
    async with asyncio.timeout(600):
        while not shop.log.runs.runs[run].reason:
            await asyncio.sleep(0.5)
    assert shop.log.runs.runs[run].state == "running"
    assert "set OWDD_WORKERS and OWDD_STATE_TOKEN" in shop.log.runs.runs[run].reason
    closed = False
    async with asyncio.timeout(600):
        while not shop.log.runs.runs[run].over:
            await asyncio.sleep(0.5)
    assert (shop.log.runs.runs[run].state, shop.log.runs.runs[run].reason) == ("done", "")
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
