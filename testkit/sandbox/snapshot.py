"""Keeps the account over a restart: one JSON file, written on shutdown and read on start.

A killed sandbox loses what happened since its last orderly stop. The request log and the faults are never kept: a
restart is how one gets rid of the latter.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from testkit.sandbox.codec import dumps, loads
from testkit.sandbox.datafields import DataField
from testkit.sandbox.store import Contact, Store

STATE_FILE = "sandbox.json"
_PARTS = frozenset(("lists", "insight", "programs", "jobs", "limits"))


def save(store: Store, directory: Path) -> None:
    """Write the store to `directory`, all or nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    state = {
        "nextId": store.next_id,
        "dataFields": [asdict(made) for made in store.fields],
        "contacts": [asdict(contact) | {"preferences": list(contact.preferences.items())} for contact in store],
        "events": store.events,
        **{name: getattr(store, name).dump() for name in _PARTS},
    }
    draft = directory / f"{STATE_FILE}.tmp"
    draft.write_bytes(dumps(state))
    draft.replace(directory / STATE_FILE)


def load(store: Store, directory: Path) -> None:
    """Fill the store from `directory` if a state was saved there. Raises BadJsonError or KeyError on a foreign file."""
    path = directory / STATE_FILE
    if not path.exists():
        return
    state = cast("dict[str, Any]", loads(path.read_bytes()))
    store.restore(
        state["nextId"],
        [DataField(**row) for row in state["dataFields"]],
        [Contact(**(row | {"preferences": dict(row["preferences"])})) for row in state["contacts"]],
    )
    # A file that an older sandbox wrote has contacts and data fields only.
    store.events = state.get("events", [])
    for name in _PARTS & state.keys():
        getattr(store, name).restore(state[name])
