"""What would change in Dotdigital, as ``owdd plan`` and ``owdd replay rebuild`` work it out and print it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.core.clock import SystemClock
from streams.core.text import age
from streams.dispatch.outbox.tasks import Family, Work
from streams.mapping import Mapping as SiteMapping
from streams.operations.delivery_effort import Effort, effort
from streams.operations.generation_diff import Differences, Examples, RecentBuyers, differences
from streams.settings import Settings

Show = Annotated[int, typer.Option(min=0, max=1_000, help="Show so many of the differences, the first.")]
ShowPersonalData = Annotated[
    bool, typer.Option("--show-personal-data", help="Addresses, not their keyed hashes, and what differs in each field.")
]

_NO_BUDGET = "no budget is set (OWDD_BUDGET_HIGH and its siblings), and Dotdigital's own limit makes it longer"


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs, and what it takes to send it.

    ``factors``: of a sample, for how many each of a family stands.
    """

    found: Differences
    effort: Effort
    factors: Mapping[Family, float] | None = None

    @property
    def summary(self) -> str:
        """In a sentence or two."""
        if not self.found.differing:
            return "nothing differs."
        takes = f"{self.effort.single_calls:,} single calls and {self.effort.imports:,} imports, at least"
        sampled = "" if self.factors is None else " of the sample"
        budget = "" if self.effort.limited else f" ({_NO_BUDGET})"
        count = f"{self.found.differing:,} of {self.found.compared:,} deliveries{sampled}"
        return f"{count} differ. To send what differs takes {takes} {age(self.effort.seconds)}{budget}."

    def facts(self) -> dict[str, Any]:
        """For programs."""
        found, changes = self.found, dict[str, dict[str, int]]()
        for (family, word), count in sorted(found.changes.items()):
            changes.setdefault(family.label, {})[word] = count
        return {
            "compared": found.compared,
            "differing": found.differing,
            "changes": changes,
            "list_places": dict(found.places),
            "fields": {family.label: dict(counts) for family, counts in sorted(found.fields.items()) if counts},
            "examples": found.examples,
            "effort": asdict(self.effort) | {"calls": self.effort.calls},
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """A change from the mapping that is in force (``now``) to a ``new`` one."""

    settings: Settings
    now: SiteMapping
    new: SiteMapping
    examples: Examples

    @property
    def lists(self) -> RecentBuyers:
        """Who is on the recent buyers' list at this moment, by either mapping."""
        return RecentBuyers.of(self.settings, self.now, self.new, SystemClock().now_ms() / 1000)

    async def against(self, generation: int) -> Compared:
        """What a generation under the new mapping would change.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        return self.compared(await differences(self.settings, generation, self.lists, self.examples))

    def compared(self, found: Differences, factors: Mapping[Family, float] | None = None) -> Compared:
        """What differs, with what it takes; ``factors`` as there."""
        due: dict[Work, int] = {}
        for (family, work), count in found.due.items():
            due[work] = due.get(work, 0) + round(count * (1.0 if factors is None else factors[family]))
        return Compared(found, effort(self.settings, self.new, due), factors)


def print_differences(compared: Compared) -> None:
    """Tables for people: of a sample also about how many there are in all."""
    found, factors = compared.found, compared.factors
    counts: list[tuple[Family, str, int]] = [
        (family, f"{family.label} {word}", count) for (family, word), count in sorted(found.changes.items())
    ]
    counts += [(Family.CONTACT, f"list place {change}", count) for change, count in sorted(found.places.items())]
    if factors is None:
        output.print_table(("what", "count"), [(what, f"{count:,}") for _, what, count in counts])
    else:
        columns = ("what", "in the sample", "about, in all")
        output.print_table(columns, [(what, f"{count:,}", f"{count * factors[of]:,.0f}") for of, what, count in counts])
    fields = [
        (family.label, name, f"{count:,}")
        for family, names in sorted(found.fields.items())
        for name, count in sorted(names.items())
    ]
    output.print_table(("of", "field", "count"), fields)
    output.print_table(("whose", "what", "fields"), [tuple(example.values()) for example in found.examples])
