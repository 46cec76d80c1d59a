"""One run: a shop is played under faults, comes to rest, and is judged by the oracle and by its changelogs."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from aiokafka import TopicPartition

from streams.core.clock import SystemClock
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured
from streams.mapping import load_mapping
from streams.operations.state_check import check_state
from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.local_services import kafka
from testkit.local_services.ports import free_port
from testkit.local_services.properties import Listener
from testkit.oracle.redaction import redacted
from testkit.soak.clock import WallClock
from testkit.soak.faults import Ground, Scene, starvation
from testkit.soak.proxy import Proxy
from testkit.soak.scenario import Fault, Run
from testkit.soak.site import IMPORTS, Site, differences, lasting, open_site, simulate

_PATIENCE = 240.0
_SHOWN = 20
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run.

    Attributes:
        faults: how often each fault was done, by ``KIND:victim``.
        differences: differences that no limit of the guarantees explains; None if the stack did not come to rest.
        documented: differences that a limit explains: a credit note that a crash sent twice.
        shown: the first differences, addresses as keyed hashes.
        rows: rows of all changelogs.
        unlike: rows of state that are missing, extra or different beside their changelog.
        seconds: how long the run took.
        error: why it has no result.
    """

    faults: dict[str, int]
    differences: int | None
    documented: int
    shown: list[dict[str, Any]]
    rows: int
    unlike: int
    seconds: float
    error: str | None = None

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return self.differences == 0 and self.unlike == 0 and self.error is None


@asynccontextmanager
async def ground(directory: Path, *, session: float | None = None) -> AsyncIterator[Ground]:
    """A broker with a listener for each role, and a proxy before each; its session in seconds, or the usual one."""
    ports: set[int] = set()
    while len(ports) < 2 * len(Role):
        ports.add(free_port())
    pairs = list(zip(*[iter(sorted(ports))] * 2, strict=True))
    listeners = tuple(Listener(role.name, own, proxied) for role, (own, proxied) in zip(Role, pairs, strict=True))
    async with AsyncExitStack() as stack:
        proxies: dict[Role, Proxy] = {}
        made = Ground(directory, listeners, proxies, session)
        await made.start()
        stack.push_async_callback(asyncio.to_thread, kafka.stop, directory)
        for role, listener in zip(Role, listeners, strict=True):
            proxies[role] = await stack.enter_async_context(Proxy(listener.advertised, listener.port))
        yield made


async def play(run: Run, on: Ground, directory: Path) -> Outcome:
    """Play ``run`` in the empty ``directory``, which holds the logs afterwards."""
    started = time.monotonic()
    rng = Random(run.seed)
    clock = WallClock(directory / "clock")
    clock.set(0)
    jumping = clock.environment() if Fault.CLOCK in run.scenario.faults else {}
    site = Site(
        run.name,
        consent=run.seed % 2 == 1,
        erasure=run.seed % 3 == 2,
        partitions=1 + run.seed % 4,
        # Not as consent and erasure change: each meets both.
        renames=run.seed % 4 in (1, 2),
        variables=IMPORTS,
        by_worker={role.value: {"OWDD_KAFKA_BOOTSTRAP": on.bootstrap(role), **jumping} for role in Role},
    )
    async with open_site(directory, on.broker, site) as running:
        scene = Scene(running, on, rng, clock)
        try:
            async with scene.supervised():
                await _play(run, scene, consent=site.consent)
                await scene.revived()
                await running.settled(_PATIENCE)
            _check_ground(on)
        except (RuntimeError, TimeoutError) as error:
            return _outcome(scene, started, error=f"{type(error).__name__}: {error}")
        found, _, mapping = await asyncio.to_thread(differences, running)
        await _end(running)
        state = running.settings.model_copy(update={"data_dir": directory / "state"})
        compared = [item async for item in check_state(state, SystemClock())]
        wrong = lasting(found)
        key = running.settings.hash_key.get_secret_value().encode()
        return _outcome(
            scene,
            started,
            found=len(wrong),
            documented=len(found) - len(wrong),
            shown=[redacted(item, mapping, key) for item in wrong[:_SHOWN]],
            rows=sum(item.rows for item in compared),
            unlike=sum(item.unlike + item.ahead for item in compared),
        )


async def _play(run: Run, scene: Scene, *, consent: bool) -> None:
    """From the start of the workers until the shop has closed and every fault is over."""
    with ExitStack() as starving:
        if run.scenario.starved:
            broker = kafka.status(scene.ground.broker).broker
            starving.enter_context(starvation([broker.pid] if broker is not None else []))
            scene.done[f"{Fault.STARVED.name}:all"] += 1
        if run.scenario.shuffled:
            scene.done[f"{Fault.SHUFFLED.name}:all"] += 1
        for role in Role:
            await scene.stack.start_worker(role)
        options: dict[str, object] = {"consent": True} if consent else {}
        options |= {"duplicates": 0.1, "shuffle": True, "rate": 0} if run.scenario.shuffled else {"duplicates": 0.05}
        feeding = asyncio.create_task(
            simulate(
                scene.stack,
                seed=run.seed,
                customers=run.customers,
                orders=run.orders,
                replays=2,
                **{"rate": run.rate} | options,
            )
        )
        try:
            await _harm(run, scene, feeding)
            await feeding
        finally:
            feeding.cancel()


async def _harm(run: Run, scene: Scene, feeding: asyncio.Task[None]) -> None:
    faults = run.scenario.faults
    if not faults:
        return
    # A simulator that finds no broker when it starts gives up, as it should.
    await _begun(scene, feeding)
    done = 0
    while done < run.scenario.times or not feeding.done():
        if feeding.done():
            feeding.result()
        await asyncio.sleep(scene.rng.uniform(0.3, 2.0))
        await scene.harm(faults[done % len(faults)])
        done += 1


async def _begun(scene: Scene, feeding: asyncio.Task[None]) -> None:
    """Until the shop's first record is there, or the feed is over."""
    settings = scene.stack.settings
    topics = captured(load_mapping(scene.stack.mapping))
    async with reader(KafkaConfig.of(settings)) as consumer:
        places = [TopicPartition(topic, number) for topic in topics for number in range(settings.partitions)]
        while not feeding.done() and not any((await consumer.end_offsets(places)).values()):  # noqa: ASYNC110 - Kafka's
            await asyncio.sleep(_LOOK_SECONDS)


def _check_ground(on: Ground) -> None:
    unused = [role.value for role, proxy in on.proxies.items() if not proxy.accepted]
    if unused:
        raise RuntimeError(f"{', '.join(unused)}: does not use its proxy, so that no partition reached it")


async def _end(running: LocalStack) -> None:
    """Stop the workers, so that their state is at rest; their stores are closed or recovered on opening."""
    for worker in running.workers.values():
        worker.process.terminate()
    for worker in running.workers.values():
        await asyncio.to_thread(worker.process.wait, 10)


def _outcome(  # noqa: PLR0913 - what a run may have found, all but two with a default
    scene: Scene,
    started: float,
    *,
    found: int | None = None,
    documented: int = 0,
    shown: list[dict[str, Any]] | None = None,
    rows: int = 0,
    unlike: int = 0,
    error: str | None = None,
) -> Outcome:
    faults = dict(Counter(scene.done))
    return Outcome(faults, found, documented, shown or [], rows, unlike, round(time.monotonic() - started, 1), error)
