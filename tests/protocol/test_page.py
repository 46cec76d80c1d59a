"""The architecture page is the one that the protocol makes, and everything that it names is there."""

import re
from pathlib import Path

import streams
from streams.operations.architecture import architecture_page
from streams.operations.walk import WALK

SOURCE = Path(streams.__file__).parent
ROOT = SOURCE.parent


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs/architecture.md").read_text() == architecture_page(), "run make docs"


def test_nothing_is_left_to_fill_in() -> None:
    assert "{{" not in architecture_page()


def test_every_module_and_test_that_the_page_names_exists() -> None:
    named = {path.removesuffix("/") for path in re.findall(r"`((?:streams|tests)/[\w/.]+)`", architecture_page())}
    modules = {f"streams/{step.module}" for step in WALK}
    boundaries = {
        f"streams/{path.removesuffix('/')}"
        for path in re.findall(r"`((?:agents|capture|dispatch|domain|engine|ingest|messages)/[\w/.]+)`", architecture_page())
    }
    assert [path for path in sorted(named | modules | boundaries) if not (ROOT / path).exists()] == []
