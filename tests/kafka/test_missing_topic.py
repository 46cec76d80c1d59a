"""A topic that does not exist is named, with the command that makes it; the broker is not to blame."""

from pathlib import Path
from uuid import uuid4

import pytest

from streams.core.errors import ConfigurationError
from streams.kafka.reader import read_last, read_topic
from streams.kafka.security import KafkaConfig
from testkit.local_services import kafka


async def test_it_is_named_with_the_command_that_makes_it(broker: Path) -> None:
    running = kafka.status(broker).broker
    assert running is not None
    config, topic = KafkaConfig(running.bootstrap), f"missing-{uuid4().hex[:8]}.generations"
    for records in (read_topic(config, topic, [0]), read_last(config, topic, [0], 10)):
        with pytest.raises(ConfigurationError, match=f"no such topic: {topic}. Run 'owdd topics apply --execute'"):
            await anext(records)
