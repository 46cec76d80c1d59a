"""Topics that were applied are there for the worker that is started next."""

from typing import Any
from unittest.mock import patch

from aiokafka.errors import UnknownTopicOrPartitionError

from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec
from streams.operations.topic_admin import apply_topics


class _SlowToList:
    """An admin client of a broker that learns only after some requests what its controller has created."""

    def __init__(self) -> None:
        self.asked = 0
        self._created: list[str] = []

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def list_topics(self) -> list[str]:
        return []

    async def describe_topics(self, names: list[str]) -> list[Any]:
        if names:
            self.asked += 1
        known = self._created if self.asked > 3 else []
        return [{"topic": name, "error_code": 0 if name in known else UnknownTopicOrPartitionError.errno} for name in names]

    async def create_topics(self, topics: list[Any], **_: Any) -> Any:
        self._created = [topic.name for topic in topics]
        return type("Answer", (), {"topic_errors": [(name, 0, None) for name in self._created]})


async def test_created_topics_are_listed_when_apply_returns() -> None:
    admin = _SlowToList()
    with patch("streams.kafka.client.admin_client", return_value=admin):
        (item,) = await apply_topics(KafkaConfig("broker:9092"), [TopicSpec("orders", 1, 1, "a test")], execute=True)
    assert item["action"] == "created"
    assert admin.asked == 4, "three answers that the topic is unknown, and the one that it is there"
