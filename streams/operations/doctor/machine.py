"""This machine and its settings: keys, variables, state directory, disk, open files."""

import os
import shutil
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from streams.core.errors import OwddError
from streams.operations.doctor.findings import Finding, Patient, failed, ok
from streams.operations.start_checks import check_open_files, check_settings
from streams.settings import unknown_variables

_LEAST_BYTES = 500 * 2**20
_FEW_BYTES = 5 * 2**30


async def machine(patient: Patient) -> AsyncIterator[Finding]:
    """What needs no other system."""
    settings = patient.settings
    yield ok("versions", f"owdd {version('owdd')}, Python {python_version()}, {len(patient.mapping.tables)} mapped tables")
    # Without its port, which a worker on this machine has taken rightly.
    yield _checked("keys", lambda: check_settings(settings.model_copy(update={"metrics_port": 0})), "keys are the site's own")
    if not settings.erasure_key.get_secret_value():
        fix = "Set it before the first erasure; a changed OWDD_HASH_KEY would bring erased people back"
        yield Finding("keys", "warn", "OWDD_ERASURE_KEY is empty: erasures are recognised by OWDD_HASH_KEY", fix)
    for name, nearest in unknown_variables(os.environ).items():
        fix = f"Did you mean {nearest}?" if nearest else "Remove it"
        yield Finding("variables", "warn", f"{name} is not a setting, and is ignored", fix)
    yield _checked("open files", lambda: check_open_files(settings.partitions), "as many as the state may need")
    yield _directory(settings.data_dir)
    yield _disk(settings.data_dir)


def _checked(check: str, look: Callable[[], None], fine: str) -> Finding:
    try:
        look()
    except OwddError as error:
        return failed(check, error)
    return ok(check, fine)


def _directory(directory: Path) -> Finding:
    nearest = _existing(directory)
    if not nearest.is_dir():
        return Finding("data directory", "fail", f"{nearest} is a file", "Set OWDD_DATA_DIR to a directory")
    if not os.access(nearest, os.W_OK | os.X_OK):
        fix = "Give the worker's user the right to write there, or set OWDD_DATA_DIR"
        return Finding("data directory", "fail", f"{nearest} cannot be written by this user", fix)
    return ok("data directory", f"{directory} can be written")


def _disk(directory: Path) -> Finding:
    free = shutil.disk_usage(_existing(directory)).free
    shown = f"{free / 2**30:.1f} GiB are free for {directory}"
    if free < _LEAST_BYTES:
        return Finding("disk", "fail", shown, "A worker ends when the disk is full: make room, or move OWDD_DATA_DIR")
    if free < _FEW_BYTES:
        return Finding("disk", "warn", shown, "State takes about 1 kB a contact, and twice that while it is compacted")
    return ok("disk", shown)


def _existing(path: Path) -> Path:
    path = path.absolute()
    return path if path.exists() or path == path.parent else _existing(path.parent)
