"""The table of transitions in the docstring of the delivery task, as a test can ask it."""

from itertools import product

from streams.dispatch.outbox import delivery_task
from streams.dispatch.outbox.delivery_task import Lease, TaskState
from streams.messages.deliveries import (
    ContactCreated,
    ContactUpdated,
    CreationAttempted,
    DeliveryEvent,
    ImportEnded,
    ImportStarted,
    PartitionResumed,
    TaskParked,
)

QUEUED = (TaskState.WAITING, TaskState.BLOCKED, TaskState.READY)


def transitions() -> dict[str, set[tuple[TaskState, TaskState]]]:
    """The table in the module's docstring: what each event may do."""
    doc = delivery_task.__doc__ or ""
    rows = [line.strip("|").split("|") for line in doc.splitlines() if line.startswith("|") and "---" not in line]
    found: dict[str, set[tuple[TaskState, TaskState]]] = {}
    for event, before, after in (map(str.strip, row[:3]) for row in rows if len(row) == 4):
        if event != "event":
            found.setdefault(event, set()).update(product(_states(before), _states(after)))
    return found


def _states(cell: str) -> list[TaskState]:
    names = cell.replace("queued", ", ".join(QUEUED)).split(", ")
    return [TaskState(name) for name in names]


TABLE = transitions()


def event_name(event: DeliveryEvent, lease: Lease | None) -> str:
    """The table's name for what reading the event does, while ``lease`` holds the task."""
    match event:
        case ImportStarted():
            return "import started"
        case ImportEnded():
            return "import over"
        case TaskParked():
            return "parked"
        case PartitionResumed():
            return "blocked"
        case CreationAttempted():
            return "checkpoint"
        case ContactCreated() | ContactUpdated() if event.import_id is not None:
            return "reported" if lease in (None, Lease(event.import_id)) else "reported late"
        case _:
            return "delivered"
