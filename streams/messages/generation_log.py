"""Topic ``generations`` as it stands: which generations there are, which is active, and what partitions have reported."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.generations import (
    ACTIVATION_KEY,
    FIRST,
    PARTITION,
    Activation,
    Generation,
    PartitionReport,
    is_generation,
    is_report,
    read_activation,
    read_generation,
    read_report,
)
from streams.messages.topics import Topics
from streams.settings import Settings


@dataclass(slots=True)
class KnownGenerations:
    """What the topic says; ``reports`` by word and number: the partitions of the outbox."""

    generations: dict[int, Generation] = field(default_factory=dict)
    activation: Activation = FIRST
    reports: dict[tuple[str, int], dict[int, PartitionReport]] = field(default_factory=dict)

    @property
    def working(self) -> list[int]:
        """Every generation whose joins may work, the first one included until it is dropped."""
        first = [] if 0 in self.generations and self.generations[0].dropped else [0]
        return first + sorted(number for number, known in self.generations.items() if number and not known.dropped)

    @property
    def returnable(self) -> list[int]:
        """Every generation that took effect once, does not now, and whose joins may work."""
        return [
            one for one in self.working if one != self.activation.generation and (not one or self.generations[one].activated)
        ]

    @property
    def former(self) -> int | None:
        """The one of them that took effect before the active one."""
        if self.activation.former is not None:
            return self.activation.former if self.activation.former in self.returnable else None
        ever = [(self.generations[one].activated if one else 0, one) for one in self.returnable]
        return max(ever)[1] if ever else None

    def is_switching(self, partitions: int) -> bool:
        """Whether some of the outbox's partitions have not carried out the newest activation yet."""
        newest = self.activation.number
        return bool(newest) and self.reported("switched", newest) < partitions

    def reported(self, word: str, number: int) -> int:
        """How many partitions have reported."""
        return len(self.reports.get((word, number), ()))


async def known_generations(settings: Settings) -> KnownGenerations:
    """Read the topic.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    topic = Topics.of(settings.app_id).generations
    # The latest of each key counts; without a value it was forgotten, with the outbox that it was about.
    return known_from({record.key: record.value async for record in read_topic(KafkaConfig.of(settings), topic, [PARTITION])})


def known_from(records: Mapping[bytes, bytes | None]) -> KnownGenerations:
    """What the newest record of each key says."""
    known = KnownGenerations()
    for key, value in records.items():
        if value is None:
            continue
        if is_generation(key):
            generation = read_generation(value)
            known.generations[generation.number] = generation
        elif is_report(key):
            report = read_report(value)
            known.reports.setdefault((report.word, report.number), {})[report.partition] = report
        elif key == ACTIVATION_KEY:
            known.activation = read_activation(value)
    return known
