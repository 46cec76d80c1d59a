"""One version: the product, the testkit, the images and the change log say the same."""

import re
import tomllib
from typing import Any

from tests.stack.conftest import ROOT


def project(path: str) -> dict[str, Any]:
    """The ``[project]`` table of a distribution."""
    found: dict[str, Any] = tomllib.loads((ROOT / path).read_text())["project"]
    return found


VERSION = project("pyproject.toml")["version"]


def test_the_testkit_has_the_product_s_version_and_needs_exactly_that() -> None:
    testkit = project("testkit/pyproject.toml")
    assert testkit["version"] == VERSION
    assert testkit["dependencies"] == [f"owdd[testkit]=={VERSION}"]
    assert testkit["requires-python"] == project("pyproject.toml")["requires-python"]


def test_the_change_log_begins_with_it() -> None:
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == VERSION
    assert released == sorted(released, key=lambda version: [int(part) for part in version.split(".")], reverse=True)


def test_the_stack_s_images_carry_it() -> None:
    tags = re.findall(r"image: (owdd[\w-]*):(\S+)", (ROOT / "docker-compose.yml").read_text())
    assert set(tags) == {("owdd", VERSION), ("owdd-testkit", VERSION)}
