"""What of the set-aside list is shown, and in which groups."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from streams.operations.set_aside_list import SetAsideItem
from streams.operations.trouble_class import TroubleClass

AGES: Final = {"": 0, "1h": 3_600_000, "1d": 86_400_000, "7d": 604_800_000}
"""Least ages, in milliseconds, by the word that stands for them in the page's address."""
KINDS: Final = ("dead letter", "parked", "held", "frozen", "removals")
MOST_SHOWN: Final = 50
"""Things of one group that are listed; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Group:
    """Everything with one kind and code, the oldest first; ``total`` counts removals one by one."""

    items: list[SetAsideItem]
    total: int

    @property
    def first(self) -> SetAsideItem:
        """The oldest."""
        return self.items[0]


@dataclass(frozen=True, slots=True)
class SetAsideFilter:
    """What was chosen; empty: everything."""

    kind: str = ""
    cause: str = ""
    code: str = ""
    age: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "SetAsideFilter":
        """What the page's address says; words that mean nothing choose nothing."""
        kind, cause, age = given.get("kind", ""), given.get("cause", ""), given.get("age", "")
        return cls(
            kind if kind in KINDS else "",
            cause if cause in set(TroubleClass) else "",
            given.get("code", "")[:80],
            age if age in AGES else "",
        )

    @property
    def given(self) -> bool:
        """Whether anything was chosen."""
        return bool(self.kind or self.cause or self.code or self.age)

    def with_(self, **changed: str) -> str:
        """The page's address with another choice."""
        chosen = {name: getattr(self, name) for name in ("kind", "cause", "code", "age")} | changed
        query = urlencode({name: value for name, value in chosen.items() if value})
        return f"/set-aside?{query}" if query else "/set-aside"

    def groups(self, items: list[SetAsideItem], now: int) -> list[Group]:
        """What was chosen, by kind and code, the largest group first."""
        found: dict[tuple[str, str], list[SetAsideItem]] = {}
        for item in items:
            if self._matches(item, now):
                found.setdefault((item.kind, item.code), []).append(item)
        groups = [Group(group, sum(item.count for item in group)) for group in found.values()]
        return sorted(groups, key=lambda group: group.total, reverse=True)

    def _matches(self, item: SetAsideItem, now: int) -> bool:
        return (
            self.kind in ("", item.kind)
            and self.cause in ("", item.trouble.value)
            and self.code in ("", item.code)
            and now - item.since >= AGES[self.age]
        )
