"""The capture guard: what it shows, when it acts, and that nothing makes it fall. Kafka Connect is made up, Kafka is away."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from streams.connect.guard import CaptureGuard, Observations
from streams.connect.heartbeats import Heartbeats
from streams.connect.responses import Offset
from streams.connect.rest import Busy, ConnectClient
from streams.core.clock import ManualClock
from streams.mapping import load_mapping
from streams.observability.metrics import Metrics
from streams.settings import Settings

URL = "http://connect.test"
NAME = "orderwise-sqlserver"
NOBODY = "127.0.0.1:1"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def client() -> AsyncIterator[ConnectClient]:
    async with ConnectClient(URL, busy=Busy(calls=1)) as made:
        yield made


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        router.get(f"{URL}/connectors/{NAME}/offsets").mock(return_value=httpx.Response(200, json={"offsets": []}))
        router.post(path=f"/connectors/{NAME}/restart").mock(return_value=httpx.Response(202, json={}))
        yield router


class Watch:
    """A guard, and what its metrics say."""

    def __init__(self, clock: ManualClock, *, leads: bool = True, **settings: Any) -> None:
        made = Settings(connect_url=URL, kafka_bootstrap=NOBODY, connector_restarts=2, **settings)
        self.metrics = Metrics()
        self.guard = CaptureGuard(made, load_mapping(), self.metrics, clock, lambda: leads)

    def value(self, metric: str, **labels: str) -> float | None:
        self.guard.update_gauges()
        return self.metrics.registry.get_sample_value(metric, {"connector": NAME, **labels})


def says(api: respx.MockRouter, connector: str, *tasks: str) -> None:
    """Kafka Connect reports these states from now on."""
    body = {
        "name": NAME,
        "connector": {"state": connector, "worker_id": "w:8083"},
        "tasks": [{"id": number, "state": state, "worker_id": "w:8083"} for number, state in enumerate(tasks)],
    }
    api.get(f"{URL}/connectors/{NAME}/status").mock(return_value=httpx.Response(200, json=body))


def restarts(api: respx.MockRouter) -> int:
    return sum(call.request.method == "POST" for call in api.calls)


async def test_a_failed_task_shows_though_its_connector_runs(
    client: ConnectClient, api: respx.MockRouter, clock: ManualClock
) -> None:
    watch = Watch(clock)
    says(api, "RUNNING", "FAILED")
    await watch.guard.check(client)
    assert watch.value("owdd_connect_up") == 1
    assert watch.value("owdd_connector_running", part="connector") == 1
    assert watch.value("owdd_connector_running", part="task 0") == 0


async def test_it_restarts_what_failed_with_back_off_gives_up_and_recovers(
    client: ConnectClient, api: respx.MockRouter, clock: ManualClock
) -> None:
    watch = Watch(clock)
    says(api, "RUNNING", "FAILED")
    seen = []
    for _ in range(8):
        await watch.guard.check(client)
        seen.append((restarts(api), watch.value("owdd_connector_restarts_exhausted")))
        clock.advance(30)
    assert seen == [(0, 0), (1, 0), (1, 0), (2, 0), (2, 1), (2, 1), (2, 1), (2, 1)]
    assert watch.value("owdd_connector_restarts_total") == 2
    says(api, "RUNNING", "RUNNING")
    await watch.guard.check(client)
    assert watch.value("owdd_connector_restarts_exhausted") == 0


async def test_a_restart_asks_for_failed_parts_only(client: ConnectClient, api: respx.MockRouter, clock: ManualClock) -> None:
    watch = Watch(clock)
    says(api, "RUNNING", "FAILED")
    await watch.guard.check(client)
    clock.advance(30)
    await watch.guard.check(client)
    [posted] = [call.request for call in api.calls if call.request.method == "POST"]
    assert dict(posted.url.params) == {"includeTasks": "true", "onlyFailed": "true"}


async def test_of_several_workers_only_one_restarts(client: ConnectClient, api: respx.MockRouter, clock: ManualClock) -> None:
    watch = Watch(clock, leads=False)
    says(api, "RUNNING", "FAILED")
    for _ in range(5):
        await watch.guard.check(client)
        clock.advance(1000)
    assert restarts(api) == 0
    assert watch.value("owdd_connector_running", part="task 0") == 0


async def test_a_paused_connector_is_left_alone(client: ConnectClient, api: respx.MockRouter, clock: ManualClock) -> None:
    watch = Watch(clock)
    says(api, "PAUSED", "PAUSED")
    for _ in range(5):
        await watch.guard.check(client)
        clock.advance(1000)
    assert restarts(api) == 0
    assert watch.value("owdd_connector_running", part="connector") == 0


async def test_a_worker_that_does_not_answer_leaves_no_old_state_behind(
    client: ConnectClient, api: respx.MockRouter, clock: ManualClock
) -> None:
    watch = Watch(clock)
    says(api, "RUNNING", "RUNNING")
    await watch.guard.check(client)
    api.get(f"{URL}/connectors/{NAME}/status").mock(side_effect=httpx.ConnectError("refused"))
    await watch.guard.check(client)
    assert watch.value("owdd_connect_up") == 0
    assert watch.value("owdd_connector_running", part="connector") is None
    assert watch.value("owdd_capture_guard_failures_total", what="connector") == 1


async def test_a_connector_that_is_not_there_does_not_run(
    client: ConnectClient, api: respx.MockRouter, clock: ManualClock
) -> None:
    watch = Watch(clock)
    api.get(f"{URL}/connectors/{NAME}/status").mock(return_value=httpx.Response(404, json={"message": "No status found"}))
    await watch.guard.check(client)
    assert watch.value("owdd_connect_up") == 1
    assert watch.value("owdd_connector_running", part="connector") == 0


async def test_what_cannot_be_seen_is_counted_and_its_age_goes_on(
    client: ConnectClient, api: respx.MockRouter, clock: ManualClock, tmp_path: Path
) -> None:
    watch = Watch(clock, retention_probe=str(tmp_path / "none.json"))
    says(api, "RUNNING", "RUNNING")
    for _ in range(3):
        await watch.guard.check(client)
    clock.advance(120)
    for what in ("heartbeats", "retention"):
        assert watch.value("owdd_capture_guard_failures_total", what=what) == 3
    assert watch.value("owdd_capture_heartbeat_age_seconds", sign="row") == 120
    assert watch.value("owdd_capture_retention_headroom_seconds") is None


async def test_even_a_defect_of_its_own_does_not_stop_it(
    client: ConnectClient, api: respx.MockRouter, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(clock)
    says(api, "RUNNING", "RUNNING")

    def broken() -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(clock, "now_ms", broken)
    await watch.guard.check(client)
    monkeypatch.undo()
    assert watch.value("owdd_capture_guard_failures_total", what="offsets") == 1


def offset(lsn: str) -> tuple[Offset, ...]:
    return (Offset({"server": "ow"}, {"commit_lsn": lsn}),)


def test_an_offset_grows_old_until_it_changes() -> None:
    seen = Observations(0)
    seen.record_offsets(offset("1"), 1_000)
    seen.record_offsets(offset("1"), 9_000)
    assert seen.age(seen.offsets_since, 11_000) == 10
    seen.record_offsets(offset("2"), 12_000)
    assert seen.age(seen.offsets_since, 12_000) == 0


def test_a_sign_that_kafka_has_forgotten_is_remembered() -> None:
    seen = Observations(0)
    seen.record_heartbeats(Heartbeats(row=5, connector=6))
    seen.record_heartbeats(Heartbeats(row=None, connector=8))
    assert seen.heartbeats == Heartbeats(row=5, connector=8)


def test_a_clock_that_is_behind_the_source_s_makes_no_negative_age() -> None:
    assert Observations(0).age(5_000, 4_000) == 0
