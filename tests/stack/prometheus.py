"""The real Prometheus: from PATH, else Debian's package, unpacked without root into the cache directory.

PyPI, npm and Maven Central have no Prometheus. Debian's package is fetched by apt with lists of its own, so that neither
root nor an earlier ``apt-get update`` is needed. Debian 12's is pinned by version and checksum; where apt does not have
that one, it gives its own, whose signature apt checks.
"""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from testkit.local_services.jars import cache_dir, file_lock

VERSION = "2.42.0+ds-5+deb12u1"
SHA256 = "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55"  # amd64

_HELP = (
    "The dashboard's expressions are evaluated by a real Prometheus, which this machine's apt does not give. Install one, so "
    "that 'prometheus' and 'promtool' are on PATH (for example: apt-get install prometheus)."
)


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the two programs are."""

    prometheus: Path
    promtool: Path


def programs() -> Programs:
    """Both programs; fetched once a machine. Fails with advice where they cannot be had, skips where there is no apt."""
    installed = shutil.which("prometheus"), shutil.which("promtool")
    if installed[0] and installed[1]:
        return Programs(Path(installed[0]), Path(installed[1]))
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("neither Prometheus nor apt is on this machine; install Prometheus to check the dashboard")
    kept = cache_dir() / "prometheus"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(kept.with_name("prometheus.lock")):
        if not kept.is_dir():
            _fetch(kept)
    return Programs(kept / "usr/bin/prometheus", kept / "usr/bin/promtool")


def _fetch(kept: Path) -> None:
    with TemporaryDirectory(dir=kept.parent) as made:
        work = Path(made)
        for part in ("lists/partial", "cache/archives/partial"):
            (work / part).mkdir(parents=True)
        apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={work}/lists", "-o", f"Dir::Cache={work}/cache"]
        # One broken source among many is not our business: what counts is whether the package comes.
        _run([*apt, "update"], work)
        said = _run([*apt, "download", f"prometheus={VERSION}"], work)
        if not (pinned := list(work.glob("*.deb"))):
            said += _run([*apt, "download", "prometheus"], work)
        packages = list(work.glob("*.deb"))
        if not packages or any(hashlib.sha256(package.read_bytes()).hexdigest() != SHA256 for package in pinned):
            pytest.fail(f"{_HELP}\n{said}", pytrace=False)
        subprocess.run(["dpkg", "-x", packages[0], work / "unpacked"], check=True)
        (work / "unpacked").rename(kept)


def _run(command: list[str], directory: Path) -> str:
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.run(command, cwd=directory, env=environment, check=False, capture_output=True, text=True).stderr
