"""Reads what the account looks like at the start from a YAML file, the members of `SandboxConfig` by their names."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from testkit.sandbox.config import SandboxConfig

_SECRET = frozenset(("user", "password"))


def load_config(path: Path | None, user: str, password: str) -> SandboxConfig:
    """The configuration in `path`, or the default one without a path, for one API user.

    Raises ValueError on a file that cannot be read, an unknown member, one of the wrong type, or credentials in it.
    """
    members = {} if path is None else _members(path)
    misplaced = _SECRET & members.keys()
    if misplaced:
        raise ValueError(f"{path}: {', '.join(sorted(misplaced))} does not belong into the file")
    try:
        return TypeAdapter(SandboxConfig).validate_python({**members, "user": user, "password": password})
    except ValidationError as error:
        wrong = (": ".join((*map(str, row["loc"]), row["msg"])) for row in error.errors(include_input=False))
        raise ValueError("; ".join(wrong)) from None


def _members(path: Path) -> dict[str, object]:
    try:
        members = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if isinstance(members, dict):
        return members
    raise ValueError(f"{path} must hold a mapping")
