"""The Dockerfile: linted by hadolint, held to rules of our own, and its build stage run step by step without Docker."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from streams.settings import Settings
from tests.stack.conftest import ROOT

DOCKERFILE = ROOT / "Dockerfile"


@dataclass(frozen=True)
class Stage:
    """One ``FROM`` and the instructions after it."""

    image: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def values(self, instruction: str) -> list[str]:
        """What follows each occurrence of ``instruction``."""
        return [value for name, value in self.steps if name == instruction]


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    """The stages, first to last."""
    found: list[Stage] = []
    for step in DockerfileParser(path=str(DOCKERFILE)).structure:
        if step["instruction"] == "FROM":
            found.append(Stage(step["value"].split()[0]))
        elif step["instruction"] != "COMMENT":
            found[-1].steps.append((step["instruction"], step["value"]))
    return found


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, "--failure-threshold", "ignore", DOCKERFILE], check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


class TestRules:
    def test_both_stages_stand_on_one_pinned_slim_python_that_we_support(self, stages: list[Stage]) -> None:
        (image,) = {stage.image for stage in stages}
        found = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-bookworm", image)
        assert found is not None
        assert found[1] in ("3.11", "3.12", "3.13")

    def test_the_last_stage_installs_nothing_and_takes_only_the_environment_along(self, stages: list[Stage]) -> None:
        last = stages[-1]
        assert not re.search(r"\b(apt|apt-get|pip|gcc|cc|make)\b", " ".join(last.values("RUN")))
        assert last.values("COPY") == ["--from=build /opt/owdd /opt/owdd"]

    def test_it_runs_as_nobody_special_with_owdd_as_process_one(self, stages: list[Stage]) -> None:
        last = stages[-1]
        assert last.values("USER") == ["10001:10001"]
        assert [json.loads(value) for value in last.values("ENTRYPOINT") + last.values("CMD")] == [["owdd"], ["run"]]
        assert last.values("STOPSIGNAL") == ["SIGTERM"]

    def test_docker_asks_whether_it_is_alive(self, stages: list[Stage]) -> None:
        (check,) = stages[-1].values("HEALTHCHECK")
        command = json.loads(check[check.index("[") :])
        assert command[:3] == ["python", "-m", "streams.observability.probe"]
        port = Settings.model_fields["metrics_port"].default
        assert command[3] == f"http://127.0.0.1:{port}/health/live"

    def test_every_variable_of_ours_is_a_setting(self, stages: list[Stage]) -> None:
        (given,) = stages[-1].values("ENV")
        values = dict(re.findall(r"OWDD_(\w+)=(\S+)", given))
        Settings.model_validate({name.lower(): value for name, value in values.items()})
        assert {name.lower() for name in values} <= set(Settings.model_fields)
        assert f"--owner owdd --group owdd --mode 0750 {values['DATA_DIR']}" in " ".join(stages[-1].values("RUN"))

    def test_the_lock_of_the_build_is_what_the_package_s_build_asks_for(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        assert project["dependency-groups"]["build"] == project["build-system"]["requires"]

    def test_the_build_sees_what_it_copies_and_little_else(self, stages: list[Stage]) -> None:
        lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
        assert lines[0] == "*"
        seen = {line[1:].rstrip("/") for line in lines if line.startswith("!")}
        copied = {source.rstrip("/") for value in stages[0].values("COPY") for source in value.split()[:-1]}
        assert seen == copied
        assert all((ROOT / name).exists() for name in seen)


@dataclass
class Rehearsal:
    """Runs build steps in a directory: ``/opt/owdd`` and the working directory lie in it, and no compiler is on PATH."""

    root: Path
    python: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> Path:
        """Where the image's virtual environment ends up."""
        return self.root / "opt" / "owdd"

    def run(self, stage: Stage) -> None:
        """Run the steps of ``stage`` in order."""
        work = self.root / "build"
        for instruction, value in stage.steps:
            if instruction == "ENV":
                self.variables |= dict(pair.split("=", 1) for pair in value.split())
            elif instruction == "WORKDIR":
                assert value == "/build"
                work.mkdir(parents=True)
            elif instruction == "COPY":
                *sources, target = value.split()
                for source in sources:
                    _copy(ROOT / source, work / target)
            else:
                assert instruction == "RUN", instruction
                self.shell(value.replace("/opt/owdd", str(self.environment)), work)

    def shell(self, command: str, directory: Path) -> None:
        """Run one command as Docker's ``RUN`` does."""
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=directory, env=self.process(), check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def process(self) -> dict[str, str]:
        """The environment of a step. Downloads are kept on this machine, and nothing is compiled ahead: neither changes what runs."""
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG") or name.startswith("PIP_")}
        return (
            kept
            | self.variables
            | {
                "PATH": str(self.python.parent),
                "PIP_NO_CACHE_DIR": "false",
                "PIP_NO_COMPILE": "true",
            }
        )


@pytest.fixture(scope="module")
def built(stages: list[Stage], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The build stage, done."""
    root = tmp_path_factory.mktemp("image")
    tools = root / "usr" / "bin"
    tools.mkdir(parents=True)
    # What python:slim has of what the steps use: a shell's tools and Python, and no compiler.
    (tools / "python").symlink_to(getattr(sys, "_base_executable", sys.executable))
    rehearsal = Rehearsal(root, tools / "python")
    rehearsal.run(stages[0])
    yield rehearsal
    shutil.rmtree(root)


class TestBuild:
    def test_the_program_runs_from_the_environment_alone(self, built: Rehearsal, tmp_path: Path) -> None:
        shown = owdd(built, tmp_path, "--help")
        assert "Orderwise to Dotdigital" in shown
        owdd(built, tmp_path, "run", "--help")
        settings = json.loads(owdd(built, tmp_path, "config", "show", "--json"))
        assert settings["mapping"] is None, "the default mapping is part of the package"
        assert list(tmp_path.iterdir()) == [], "a command writes nothing beside the state directory"

    def test_it_has_what_the_lock_says_and_no_installer(self, built: Rehearsal) -> None:
        names = {path.name.split("-")[0].lower() for path in packages(built).glob("*.dist-info")}
        locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / "run.lock").read_text(), re.MULTILINE))
        assert names <= {name.replace("-", "_").replace(".", "_").lower() for name in locked} | {"owdd"}
        assert {"owdd", "aiokafka", "rocksdict"} <= names
        assert not list((built.environment / "bin").glob("pip*"))

    def test_it_has_no_test_no_secret_and_nothing_that_all_may_change(self, built: Rehearsal) -> None:
        installed = [path for path in built.environment.rglob("*") if not path.is_symlink()]
        assert not any(fnmatch(str(path), "*/owdd_*password*") for path in installed)
        assert not (packages(built) / "tests").exists()
        assert [path for path in installed if path.stat().st_mode & stat.S_IWOTH] == []


def packages(built: Rehearsal) -> Path:
    """Its site-packages."""
    (found,) = built.environment.glob("lib/python3.*/site-packages")
    return found


def owdd(built: Rehearsal, directory: Path, *arguments: str) -> str:
    """What the installed program says."""
    program = built.environment / "bin" / "owdd"
    environment = {"PATH": str(built.environment / "bin")}
    done = subprocess.run([program, *arguments], cwd=directory, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
