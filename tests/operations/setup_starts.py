"""Makes a wrong set-up, starts a worker on it as a process of its own, and looks at how it refuses."""

import multiprocessing
import os
import re
import resource
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson
import yaml

from streams.cli import app
from streams.cli.exit_codes import ExitCode
from streams.engine.data_dir import locked_data_dir, own_data_dir
from streams.mapping import DEFAULT
from tests.patience import PATIENCE

Values: TypeAlias = dict[str, str]
"""What stands for ``<name>`` in environment and message."""
Make: TypeAlias = Callable[[Path], AbstractContextManager[Values]]
"""Makes the surroundings of a set-up in an empty directory."""
Needs: TypeAlias = Literal["nothing", "scram", "mtls", "broker", "topics", "state"]
"""What must be there first: a broker (secured so), the topics, state that a worker built with the shipped mapping."""


def _nothing(_: Path) -> AbstractContextManager[Values]:
    return nullcontext({})


@dataclass(frozen=True, slots=True)
class WrongSetup:
    """One row. In ``message`` a ``<name>`` without a value stands for any text."""

    title: str
    code: ExitCode
    message: str
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("run",)
    make: Make = _nothing
    needs: Needs = "nothing"
    open_files: int | None = None
    interrupt_when: Callable[[], None] | None = None
    """Returns when the time for Ctrl-C has come."""


def mapping(change: Callable[[dict[str, Any]], None]) -> Make:
    """A changed copy of the shipped mapping, as ``<directory>/mapping.yaml``."""

    @contextmanager
    def made(directory: Path) -> Iterator[Values]:
        data = yaml.safe_load(DEFAULT.read_text("utf-8"))
        change(data)
        (directory / "mapping.yaml").write_text(yaml.safe_dump(data), "utf-8")
        yield {}

    return made


def file(name: str, content: bytes) -> Make:
    """A file."""

    @contextmanager
    def made(directory: Path) -> Iterator[Values]:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
        yield {}

    return made


@contextmanager
def port_taken(_: Path) -> Iterator[Values]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield {"port": str(taken.getsockname()[1])}


class SilentServer:
    """Takes connections and never answers."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._listening: socket.socket | None = None

    @contextmanager
    def make(self, _: Path) -> Iterator[Values]:
        with self._open, socket.create_server(("127.0.0.1", 0)) as self._listening:
            self._listening.settimeout(PATIENCE)
            yield {"server": f"127.0.0.1:{self._listening.getsockname()[1]}"}

    def asked(self) -> None:
        """Return once a client has asked something: before, while it connects, Python may drop a cancellation (gh-86296)."""
        assert self._listening is not None
        client, _ = self._listening.accept()
        self._open.enter_context(client)
        client.settimeout(PATIENCE)
        assert client.recv(1)


@contextmanager
def in_use(directory: Path) -> Iterator[Values]:
    with own_data_dir(directory / "data"):
        yield {}


@contextmanager
def replicas(directory: Path) -> Iterator[Values]:
    with locked_data_dir(directory / "data"):
        pass
    yield {}


@contextmanager
def one_workers(directory: Path) -> Iterator[Values]:
    with own_data_dir(directory / "data"):
        pass
    yield {}


def check(setup: WrongSetup, directory: Path, surroundings: Mapping[str, str] | None = None) -> None:
    """Make the set-up and start it: one message, its code, no trace, and the same as JSON."""
    with setup.make(directory) as made:
        values = {"directory": str(directory)} | made
        environment = {name: _filled(text, values) for name, text in setup.environment.items()}
        arguments = [_filled(text, values) for text in setup.arguments]
        code, out, err = _start(arguments, _bare(directory) | dict(surroundings or {}) | environment, setup)
    assert (code, err) == (setup.code, ""), (out, err)
    (line,) = out.splitlines()
    shown = orjson.loads(line)
    assert re.fullmatch(_pattern(setup.message, values), shown["message"]), shown["message"]
    assert shown["exit"] == setup.code.name
    for part in ("where", "remedy"):
        assert shown.get(part, "") in shown["message"]


def _bare(directory: Path) -> dict[str, str]:
    """The environment of a new site, without this process's own settings: other tests leave theirs there."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("OWDD_")}
    return rest | {
        "OWDD_SECRETS_DIR": str(directory / "no-secrets"),
        "OWDD_METRICS_PORT": "0",
        "OWDD_DATA_DIR": str(directory / "data"),
        # Not the broker that may run here by chance.
        "OWDD_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    }


_fork = multiprocessing.get_context("forkserver")
# Imported once for all set-ups: it is most of a start.
_fork.set_forkserver_preload(["streams.cli.run"])


def _start(arguments: list[str], environment: dict[str, str], setup: WrongSetup) -> tuple[int | None, str, str]:
    with tempfile.TemporaryDirectory() as directory:
        out, err = Path(directory) / "out", Path(directory) / "err"
        process = _fork.Process(target=_owdd, args=(arguments, environment, setup.open_files, out, err))
        process.start()
        if setup.interrupt_when is not None and process.pid is not None:
            setup.interrupt_when()
            os.kill(process.pid, signal.SIGINT)
        process.join(timeout=PATIENCE)
        return process.exitcode, out.read_text(), err.read_text()


def _owdd(arguments: list[str], environment: dict[str, str], open_files: int | None, out: Path, err: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, target in ((1, out), (2, err)):
        os.dup2(os.open(target, os.O_WRONLY | os.O_CREAT), number)
    # Tests that were started in the background have Ctrl-C ignored, and hand that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if open_files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    app([*arguments, "--json"], prog_name="owdd")


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"<(\w+)>", lambda found: values.get(found[1], found[0]), text)


def _pattern(message: str, values: Mapping[str, str]) -> str:
    parts = re.split(r"<(\w+)>", message)
    named = [re.escape(values[part]) if part in values else ".+" for part in parts[1::2]]
    fixed = list(map(re.escape, parts[::2]))
    return "".join(text for pair in zip(fixed, [*named, ""], strict=True) for text in pair)
