"""From a row event to its changes by destination, without erased people, and with the erasures that the ERP requests."""

from streams.capture.envelope import RowEvent
from streams.domain.digester import Digester
from streams.ingest.batch import Batch
from streams.ingest.consent_words import ConsentWords
from streams.ingest.erased_addresses import ErasureFeed
from streams.ingest.erasing import ErasureFlagColumn, without_erased
from streams.ingest.router import Routed, Router
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping
from streams.messages.changes import EVERYWHERE, partition_of
from streams.messages.erasure_requests import erasure_of
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from streams.settings import Settings


class RowChanges:
    """Adds the changes of row events to a batch; :attr:`erased` must be open meanwhile."""

    def __init__(self, settings: Settings, mapping: Mapping, metrics: Metrics) -> None:
        self._topics = Topics.of(settings.app_id, settings.generation)
        self._partitions = settings.partitions
        self._router = Router(mapping, self._topics, metrics.dates_ignored)
        self._flags = ErasureFlagColumn(mapping)
        self._consent_words = ConsentWords(mapping, metrics)
        self._emptied = metrics.erased.labels("ingest")
        self.erased = ErasureFeed(
            KafkaConfig.of(settings), self._topics.erasures, settings.partitions, Digester(*settings.erasure_keys)
        )

    def add(self, event: RowEvent, caused_at: int, batch: Batch) -> list[Routed]:
        """Add what ``event`` amounts to, and return it, without erasures. ``caused_at`` is its append time in epoch ms.

        Raises:
            RecordError: the row cannot be read; nothing of its changes was added.
        """
        # All its changes are computed before any is added: a record is either processed or dead-lettered, never both.
        routed = list(self._router.route(event, caused_at))
        self._consent_words.note(event)
        for address in self._flags.addresses_to_erase(event):
            if not self.erased.erased(address):
                self._erase(address, caused_at, batch)
        if self.erased:
            routed = list(without_erased(routed, self.erased, self._emptied))
        for topic, change in routed:
            everywhere = change.key == EVERYWHERE
            for partition in range(self._partitions) if everywhere else (partition_of(change.key, self._partitions),):
                batch.changes[topic, partition].append(change)
        return routed

    def _erase(self, address: str, caused_at: int, batch: Batch) -> None:
        """The ERP's flag: as ``owdd erase`` would."""
        digest = self.erased.digest(address)
        self.erased.add(digest)
        batch.digests.append(digest)
        batch.erasures.append(erasure_of(address, digest, caused_at))
