"""A topic that does not exist is named, with the command that makes it; the broker is not to blame."""

from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import NewTopic

from streams.core.clock import SystemClock
from streams.core.errors import ConfigurationError
from streams.kafka import client
from streams.kafka.reader import read_last, read_topic
from streams.kafka.security import KafkaConfig
from streams.operations.backup import write_backup
from streams.operations.trail import read_trail
from streams.settings import Settings
from testkit.local_services import kafka


async def test_it_is_named_with_the_command_that_makes_it(broker: Path) -> None:
    running = kafka.status(broker).broker
    assert running is not None
    config, topic = KafkaConfig(running.bootstrap), f"missing-{uuid4().hex[:8]}.generations"
    for records in (read_topic(config, topic, [0]), read_last(config, topic, [0], 10)):
        with pytest.raises(ConfigurationError, match=f"no such topic: {topic}. Run 'owdd topics apply --execute'"):
            await anext(records)


async def test_neither_trail_nor_backup_waits_for_it(broker: Path, tmp_path: Path) -> None:
    running = kafka.status(broker).broker
    assert running is not None
    app = f"missing-{uuid4().hex[:8]}"
    settings = Settings(app_id=app, kafka_bootstrap=running.bootstrap, erasure_key="k" * 32)
    with pytest.raises(ConfigurationError, match=f"no such topic: {app}.audit. Run"):
        await read_trail(settings)
    admin = client.admin_client(KafkaConfig.of(settings))
    await admin.start()
    await admin.create_topics([NewTopic(f"{app}.setup", settings.partitions, 1)])
    await admin.close()
    with pytest.raises(ConfigurationError, match=f"no such topic: .*{app}.audit, .*{app}.removals"):
        await write_backup(settings, tmp_path / "backup", SystemClock(), lambda _: None)
    assert not (tmp_path / "backup").exists()
