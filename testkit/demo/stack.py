"""A local stack: embedded broker, sandbox, and worker processes that can be killed and started again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Mapping as Environment
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import httpx
from aiokafka.errors import KafkaError  # type: ignore[import-untyped, unused-ignore]
from prometheus_client.parser import text_string_to_metric_families

from streams.dispatch.policies import client_config
from streams.dotdigital import bootstrap
from streams.dotdigital.client import DotdigitalClient, unobserved
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.mapping import load_mapping
from streams.messages.protocol import specs
from streams.observability.lag import partition_lags
from streams.observability.metrics import GROUPS, definitions
from streams.operations import lag_report
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from streams.worker import Role
from testkit.local_services import kafka
from testkit.local_services.broker_security import Security
from testkit.local_services.jars import Progress, silent
from testkit.local_services.ports import free_port

Samples: TypeAlias = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Metric samples by name and sorted labels."""

_SHARED = {metric.name for group in GROUPS for _, metric in definitions(group) if metric.shared}
_USER, _PASSWORD = "demo@apiconnector.example", "demo-password"
_START_SECONDS = 180.0


@dataclass
class WorkerProcess:
    """One ``owdd run`` process, its name, and where it serves metrics."""

    name: str
    roles: tuple[Role, ...]
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Base of ``/metrics`` and ``/health``."""
        return f"http://127.0.0.1:{self.port}"


@dataclass
class LocalStack:
    """Everything that ``docker compose up`` would run, without containers.

    Attributes:
        directory: data, logs and state of all parts.
        mapping: the site's mapping file.
        overrides: more ``OWDD_*`` variables for the workers.
        progress: called with what takes long.
        security: how the broker's listener is secured, if this stack is the first to start it.
        broker: directory of the broker; several stacks may share one that runs already.
        by_worker: more variables for single workers, by name.
    """

    directory: Path
    mapping: Path
    overrides: Environment[str, str] = field(default_factory=dict)
    progress: Progress = silent
    broker: Path | None = None
    by_worker: Environment[str, Environment[str, str]] = field(default_factory=dict)
    security: Security | None = None
    workers: dict[str, WorkerProcess] = field(default_factory=dict)
    _sandbox: subprocess.Popen[bytes] | None = None
    _environment: dict[str, str] = field(default_factory=dict)
    _started_broker: bool = False

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def _broker_directory(self) -> Path:
        return self.broker or self.directory / "kafka"

    @property
    def settings(self) -> Settings:
        """Settings as the workers see them."""
        values = {name.removeprefix("OWDD_").lower(): value for name, value in self._environment.items()}
        return Settings.model_validate(values)

    @property
    def environment(self) -> dict[str, str]:
        """Environment for further processes, such as the simulator."""
        return {**os.environ, **self._environment}

    async def _start(self) -> None:
        broker = await asyncio.to_thread(
            kafka.start, self._broker_directory, short_lived=True, security=self.security, progress=self.progress
        )
        self._started_broker = not broker.already_running
        url = await self._start_sandbox()
        self._environment = {
            **broker.environment,
            "OWDD_DOTDIGITAL_URL": url,
            "OWDD_DOTDIGITAL_USER": _USER,
            "OWDD_DOTDIGITAL_PASSWORD": _PASSWORD,
            "OWDD_MAPPING": str(self.mapping),
            **self.overrides,
        }
        mapping = load_mapping(self.mapping)
        await apply_topics(KafkaConfig.of(self.settings), list(specs(self.settings, mapping)), execute=True)
        async with DotdigitalClient(client_config(self.settings), unobserved) as client:
            await bootstrap.apply(client, await bootstrap.plan(client, mapping))

    async def _start_sandbox(self) -> str:
        port_file = self.directory / "sandbox.url"
        port_file.unlink(missing_ok=True)
        environment = {**os.environ, "OWDD_DOTDIGITAL_PASSWORD": _PASSWORD, "OWDD_DOTDIGITAL_USER": _USER}
        command = [sys.executable, "-m", "streams", "sandbox", "--port", "0", "--port-file", str(port_file)]
        with (self.directory / "sandbox.log").open("ab") as log:
            self._sandbox = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: ASYNC220

        def published() -> bool:
            return port_file.exists() and bool(port_file.read_text())

        await _until(published, "the sandbox did not start", self._sandbox, self.directory / "sandbox.log")
        return port_file.read_text().strip()

    def reconfigure(self, variables: Environment[str, str]) -> None:
        """Give every process that is started from now on more ``OWDD_*`` variables."""
        self._environment |= variables

    async def start_worker(
        self, *roles: Role, name: str | None = None, wait: bool = True, port: int | None = None
    ) -> WorkerProcess:
        """Start one worker with some roles, by default on a free port; the same name again takes up the same state directory.

        Raises:
            RuntimeError: it ended, or was not ready in time; the message has the end of its log.
        """
        name = name or "-".join(roles)
        port = free_port() if port is None else port
        environment = (
            self.environment
            | dict(self.by_worker.get(name, {}))
            | {
                "OWDD_DATA_DIR": str(self.directory / "state" / name),
                "OWDD_METRICS_PORT": str(port),
            }
        )
        log_file = self.directory / f"{name}.log"
        with log_file.open("ab") as log:
            process = subprocess.Popen(  # noqa: ASYNC220
                [sys.executable, "-m", "streams", "run", *(f"--only={role.value}" for role in roles)],
                env=environment,
                stdout=log,
                stderr=log,
            )
        worker = self.workers[name] = WorkerProcess(name, roles, port, process, log_file)
        if wait:
            await self.ready(worker)
        return worker

    async def ready(self, worker: WorkerProcess) -> None:
        """Wait until the worker says that it is ready."""
        async with httpx.AsyncClient() as http:

            async def answers() -> bool:
                try:
                    return (await http.get(f"{worker.url}/health/ready")).is_success
                except httpx.HTTPError:
                    return False

            deadline = asyncio.get_running_loop().time() + _START_SECONDS
            while not await answers():
                _check(worker.process, worker.log, worker.name, asyncio.get_running_loop().time() > deadline)
                await asyncio.sleep(0.1)

    async def kill(self, name: str) -> None:
        """SIGKILL a worker and start it again with the same state directory."""
        worker = self.workers[name]
        worker.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(worker.process.wait)
        await self.start_worker(*worker.roles, name=name, wait=False)

    async def simulate(self, arguments: list[str]) -> None:
        """Run ``owdd simulate`` to its end.

        Raises:
            RuntimeError: it failed; the message has the end of its log.
        """
        await self._simulate(arguments, None)

    async def simulate_in_two(self, arguments: list[str], between: Callable[[], Awaitable[None]]) -> None:
        """Run ``owdd simulate --everyday …`` to its end; the commits that it holds back are made when ``between`` has returned.

        Raises:
            RuntimeError: it failed; the message has the end of its log.
        """
        await self._simulate(arguments, between)

    async def _simulate(self, arguments: list[str], between: Callable[[], Awaitable[None]] | None) -> None:
        log_file = self.directory / "simulate.log"
        with log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "streams", "simulate", *arguments),
                env=self.environment,
                stdin=subprocess.PIPE if between else None,
                stdout=subprocess.PIPE if between else log,
                stderr=log,
            )
            try:
                if between is not None:
                    assert process.stdin is not None
                    assert process.stdout is not None
                    # An empty line: the shop's day was over before, or the simulator failed.
                    if await process.stdout.readline():
                        await between()
                    process.stdin.write_eof()
                    log.write(await process.stdout.read())
                code = await process.wait()
            except asyncio.CancelledError:
                process.kill()
                raise
        if code:
            raise RuntimeError(f"the simulator ended with code {code}; its last lines:\n{_tail(log_file)}")

    async def scrape(self) -> Samples:
        """All metrics of all workers: samples of equal name and labels added up, or the largest where all measure the same."""
        found: Samples = {}
        for page in await self._pages():
            for key, value in (page or {}).items():
                before = found.get(key, 0.0)
                found[key] = max(before, value) if key[0] in _SHARED else before + value
        return found

    async def _pages(self) -> list[Samples | None]:
        """The metrics of each worker; None of one that does not answer."""
        async with httpx.AsyncClient(timeout=5.0) as http:

            async def page(worker: WorkerProcess) -> Samples | None:
                try:
                    return samples_of((await http.get(f"{worker.url}/metrics")).text)
                except httpx.HTTPError:
                    return None

            return [await page(worker) for worker in list(self.workers.values())]

    async def settled(self, timeout: float = 300.0) -> None:  # the caller's patience, not a cancellation
        """Wait until nothing is on its way: no group lags, all workers are ready, and no delivery is pending, twice in a row.

        Raises:
            TimeoutError: with what was still on its way.
        """
        kafka = KafkaConfig.of(self.settings)
        groups = lag_report.groups(self.settings, load_mapping(self.mapping))
        consumer = client.consumer(kafka)
        admin = client.admin_client(kafka)
        await consumer.start()
        await admin.start()
        try:
            deadline = asyncio.get_running_loop().time() + timeout
            quiet = 0
            while quiet < 2:
                waiting: dict[str, float] = {}
                for group, names in groups.items():
                    try:
                        found = await partition_lags(group, names, consumer, admin)
                    except KafkaError:
                        # A broker that is busy may have no coordinator for a moment: nothing is known to be at rest then.
                        waiting[group] = inf
                    else:
                        waiting[group] = sum(item.behind for item in found.values())
                waiting["pending"] = pending(await self._pages())
                quiet = 0 if any(waiting.values()) else quiet + 1
                if asyncio.get_running_loop().time() > deadline:
                    raise TimeoutError(f"still on its way after {timeout:.0f} s: {waiting}{self._ended()}")
                await asyncio.sleep(0.2)
        finally:
            await consumer.stop()
            await admin.close()

    def _ended(self) -> str:
        """The workers that have ended, each with the end of its log."""
        ended = [worker for worker in self.workers.values() if worker.process.poll() is not None]
        return "".join(f"; {one.name} ended with code {one.process.poll()}:\n{_tail(one.log)}" for one in ended)

    async def stop(self) -> None:
        """Stop everything that this stack started; kill what does not go."""
        processes = [worker.process for worker in self.workers.values()]
        processes += [self._sandbox] if self._sandbox is not None else []
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            try:
                await asyncio.to_thread(process.wait, 8)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._started_broker:
            await asyncio.to_thread(kafka.stop, self._broker_directory)


def samples_of(page: str) -> Samples:
    """What one worker's metrics page shows."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def pending(pages: Iterable[Samples | None]) -> float:
    """How many deliveries the workers with these pages (None: no answer) have before them; infinite while that is not known.

    A worker that loses its partitions, as after an outage of the broker, forgets its queue, and reads it back when it gets
    them again. Until it is ready it has counted nothing.
    """
    found: list[float] = []
    for page in pages:
        if page is None or any(name == "owdd_ready" and not value for (name, _), value in page.items()):
            return inf
        found += [value for (name, _), value in page.items() if name == "owdd_pending"]
        # A removal that waits for its grant is no delivery yet.
        found += [value for (name, labels), value in page.items() if name == "owdd_removals" and ("state", "waiting") in labels]
    # No dispatch: that is not rest, and the error should not read as a contact.
    return sum(found) if found else inf


async def _until(condition: Callable[[], bool], what: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    while not condition():
        _check(process, log, what, asyncio.get_running_loop().time() > deadline)
        await asyncio.sleep(0.05)


def _check(process: subprocess.Popen[bytes], log: Path, what: str, late: bool) -> None:
    if process.poll() is not None or late:
        reason = "not ready in time" if process.poll() is None else f"ended with code {process.poll()}"
        raise RuntimeError(f"{what}: {reason}; its last lines:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
