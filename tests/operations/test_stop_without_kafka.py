"""SIGTERM ends every role within seconds also while Kafka is away: a container runtime kills after ten."""

import asyncio
from pathlib import Path

import yaml

from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.local_services import kafka
from testkit.soak.site import QUICK, Site

_KILLED_AFTER = 10.0


async def test_every_role_ends_while_kafka_is_away(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(yaml.safe_dump(Site("away").mapping()), "utf-8")
    overrides = QUICK | {"OWDD_APP_ID": "away", "OWDD_PARTITIONS": "1"}
    async with LocalStack(tmp_path, mapping, overrides) as running:
        workers = [await running.start_worker(role) for role in Role]
        kafka.kill(tmp_path / "kafka")
        for worker in workers:
            worker.process.terminate()
        codes = await asyncio.gather(*(asyncio.to_thread(worker.process.wait, _KILLED_AFTER) for worker in workers))
        assert codes == [0, 0, 0]
