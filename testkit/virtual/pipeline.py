"""Ours: the real dispatch over the real client, with a broker in memory and a table in a temporary directory."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any, Final, cast

from pydantic import SecretStr

from streams.dispatch.service import Dispatch
from streams.engine.table import StateTable
from streams.engine.unit_of_work import packed
from streams.kafka.producer import BatchProducer
from streams.messages.changes import Change, partition_of
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from streams.settings import Settings
from testkit.virtual.account import PASSWORD, USER
from testkit.virtual.contender import URL, Surroundings
from testkit.virtual.local_broker import LocalBroker, LocalControls, LocalStage, LocalTable

SETTINGS: Final = Settings(dotdigital_url=URL, dotdigital_user=USER, dotdigital_password=SecretStr(PASSWORD), partitions=4)
"""The shipped defaults, but for the address of the account."""


class Pipeline:
    """One worker's dispatch. It may be stopped and run again: then it knows what Kafka and its table know."""

    def __init__(self, around: Surroundings, settings: Settings = SETTINGS) -> None:
        self._around = around
        self._settings = settings
        self._topics = Topics.of(settings.app_id)
        self._broker = LocalBroker()

    def feed(self, changes: Sequence[Change]) -> None:
        """Changes that the agents append now."""
        places: dict[int, list[Any]] = defaultdict(list)
        for change in changes:
            places[partition_of(change.key, self._settings.partitions)].append(change)
        for place, those in places.items():
            self._broker.append(self._topics.desired, place, packed(self._topics.desired, those))

    async def run(self) -> None:
        """Deliver until cancelled."""
        table = LocalTable(self._around.directory, self._settings.partitions)
        around, settings = self._around, self._settings
        dispatch = Dispatch(settings, around.mapping, around.clock, Metrics(), Random(0))
        topics = frozenset((self._topics.desired, self._topics.deliveries))
        stage = LocalStage(dispatch.outbox, table, self._broker, topics, settings.partitions, around.clock)
        state, producer = cast(StateTable, table), cast(BatchProducer, self._broker)
        stage.recover(state)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(stage.run())
                group.create_task(dispatch.run(state, producer, LocalControls(), around.transport))
        finally:
            table.close()
