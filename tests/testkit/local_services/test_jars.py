"""Jars from a Maven repository, here one of our own behind a real HTTP server."""

import gc
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from testkit.local_services import jars
from testkit.local_services.start_errors import JarsUnavailable

PROJECT = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.example</groupId><artifactId>{name}</artifactId><version>1</version>
  <dependencies>{needs}</dependencies>
</project>
"""
NEED = (
    "<dependency><groupId>org.example</groupId><artifactId>{name}</artifactId><version>1</version>"
    "<scope>{scope}</scope></dependency>"
)


@dataclass
class Repository:
    """A Maven repository on disk, and how often each of its files was asked for."""

    root: Path
    asked: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, **needs: str) -> None:
        """An artifact, and the scope of each that it needs."""
        directory = self.root / "org" / "example" / name / "1"
        directory.mkdir(parents=True)
        (directory / f"{name}-1.jar").write_text(f"classes of {name}")
        (directory / f"{name}-1.pom").write_text(project(name, **needs))


def project(name: str, **needs: str) -> str:
    """A pom."""
    return PROJECT.format(name=name, needs="".join(NEED.format(name=need, scope=scope) for need, scope in needs.items()))


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: object, repository: Repository) -> None:
        self._repository = repository
        super().__init__(*arguments, directory=str(repository.root))  # type: ignore[arg-type]

    def send_head(self):  # type: ignore[no-untyped-def]
        self._repository.asked[self.path.rsplit("/", 1)[1]] += 1
        return super().send_head()

    def log_message(self, *_: object) -> None:
        """Nothing: the test's output is for the test."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """``app`` needs ``library`` and a test framework, ``library`` needs ``base``; and an empty cache."""
    made = Repository(tmp_path / "repository")
    made.add("base")
    made.add("framework")
    made.add("library", base="runtime")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, repository=made)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OWDD_MAVEN_REPOSITORY", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OWDD_CACHE_DIR", str(tmp_path / "cache"))
        yield made
        server.shutdown()
    # jgo leaves the connection of a request that was refused to the collector.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def pom(tmp_path: Path, repository: Repository) -> Path:
    """The pom of ``app``, with its lock."""
    found = tmp_path / "app" / "pom.xml"
    found.parent.mkdir()
    found.write_text(project("app", library="runtime", framework="test"))
    lock(found, repository, "base", "library")
    return found


def lock(pom: Path, repository: Repository, *names: str) -> None:
    """Write the lock of these jars, as sha256sum would."""
    lines = [jars.checksums(repository.root / "org" / "example" / name / "1") for name in names]
    pom.with_name(jars.LOCK).write_text("".join(lines))


def test_it_brings_what_is_needed_at_run_time_and_nothing_else(pom: Path) -> None:
    progress: list[str] = []
    found = jars.resolve(pom, progress.append)
    assert {jar.name: jar.read_text() for jar in found.iterdir()} == {
        "base-1.jar": "classes of base",
        "library-1.jar": "classes of library",
    }
    assert "Fetched library-1.jar" in progress


def test_concurrent_callers_fetch_once(pom: Path, repository: Repository) -> None:
    together = threading.Barrier(4)

    def resolve(_: int) -> Path:
        together.wait()
        return jars.resolve(pom)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(resolve, range(4)))) == 1
    assert repository.asked["library-1.jar"] == 1


def test_a_changed_pom_is_resolved_anew(pom: Path, repository: Repository) -> None:
    first = jars.resolve(pom)
    assert jars.resolve(pom) == first
    pom.write_text(project("app", base="runtime"))
    lock(pom, repository, "base")
    second = jars.resolve(pom)
    assert [jar.name for jar in second.iterdir()] == ["base-1.jar"]
    assert second != first


def test_a_jar_that_is_not_the_locked_one_is_not_used(pom: Path, repository: Repository) -> None:
    (repository.root / "org" / "example" / "base" / "1" / "base-1.jar").write_text("something else")
    with pytest.raises(JarsUnavailable, match=r"not those of jars\.lock"):
        jars.resolve(pom)
    assert not [found for found in (jars.cache_dir() / "jars").iterdir() if found.name.startswith("app-") and not found.suffix]


def test_a_jar_that_nobody_has_is_named(pom: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_TRIES", 1)
    (repository.root / "org" / "example" / "base" / "1" / "base-1.jar").unlink()
    with pytest.raises(JarsUnavailable, match="base") as failed:
        jars.resolve(pom)
    assert "OWDD_MAVEN_REPOSITORY" in failed.value.do


def test_an_installation_without_poms_says_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWDD_POM_DIR", str(tmp_path))
    with pytest.raises(JarsUnavailable, match="source checkout"):
        jars.pom("broker")
