"""Replays of captured records: what an operator selects, what ingest is asked to read back, and how far a run is.

Nothing here names a person: keys and addresses are keyed hashes.
"""

from typing import Literal, TypeAlias

import msgspec

RUNS_PARTITION = 0
"""The partition of topic ``replay_runs`` that holds the runs: they are few."""

RunState: TypeAlias = Literal["running", "paused", "cancelled", "done"]
Steering: TypeAlias = Literal["run", "pause", "cancel"]


class ReplayRequest(msgspec.Struct, frozen=True, gc=False):
    """Ingest reads these records of one captured partition again.

    Attributes:
        run: the run that asks.
        topic: the captured topic.
        partition: its partition.
        offsets: the newest record of each row, in rising order, of those below ``until``.
        until: up to here newer versions of the rows were looked for.
    """

    run: str
    topic: str
    partition: int
    offsets: list[int]
    until: int


class ReplaySelection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which captured rows: those with a record to which everything here applies. None, or nothing, is no condition.

    Attributes:
        tables: names of tables, without database and schema.
        topic: one captured topic.
        partition: one partition of each topic.
        first: lowest offset.
        last: highest offset.
        since: earliest append time (epoch ms).
        until: latest append time (epoch ms).
        keys: keyed hashes of the row's key, of one of its columns, or of an address that the row names.
        order: the order to which the row belongs, by its id.
        customer: the customer to whom the row belongs, by its id.
        dead_letters: only rows that have an open dead letter of ingest, with one of these codes; empty: whatever the code.
    """

    tables: tuple[str, ...] = ()
    topic: str | None = None
    partition: int | None = None
    first: int | None = None
    last: int | None = None
    since: int | None = None
    until: int | None = None
    keys: tuple[str, ...] = ()
    order: int | None = None
    customer: int | None = None
    dead_letters: tuple[str, ...] | None = None


class ReplayRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its process writes it down, under its id in topic ``replay_runs``.

    Attributes:
        id: names the run.
        by: who started it.
        began: when (epoch ms).
        selection: the rows.
        rate: rows a second, at most.
        rows: how many were selected when it was last scanned.
        sent: how many ingest was asked for.
        state: ``running`` is also said of a run whose process has died.
        done: by ``topic/partition`` the offset below which everything was asked for.
    """

    id: str
    by: str
    began: int
    selection: ReplaySelection
    rate: float
    rows: int = 0
    sent: int = 0
    state: RunState = "running"
    done: dict[str, int] = {}


class ReplaySteering(msgspec.Struct, frozen=True):
    """What an operator wants of a run, under ``<id>/steering`` in topic ``replay_runs``."""

    wanted: Steering
    by: str
    at: int


write_request = msgspec.json.Encoder().encode
"""The value of a record of topic ``replays``; its key is the run's id."""
read_request = msgspec.json.Decoder(ReplayRequest).decode
"""What such a record asks for; raises msgspec.DecodeError if it asks for nothing."""
write_run = msgspec.json.Encoder().encode
"""The value of a record of topic ``replay_runs``, of a run or of its steering."""
read_run = msgspec.json.Decoder(ReplayRun).decode
"""A run; raises msgspec.DecodeError if it is none."""
read_steering = msgspec.json.Decoder(ReplaySteering).decode
"""What is wanted of a run; raises msgspec.DecodeError if it says nothing."""

_STEERING = b"/steering"


def run_key(run: str) -> bytes:
    """The key of a run's own record."""
    return run.encode()


def steering_key(run: str) -> bytes:
    """The key of what is wanted of a run: of its own, for its process writes the other one all the time."""
    return run.encode() + _STEERING


def is_steering(key: bytes) -> bool:
    """Whether a record under ``key`` says what is wanted of a run."""
    return key.endswith(_STEERING)
