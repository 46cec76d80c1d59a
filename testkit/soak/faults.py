"""The faults, and the supervisor that starts again what ended. Faults only do harm; they never mend."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from streams.kafka.client import admin_client
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.messages.topics import Topics
from streams.worker import Role
from testkit.demo.stack import LocalStack, WorkerProcess
from testkit.local_services import kafka
from testkit.local_services.properties import Listener
from testkit.soak.clock import WallClock
from testkit.soak.disk import damage, full
from testkit.soak.generations import Generations
from testkit.soak.proxy import Proxy
from testkit.soak.scenario import Fault

_BUSY = "while True: pass"
_SUPERVISOR_SECONDS = 0.1
_REVIVAL_SECONDS = 180.0
_OF_NO_ROLE = {
    Fault.BROKER_KILL: "broker",
    Fault.BROKER_STALL: "broker",
    Fault.CLOCK: "all",
    Fault.EXPIRY: "agents",
    Fault.SWITCH: "generation",
}
_OF_STATE = (Fault.STATE_LOST, Fault.STATE_DAMAGED, Fault.DISK_FULL)
_WITH_STATE = (Role.AGENTS, Role.DISPATCH)
_JUMPS = (-7200, -1800, 1800, 7200)


@dataclass
class Ground:
    """The broker that runs are played on, with a proxy for each role between them; its session in seconds, or the usual one."""

    broker: Path
    listeners: tuple[Listener, ...]
    proxies: dict[Role, Proxy]
    session: float | None = None

    async def start(self) -> None:
        """Start the broker, at first or again."""
        await asyncio.to_thread(
            kafka.start, self.broker, short_lived=True, listeners=self.listeners, session_seconds=self.session
        )

    def bootstrap(self, role: Role) -> str:
        """How workers of ``role`` reach the broker: through their proxy."""
        return f"127.0.0.1:{self.proxies[role].port}"


@dataclass
class Scene:
    """One shop whose stack is harmed; ``done`` counts what was done, by kind and victim."""

    stack: LocalStack
    ground: Ground
    rng: Random
    clock: WallClock
    done: Counter[str] = field(default_factory=Counter)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """Start every worker again that ends; at the end all that were stopped go on.

        Raises:
            Exception: a worker could not be started.
        """
        supervising = asyncio.create_task(self._supervise())
        try:
            yield
        finally:
            supervising.cancel()
            await asyncio.wait([supervising])
            for worker in self.stack.workers.values():
                _signal(worker, signal.SIGCONT)
        if not supervising.cancelled():
            supervising.result()

    async def _supervise(self) -> None:
        while True:
            async with self._starting:
                for worker in list(self.stack.workers.values()):
                    if worker.process.poll() is not None:
                        await self.stack.start_worker(*worker.roles, name=worker.name, wait=False)
            await asyncio.sleep(_SUPERVISOR_SECONDS)

    async def harm(self, fault: Fault) -> None:
        """Do it to a victim that is drawn by lot, and return once the fault is over (not: once it is mended)."""
        victim = self.rng.choice(self._least_harmed(fault))
        await _FAULTS[fault](self, victim)
        self.done[f"{fault.name}:{_OF_NO_ROLE.get(fault, victim)}"] += 1

    def _least_harmed(self, fault: Fault) -> list[Role]:
        """The roles that had the fault least often, so that none is spared."""
        counts = {role: self.done[f"{fault.name}:{role}"] for role in (_WITH_STATE if fault in _OF_STATE else Role)}
        return [role for role, count in counts.items() if count == min(counts.values())]

    async def kill(self, role: Role) -> None:
        """SIGKILL; the supervisor starts it again."""
        await _killed(self.stack.workers[role])

    async def lose_state(self, role: Role) -> None:
        """SIGKILL, and the data directory is gone when it starts again."""
        async with self._starting:
            await _killed(self.stack.workers[role])
            await asyncio.to_thread(shutil.rmtree, self.stack.directory / "state" / role, ignore_errors=True)

    async def damage_state(self, role: Role) -> None:
        """SIGKILL, and a file of the state is damaged when it starts again."""
        state = self.stack.directory / "state" / role
        while not any(state.rglob("CURRENT")):  # noqa: ASYNC110 - the files of another process
            await asyncio.sleep(_SUPERVISOR_SECONDS)
        async with self._starting:
            await _killed(self.stack.workers[role])
            await asyncio.to_thread(damage, state, self.rng)

    async def fill_disk(self, role: Role) -> None:
        """Writes of files fail for a while, or until the worker ends."""
        worker = self.stack.workers[role]
        if worker.process.poll() is None:
            # It may have nothing to write.
            with full(worker.process.pid), suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(worker.process.wait, self.rng.uniform(1, 5))

    async def jump(self, _: Role) -> None:
        """The clock of all workers is set wrong, and right again later."""
        self.clock.set(self.rng.choice(_JUMPS))
        try:
            await asyncio.sleep(self.rng.uniform(3, 8))
        finally:
            self.clock.set(0)

    async def expire(self, _: Role) -> None:
        """What ingest wrote is deleted before the agents read it, and a person runs what their error asks for."""
        async with self._starting:
            await _killed(self.stack.workers[Role.AGENTS])
            # Ingest goes on, so that there is something to lose.
            await asyncio.sleep(self.rng.uniform(1, 3))
            for worker in self.stack.workers.values():
                _signal(worker, signal.SIGTERM)
            for worker in self.stack.workers.values():
                await asyncio.to_thread(worker.process.wait)
            await self._delete_unread()
            await self._reread()

    async def _delete_unread(self) -> None:
        settings = self.stack.settings
        topics = Topics.of(settings.app_id)
        places = [
            TopicPartition(name, number) for name in (topics.orders, topics.products) for number in range(settings.partitions)
        ]
        kafka_config = KafkaConfig.of(settings)
        async with reader(kafka_config) as consumer:
            ends = await consumer.end_offsets(places)
        admin = admin_client(kafka_config)
        await admin.start()
        try:
            await admin.delete_records({place: RecordsToDelete(end) for place, end in ends.items() if end})
        finally:
            await admin.close()

    async def _reread(self) -> None:
        """Once the group of the killed worker is empty, which takes a session."""
        async with asyncio.timeout(_REVIVAL_SECONDS):
            while True:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "streams", "topics", "reread", "--execute"),
                    env=self.stack.environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                if await process.wait() == 0:
                    break
                await asyncio.sleep(_SUPERVISOR_SECONDS)

    async def pause(self, role: Role) -> None:
        """Longer than its session, so that the broker gives its partitions away (to nobody, or to itself later)."""
        session = float(self.stack.settings.session_timeout)
        await self._stopped(role, self.rng.uniform(1.2, 2.0) * session)

    async def stall(self, role: Role) -> None:
        """Shorter than its session."""
        await self._stopped(role, self.rng.uniform(1, 3))

    async def partition(self, role: Role) -> None:
        """From a hiccup to longer than the session."""
        session = float(self.stack.settings.session_timeout)
        await self.ground.proxies[role].cut(self.rng.uniform(0.2, 2.0) * session, resetting=self.rng.random() < 0.5)

    async def kill_broker(self, _: Role) -> None:
        """SIGKILL the broker, and start it again a moment later."""
        await asyncio.to_thread(kafka.kill, self.ground.broker)
        await asyncio.sleep(self.rng.uniform(0, 2))
        await self.ground.start()

    async def stall_broker(self, _: Role) -> None:
        """SIGSTOP the broker. Its own controller then finds that it was gone: leaders and coordinators move away, and back."""
        broker = kafka.status(self.ground.broker).broker
        if broker is not None:
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(self.rng.uniform(3, 6))
            finally:
                os.kill(broker.pid, signal.SIGCONT)

    async def switch(self, _: Role) -> None:
        """A whole life of a generation of the joins, in which everybody is killed several times."""
        generations = Generations(self.stack, self.rng, self._starting)
        await generations.cycle()
        self.done += Counter({f"{Fault.KILL.name}:{victim}": times for victim, times in generations.killed.items()})

    async def revived(self) -> None:
        """Wait until every worker is ready, while the supervisor starts what ends.

        Raises:
            TimeoutError: one of them is not.
        """
        async with asyncio.timeout(_REVIVAL_SECONDS):
            for role in Role:
                while True:
                    try:
                        await self.stack.ready(self.stack.workers[role])
                    except RuntimeError:
                        await asyncio.sleep(_SUPERVISOR_SECONDS)
                    else:
                        break

    async def _stopped(self, role: Role, seconds: float) -> None:
        worker = self.stack.workers[role]
        _signal(worker, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            _signal(worker, signal.SIGCONT)


_FAULTS: dict[Fault, Callable[[Scene, Role], Awaitable[None]]] = {
    Fault.KILL: Scene.kill,
    Fault.BROKER_KILL: Scene.kill_broker,
    Fault.BROKER_STALL: Scene.stall_broker,
    Fault.PAUSE: Scene.pause,
    Fault.STALL: Scene.stall,
    Fault.PARTITION: Scene.partition,
    Fault.STATE_LOST: Scene.lose_state,
    Fault.STATE_DAMAGED: Scene.damage_state,
    Fault.DISK_FULL: Scene.fill_disk,
    Fault.CLOCK: Scene.jump,
    Fault.EXPIRY: Scene.expire,
    Fault.SWITCH: Scene.switch,
}


async def _killed(worker: WorkerProcess) -> None:
    _signal(worker, signal.SIGKILL)
    await asyncio.to_thread(worker.process.wait)


def _signal(worker: WorkerProcess, number: signal.Signals) -> None:
    if worker.process.poll() is None:
        worker.process.send_signal(number)


@contextmanager
def starvation(processes: list[int]) -> Iterator[None]:
    """This process, its children to come, and ``processes`` on one core, which three busy loops have most of."""
    cores = os.sched_getaffinity(0)
    one = {min(cores)}
    os.sched_setaffinity(0, one)
    for pid in processes:
        _pin(pid, one)
    loops = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(3)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
        os.sched_setaffinity(0, cores)
        for pid in processes:
            _pin(pid, cores)


def _pin(pid: int, cores: set[int]) -> None:
    """All threads of a process: the affinity of a process is only that of its main thread."""
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            os.sched_setaffinity(int(thread.name), cores)
        except ProcessLookupError:
            continue  # a thread that ended meanwhile
