"""What the example's Alertmanager keeps back, because something upstream fires.

Debian's Alertmanager runs only where it is installed as root, so its rule is applied here: an alert is kept back if another
one fires that a rule names as its source, and both agree in the labels of ``equal``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Labels = Mapping[str, str]

_MATCHER = re.compile(r'\s*(\w+)\s*(=~|!~|!=|=)\s*"?([^"]*)"?\s*')


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label, as ``alertname =~ "A|B"``."""

    label: str
    operator: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Matcher":
        """Read one. Raises ValueError."""
        found = _MATCHER.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no matcher")
        return cls(*found.groups())

    def holds(self, labels: Labels) -> bool:
        """Whether it holds; a label that is missing is empty."""
        value = labels.get(self.label, "")
        same = value == self.value if self.operator in ("=", "!=") else re.fullmatch(self.value, value) is not None
        return same != self.operator.startswith("!")


@dataclass(frozen=True, slots=True)
class Inhibition:
    """One rule."""

    sources: tuple[Matcher, ...]
    targets: tuple[Matcher, ...]
    equal: tuple[str, ...]

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> "Inhibition":
        """As Alertmanager's file has it. Raises ValueError."""
        sources, targets = (
            tuple(Matcher.parse(text) for text in rule[name]) for name in ("source_matchers", "target_matchers")
        )
        return cls(sources, targets, tuple(rule.get("equal", ())))

    def keeps_back(self, labels: Labels, firing: Iterable[Labels]) -> bool:
        """Whether an alert with ``labels`` is kept back while ``firing`` are there."""
        if not _all(self.targets, labels):
            return False
        return any(
            _all(self.sources, other)
            # What is both cannot keep back itself, nor another that is both.
            and not (_all(self.sources, labels) and _all(self.targets, other))
            and all(labels.get(name, "") == other.get(name, "") for name in self.equal)
            for other in firing
        )


def _all(matchers: Iterable[Matcher], labels: Labels) -> bool:
    return all(matcher.holds(labels) for matcher in matchers)
