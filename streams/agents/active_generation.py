"""Which generation of the joins is active, as topic ``generations`` says: the one whose state is in force."""

from aiokafka import ConsumerRecord, TopicPartition

from streams.kafka.reader import follow
from streams.kafka.security import KafkaConfig
from streams.messages.generations import ACTIVATION_KEY, FIRST, PARTITION, read_activation
from streams.messages.topics import Topics
from streams.settings import Settings


class ActiveGeneration:
    """Follows the topic, outside every consumer group: a worker learns of an activation within moments."""

    def __init__(self, settings: Settings) -> None:
        self._kafka = KafkaConfig.of(settings)
        self._place = TopicPartition(Topics.of(settings.app_id).generations, PARTITION)
        self._own = settings.generation
        self._newest = FIRST
        self._known = False

    def is_own(self) -> bool:
        """Whether it is this worker's; until the topic was read it is not known, and taken for another one."""
        return self._known and self._newest.generation == self._own

    async def run(self) -> None:
        """Follow it for ever.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer at the start.
            msgspec.DecodeError: an activation says nothing.
        """
        await follow(self._kafka, self._place, self._apply, self._all_read)

    def _apply(self, record: ConsumerRecord) -> None:
        if record.key == ACTIVATION_KEY:
            self._newest = FIRST if record.value is None else read_activation(record.value)

    def _all_read(self) -> None:
        self._known = True
