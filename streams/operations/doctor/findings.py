"""One line of the doctor: what was looked at, how it is, and what to do."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from streams.core.errors import OwddError
from streams.mapping import Mapping
from streams.settings import Settings

State: TypeAlias = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``check`` is stable; ``text`` says what is, ``fix`` what to do, and ``command`` the command for it, if there is one."""

    check: str
    state: State
    text: str
    fix: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined."""

    settings: Settings
    mapping: Mapping


Examination: TypeAlias = Callable[[Patient], AsyncIterator[Finding]]
"""One part of the examination; what it raises is a failure of its own."""


def ok(check: str, text: str) -> Finding:
    """It is as it should be."""
    return Finding(check, "ok", text)


def failed(check: str, error: OwddError) -> Finding:
    """The error of a check that a worker makes too."""
    text = str(error)
    if error.remedy:
        text = text.removesuffix(f". {error.remedy}")
    return Finding(check, "fail", text, error.remedy)
