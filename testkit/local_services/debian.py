"""Programs that PyPI, npm and Maven Central do not have, from Debian's packages, unpacked without root in the cache directory.

apt fetches them with lists of its own, so that neither root nor an earlier ``apt-get update`` is needed, and from the archive
that this machine's apt uses.
"""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from testkit.local_services.jars import cache_dir, file_lock
from testkit.local_services.start_errors import AptMissing, PackageUnavailable

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, slots=True)
class Package:
    """A package of Debian, pinned by version and checksum."""

    name: str
    version: str
    sha256: str
    """Of the amd64 package."""
    suite: str = ""
    """The release that has it; "": this machine's, which may have another version by now, whose signature apt checks."""


def programs(package: Package, *names: str) -> tuple[Path, ...]:
    """The programs ``names`` of ``package``: those on PATH if all are there, else fetched, once a machine.

    Raises:
        AptMissing: they are not on PATH, and there is no apt.
        PackageUnavailable: apt does not give the package, or another one.
    """
    installed = [shutil.which(name) for name in names]
    if all(installed):
        return tuple(Path(program) for program in installed if program)
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise AptMissing(package.name)
    kept = cache_dir() / package.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(kept.with_name(f"{package.name}.lock")):
        if not kept.is_dir():
            _fetch(package, kept)
    return tuple(kept / "usr/bin" / name for name in names)


def _fetch(package: Package, kept: Path) -> None:
    with TemporaryDirectory(dir=kept.parent) as made:
        work = Path(made)
        for part in ("lists/partial", "cache/archives/partial"):
            (work / part).mkdir(parents=True)
        apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={work}/lists", "-o", f"Dir::Cache={work}/cache"]
        if package.suite:
            (work / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_archive()} {package.suite} main\n")
            apt += ["-o", f"Dir::Etc::SourceList={work}/sources.list", "-o", "Dir::Etc::SourceParts=-"]
        # One broken source among many is not our business: what counts is whether the package comes.
        _run([*apt, "update"], work)
        printed = _run([*apt, "download", f"{package.name}={package.version}"], work).stderr
        if not (pinned := list(work.glob("*.deb"))) and not package.suite:
            printed += _run([*apt, "download", package.name], work).stderr
        fetched = list(work.glob("*.deb"))
        if not fetched or any(hashlib.sha256(file.read_bytes()).hexdigest() != package.sha256 for file in pinned):
            raise PackageUnavailable(package.name, package.version, printed.splitlines())
        subprocess.run(["dpkg", "-x", fetched[0], work / "unpacked"], check=True)
        (work / "unpacked").rename(kept)


def _archive() -> str:
    """The address of the archive that this machine's apt reads Debian from; "" if it reads another distribution."""
    listed = _run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"], Path.cwd()).stdout
    return next((line.removeprefix("Debian ") for line in listed.splitlines() if line.startswith("Debian ")), "")


def _run(command: list[str], directory: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.run(command, cwd=directory, env=environment, check=False, capture_output=True, text=True)
