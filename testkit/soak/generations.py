"""Generations of the joins under kills: one is built beside the active one, takes effect, goes back and is cleaned away.

Every command is given until what it should do is done, however often it dies.
"""

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from signal import SIGKILL
from subprocess import PIPE
from typing import Any, Final, TypeAlias

import orjson

from streams.cli.exit_codes import ExitCode
from streams.messages.generation_log import KnownGenerations, known_generations
from streams.worker import Role
from testkit.demo.stack import LocalStack

COMMAND: Final = "command"
"""The victim that is the command itself."""

_PATIENCE = ("--timeout", "600")
_EARLIEST, _LATEST = 0.5, 3.5
"""Seconds between two kills: a command takes one or two to begin, and as long to do what it should."""
_AGAIN_SECONDS = 0.5

Reached: TypeAlias = Callable[[KnownGenerations], bool]


@dataclass
class Generations:
    """The generations of one site, steered by ``owdd replay``; whoever takes part may be killed meanwhile.

    ``starting`` is held while a worker is ended or started, so that no supervisor starts it as well; ``killed`` counts.
    """

    stack: LocalStack
    rng: Random
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    killed: Counter[str] = field(default_factory=Counter)

    async def cycle(self) -> int:
        """Build the next generation, let it take effect, go back, and clean it away; everybody is killed once in each part.

        Raises:
            RuntimeError: a command failed.
        """
        _, found = await self.insist(_never, "rebuild", "--again", "--timeout", "0", victims=[COMMAND])
        number: int = found["generation"]
        everybody = [*(role.value for role in Role), *await self.start(number, self.stack.mapping), COMMAND]
        await self.insist(self.complete(number), "rebuild", *_PATIENCE, victims=self._shuffled(everybody))
        await self.insist(self.active(number), "rebuild", *_PATIENCE, "--execute", victims=self._shuffled(everybody))
        await self.insist(self.active(0), "back", "--execute", victims=self._shuffled(everybody))
        await self.stop(number)
        await self.insist(lambda known: known.generations[number].dropped, "clean", "--execute", victims=[COMMAND])
        return number

    def complete(self, number: int) -> Reached:
        """Whether every partition of the outbox has what that generation wants."""
        partitions = self.stack.settings.partitions
        return lambda known: known.reported("complete", number) == partitions

    def active(self, number: int) -> Reached:
        """Whether every partition of the outbox obeys that generation."""
        partitions = self.stack.settings.partitions
        return lambda known: known.activation.generation == number and not known.is_switching(partitions)

    async def insist(self, reached: Reached, *arguments: str, victims: Sequence[str] = ()) -> tuple[int, Any]:
        """Give ``owdd replay`` these arguments until it ends well, while the victims are killed, the last one first.

        Its exit code and what it printed; None, if it was killed when what it does was done (``reached``).

        Raises:
            RuntimeError: it failed.
        """
        left = list(victims)
        while True:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "streams", "replay", *arguments, "--json"),
                env=self.stack.environment,
                stdout=PIPE,
                stderr=PIPE,
            )
            ending = asyncio.create_task(process.communicate())
            while left and process.returncode is None:
                await asyncio.sleep(self.rng.uniform(_EARLIEST, _LATEST))
                await self._kill(left.pop(), process)
            printed, problems = await ending
            if process.returncode == ExitCode.REFUSED:
                # Kafka has not noticed yet that a killed worker is gone.
                await asyncio.sleep(_AGAIN_SECONDS)
            elif process.returncode == -SIGKILL:
                if reached(await known_generations(self.stack.settings)):
                    return 0, None
            elif process.returncode in (ExitCode.OK, ExitCode.CHANGES, ExitCode.UNFINISHED):
                return process.returncode, orjson.loads(printed)
            else:
                raise RuntimeError(f"owdd replay {' '.join(arguments)}: code {process.returncode}: {problems.decode()}")

    async def start(self, number: int, mapping: Path) -> list[str]:
        """Start ingest and joins of a generation, beside those that work; their names."""
        variables = {"OWDD_GENERATION": str(number), "OWDD_MAPPING": str(mapping)}
        names = {role: f"{role.value}-g{number}" for role in (Role.INGEST, Role.AGENTS)}
        own = {name: {**self.stack.by_worker.get(role.value, {}), **variables} for role, name in names.items()}
        self.stack.by_worker = {**self.stack.by_worker, **own}
        async with self.starting:
            for role, name in names.items():
                await self.stack.start_worker(role, name=name, wait=False)
        return list(names.values())

    async def stop(self, number: int) -> None:
        """End them for good."""
        async with self.starting:
            for name in [name for name in self.stack.workers if name.endswith(f"-g{number}")]:
                worker = self.stack.workers.pop(name).process
                worker.terminate()
                await asyncio.to_thread(worker.wait)
                await asyncio.to_thread(shutil.rmtree, self.stack.directory / "state" / name, ignore_errors=True)

    async def _kill(self, victim: str, process: asyncio.subprocess.Process) -> None:
        self.killed[victim.partition("-")[0]] += 1
        if victim == COMMAND:
            with suppress(ProcessLookupError):  # it has just ended
                process.kill()
        else:
            async with self.starting:
                await self.stack.kill(victim)

    def _shuffled(self, victims: Sequence[str]) -> list[str]:
        return self.rng.sample(victims, len(victims))


def _never(_: KnownGenerations) -> bool:
    """The command has to print what it knows."""
    return False
