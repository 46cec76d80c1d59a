"""The Dockerfile: linted by hadolint, held to rules of our own, and its build stage run step by step without Docker."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from streams.cli.exit_codes import ExitCode
from streams.settings import Settings
from tests.stack.conftest import ROOT
from tests.stack.test_version import VERSION

DOCKERFILE = ROOT / "Dockerfile"
TEXT = DOCKERFILE.read_text()
TESTKIT_COMMANDS = {"sandbox", "simulate", "verify", "demo", "kafka"}


@dataclass(frozen=True)
class Stage:
    """One ``FROM`` and the instructions after it."""

    name: str
    image: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def values(self, instruction: str) -> list[str]:
        """What follows each occurrence of ``instruction``."""
        return [value for name, value in self.steps if name == instruction]


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    """The stages by name, first to last."""
    found: list[Stage] = []
    for step in DockerfileParser(path=str(DOCKERFILE)).structure:
        if step["instruction"] == "FROM":
            image, _, name = step["value"].split()
            found.append(Stage(name, image))
        elif step["instruction"] not in ("COMMENT", "ARG"):
            found[-1].steps.append((step["instruction"], step["value"]))
    return {stage.name: stage for stage in found}


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, "--failure-threshold", "ignore", DOCKERFILE], check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


class TestRules:
    def test_all_stages_stand_on_one_pinned_slim_python_that_we_support(self, stages: dict[str, Stage]) -> None:
        assert {stage.image for stage in stages.values()} == {"${PYTHON_IMAGE}", "build", "base"}
        found = re.search(r"^ARG PYTHON_IMAGE=python:(3\.\d+)\.\d+-slim-bookworm(@sha256:[0-9a-f]{64})?$", TEXT, re.MULTILINE)
        assert found is not None
        assert found[1] in ("3.11", "3.12", "3.13")

    def test_the_product_is_what_is_built_unless_another_target_is_named(self, stages: dict[str, Stage]) -> None:
        assert list(stages) == ["build", "build-testkit", "base", "testkit", "runtime"]

    @pytest.mark.parametrize(("name", "build"), [("runtime", "build"), ("testkit", "build-testkit")])
    def test_an_image_installs_nothing_and_takes_only_the_environment_along(
        self, stages: dict[str, Stage], name: str, build: str
    ) -> None:
        image, base = stages[name], stages["base"]
        assert image.image == "base"
        assert image.values("COPY") == [f"--from={build} /opt/owdd /opt/owdd"]
        assert base.values("COPY") == image.values("RUN") == []
        assert not re.search(r"\b(apt|apt-get|pip|gcc|cc|make)\b", " ".join(base.values("RUN")))

    def test_it_runs_as_nobody_special_with_owdd_as_process_one(self, stages: dict[str, Stage]) -> None:
        base = stages["base"]
        assert base.values("USER") == ["10001:10001"]
        assert [json.loads(value) for value in base.values("ENTRYPOINT")] == [["owdd"]]
        assert json.loads(*stages["runtime"].values("CMD")) == ["run"]
        assert json.loads(*stages["testkit"].values("CMD")) == ["--help"]
        assert base.values("STOPSIGNAL") == ["SIGTERM"]

    def test_docker_asks_whether_it_is_alive(self, stages: dict[str, Stage]) -> None:
        (check,) = stages["runtime"].values("HEALTHCHECK")
        port = Settings.model_fields["metrics_port"].default
        assert json.loads(check[check.index("[") :]) == [
            *("python", "-I", "-S", "/opt/owdd/probe.py"),
            f"http://127.0.0.1:{port}/health/live",
        ]

    def test_python_s_own_library_is_compiled_ahead(self, stages: dict[str, Stage]) -> None:
        assert "python -m compileall -q" in " ".join(stages["base"].values("RUN"))

    def test_every_variable_of_ours_is_a_setting(self, stages: dict[str, Stage]) -> None:
        (given,) = stages["base"].values("ENV")
        values = dict(re.findall(r"OWDD_(\w+)=(\S+)", given))
        Settings.model_validate({name.lower(): value for name, value in values.items()})
        assert {name.lower() for name in values} <= set(Settings.model_fields)
        assert f"--owner owdd --group owdd --mode 0750 {values['DATA_DIR']}" in " ".join(stages["base"].values("RUN"))

    def test_the_lock_of_the_build_is_what_the_package_s_build_asks_for(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        assert project["dependency-groups"]["build"] == project["build-system"]["requires"]

    def test_the_build_sees_what_it_copies_and_little_else(self, stages: dict[str, Stage]) -> None:
        lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
        assert lines[0] == "*"
        seen = {line[1:].rstrip("/") for line in lines if line.startswith("!")}
        builds = [value for name in ("build", "build-testkit") for value in stages[name].values("COPY")]
        copied = {source.rstrip("/") for value in builds for source in value.split()[:-1]}
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

    @property
    def work(self) -> Path:
        """The directory in which the image is built."""
        return self.root / "build"

    def run(self, stage: Stage) -> None:
        """Run the steps of ``stage`` in order."""
        work = self.work
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
def built(stages: dict[str, Stage], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The build stage, done."""
    root = tmp_path_factory.mktemp("image")
    tools = root / "usr" / "bin"
    tools.mkdir(parents=True)
    # What python:slim has of what the steps use: a shell's tools and Python, and no compiler.
    (tools / "python").symlink_to(getattr(sys, "_base_executable", sys.executable))
    (tools / "install").symlink_to(shutil.which("install") or "/usr/bin/install")
    rehearsal = Rehearsal(root, tools / "python")
    rehearsal.run(stages["build"])
    yield rehearsal
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def with_testkit(built: Rehearsal, stages: dict[str, Stage], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The stage that adds the testkit, done on a copy of the one before."""
    root = tmp_path_factory.mktemp("testkit-image") / "root"
    shutil.copytree(built.root, root, symlinks=True)
    rehearsal = Rehearsal(root, built.python, dict(built.variables))
    rehearsal.run(stages["build-testkit"])
    yield rehearsal
    shutil.rmtree(root)


class TestBuild:
    def test_the_program_runs_from_the_environment_alone(self, built: Rehearsal, tmp_path: Path) -> None:
        shown = owdd(built, tmp_path, "--help")
        assert "Orderwise to Dotdigital" in shown
        owdd(built, tmp_path, "run", "--help")
        assert owdd(built, tmp_path, "--version") == f"owdd {VERSION}\n"
        assert "Kafka at 127.0.0.1:1" in owdd(
            built, tmp_path, "doctor", code=ExitCode.CHANGES, OWDD_KAFKA_BOOTSTRAP="127.0.0.1:1"
        )
        settings = json.loads(owdd(built, tmp_path, "config", "show", "--json"))
        assert settings["mapping"] is None, "the default mapping is part of the package"
        assert list(tmp_path.iterdir()) == [], "a command writes nothing beside the state directory"

    def test_the_product_has_nothing_of_the_testkit(self, built: Rehearsal, tmp_path: Path) -> None:
        there = {path.name.lower() for path in packages(built).iterdir()}
        assert "streams" in there
        assert not [name for name in there if name.startswith(("testkit", "owdd_testkit", "psycopg", "pymssql"))]
        assert not TESTKIT_COMMANDS & commands(built, tmp_path)
        assert {"run", "topics"} <= commands(built, tmp_path)

    def test_the_testkit_adds_its_commands_and_changes_nothing_else(
        self, built: Rehearsal, with_testkit: Rehearsal, tmp_path: Path
    ) -> None:
        assert commands(with_testkit, tmp_path) >= commands(built, tmp_path) | TESTKIT_COMMANDS
        product, testkit = versions(built), versions(with_testkit)
        assert {name: testkit[name] for name in product} == product
        assert testkit["owdd_testkit"] == product["owdd"]
        assert {"psycopg", "pymssql"} <= set(testkit)

    def test_both_wheels_hold_all_their_modules_and_no_others(self, with_testkit: Rehearsal) -> None:
        for package, pattern in (("streams", "owdd-*.whl"), ("testkit", "owdd_testkit-*.whl")):
            (wheel,) = (with_testkit.work / "dist").glob(pattern)
            held = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
            assert held == {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")}

    def test_the_probe_stands_where_the_checks_look_for_it(self, built: Rehearsal) -> None:
        probe = built.environment / "probe.py"
        assert probe.read_text() == (ROOT / "streams" / "observability" / "probe.py").read_text()

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


def versions(built: Rehearsal) -> dict[str, str]:
    """Version of every distribution that is installed."""
    stems = [path.name.removesuffix(".dist-info") for path in packages(built).glob("*.dist-info")]
    return dict(stem.rsplit("-", 1) for stem in stems)


def commands(built: Rehearsal, directory: Path) -> set[str]:
    """The commands that ``owdd --help`` names."""
    return set(re.findall(r"^│ ([a-z][a-z-]+) ", owdd(built, directory, "--help"), re.MULTILINE))


def owdd(built: Rehearsal, directory: Path, *arguments: str, code: ExitCode = ExitCode.OK, **variables: str) -> str:
    """What the installed program prints in an environment that has ``variables`` alone."""
    # Not by its script: in a copy of an environment that still names the interpreter of the first.
    program = [str(built.environment / "bin" / "python"), "-m", "streams"]
    environment = {"PATH": str(built.environment / "bin")} | variables
    done = subprocess.run([*program, *arguments], cwd=directory, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
