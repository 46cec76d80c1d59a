"""Which member of its groups a worker is, noted in its data directory: whoever starts there next takes it out of them.

A worker that dies stays a member until its session ends, and until then nobody gets its partitions. Its successor has the lock
of the directory, so it knows that the former one is gone, and need not wait.

Static membership (KIP-345) would spare the others a rebalance, but the broker then gives the successor its partitions without
making it the group's leader, and aiokafka 0.14 has only the leader look for new topics and partitions: nobody would read them.
"""

from pathlib import Path
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from streams.kafka import client
from streams.kafka.security import KafkaConfig

log = structlog.get_logger()

_DIRECTORY: Final = "members"


class Members:
    """The memberships of the worker that has ``data_dir``, a file for each group."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / _DIRECTORY

    def note(self, group: str, member: str) -> None:
        """The worker is ``member`` of ``group`` from now on."""
        self._directory.mkdir(parents=True, exist_ok=True)
        # Not synced: after a power loss the session is waited for.
        (self._directory / group).write_text(member)

    async def end(self, kafka: KafkaConfig) -> None:
        """Take the worker that had the directory before out of its groups; one that left them by itself is in none.

        Raises:
            KafkaRefusedError: no broker lets this worker in.
        """
        noted = sorted(self._directory.glob("*"))
        if not noted:
            return
        admin = client.admin_client(kafka)
        await admin.start()
        try:
            for file in noted:
                try:
                    await admin.remove_member(file.name, file.read_text())
                except KafkaError as error:
                    # It ends by itself, with its session.
                    log.warning("a former membership is not ended", group=file.name, error=type(error).__name__)
                file.unlink()
        finally:
            await admin.close()
