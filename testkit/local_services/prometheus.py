"""A real Prometheus on this machine, for as long as it is needed."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from testkit.local_services.debian import Package
from testkit.local_services.ports import HOST, free_port
from testkit.local_services.start_errors import ProgramDied, ProgramNotReady

PROMETHEUS = Package("prometheus", "2.42.0+ds-5+deb12u1", "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55")

_READY_SECONDS = 60.0


@contextmanager
def prometheus(program: Path, directory: Path, config: dict[str, Any]) -> Iterator[str]:
    """Run Prometheus with ``config`` and its data in ``directory``; its address.

    Raises:
        ProgramDied: it refuses the configuration; the excerpt is its reason.
        ProgramNotReady: it does not answer in time.
    """
    config_file, log_file, port = directory / "prometheus.yml", directory / "prometheus.log", free_port()
    config_file.write_text(yaml.safe_dump(config))
    options = {
        "config.file": config_file,
        "storage.tsdb.path": directory / "tsdb",
        "web.listen-address": f"{HOST}:{port}",
    }
    with log_file.open("wb") as log:
        arguments = [f"--{name}={value}" for name, value in options.items()]
        process = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
    try:
        _wait(process, port, log_file)
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            if httpx.get(f"http://{HOST}:{port}/-/ready").is_success:
                return
        except httpx.HTTPError:
            pass
        last_lines = log.read_text(errors="replace").splitlines()[-15:]
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise ProgramNotReady("Prometheus", process.pid, port, _READY_SECONDS, log, last_lines) from None
        else:
            raise ProgramDied("Prometheus", log, last_lines)
