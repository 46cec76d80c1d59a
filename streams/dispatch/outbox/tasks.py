"""Tasks: what can be sent on its own, named by the state row that remembers it.

| family | task key | what it is |
|---|---|---|
| contact | ``e<address>`` | data fields, status, place on the recent buyers' list; or an erasure |
| record | ``r<address>NUL<record key>`` | one order record of a contact |
| catalogue | ``k<variant>`` | one catalogue record |
| follow-up | ``f<address>NUL<credit note>`` | one credit note, sent to Dotdigital once |
"""

from enum import StrEnum
from typing import Final

from streams.dotdigital.errors import Limit


class Family(StrEnum):
    """The kinds of task, by the prefix of their state rows."""

    CONTACT = "e"
    RECORD = "r"
    CATALOGUE = "k"
    FOLLOW_UP = "f"

    @property
    def label(self) -> str:
        """The name in metrics and reports."""
        return self.name.lower().replace("_", "-")


class Work(StrEnum):
    """How a task can be sent, and so with which others it waits. Contacts to be created never go with those that exist."""

    EXISTING = "existing"
    NEW = "new"
    RECORD = "record"
    CATALOGUE = "catalogue"
    ALONE = "alone"
    RECORD_ALONE = "record-alone"
    LIST = "list"
    FOLLOW_UP = "follow-up"

    @property
    def area(self) -> "ApiArea":
        """The area of the API that its calls go to."""
        return _AREAS.get(self, ApiArea.CONTACTS)

    @property
    def alone(self) -> "Work":
        """How it is sent when it must not go by import."""
        return Work.RECORD_ALONE if self.area is ApiArea.INSIGHT else Work.ALONE

    @property
    def import_limit(self) -> Limit:
        """Dotdigital's limit on imports of this kind in flight."""
        return Limit.CONTACT_IMPORTS if self in (Work.EXISTING, Work.NEW) else Limit.INSIGHT_IMPORTS


class ApiArea(StrEnum):
    """The parts of Dotdigital's API that may fail by themselves. A site has events or programmes, so they are one."""

    CONTACTS = "contacts"
    INSIGHT = "insight"
    LISTS = "lists"
    FOLLOW_UPS = "follow-ups"


_AREAS: Final = {
    Work.RECORD: ApiArea.INSIGHT,
    Work.CATALOGUE: ApiArea.INSIGHT,
    Work.RECORD_ALONE: ApiArea.INSIGHT,
    Work.LIST: ApiArea.LISTS,
    Work.FOLLOW_UP: ApiArea.FOLLOW_UPS,
}

IMPORTABLE: Final = (Work.EXISTING, Work.NEW, Work.RECORD, Work.CATALOGUE)
"""What can also go by import, each kind with its like."""
SINGLY: Final = (*IMPORTABLE, Work.ALONE, Work.RECORD_ALONE, Work.LIST)
"""What can go by a call of its own. Follow-ups never do: they share calls."""


def task_of(family: Family, owner: str, part: object = None) -> str:
    """The key of a task of ``owner`` (an address or a variant); ``part`` distinguishes several of one owner."""
    return f"{family}{owner}" if part is None else f"{family}{owner}\0{part}"


def family_of(task: str) -> Family:
    """The family of a task."""
    return Family(task[0])


def owner_of(task: str) -> str:
    """The address or variant to which the task belongs; it also decides the task's partition."""
    return task[1:].partition("\0")[0]


def part_of(task: str) -> str:
    """What distinguishes the task from others of its owner; empty for a contact."""
    return task.partition("\0")[2]
