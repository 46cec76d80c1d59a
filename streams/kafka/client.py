"""The one place where aiokafka clients are made: consumers, producers and admin clients, secured as the site says.

Every other module takes a :class:`KafkaConfig` and asks here, so that no client can be without the site's security settings.
Faust makes its own clients; ``streams/engine/credentials.py`` gives it the same settings.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, NoError, UnknownMemberIdError, for_code
from aiokafka.protocol.group import LeaveGroupRequest

from streams.kafka import compression, fetcher, group_answers
from streams.kafka.access import why_refused
from streams.kafka.security import KafkaConfig


def consumer(kafka: KafkaConfig, *topics: str, **options: Any) -> AIOKafkaConsumer:
    """A consumer that is not started yet; ``options`` are aiokafka's.

    Its ``start`` raises :class:`streams.kafka.access.KafkaRefusedError` when no broker lets it in.
    """
    return _Consumer(*topics, bootstrap_servers=kafka.bootstrap, **kafka.client_options(), **options)._of(kafka)


def producer(kafka: KafkaConfig, **options: Any) -> AIOKafkaProducer:
    """A producer that is not started yet; as :func:`consumer`."""
    return _Producer(bootstrap_servers=kafka.bootstrap, **kafka.client_options(), **options)._of(kafka)


def admin_client(kafka: KafkaConfig, **options: Any) -> AIOKafkaAdminClient:
    """An admin client that is not started yet; as :func:`consumer`."""
    return _AdminClient(bootstrap_servers=kafka.bootstrap, **kafka.client_options(), **options)._of(kafka)


class _Explained:
    """A client whose ``start`` names the cause of a failure, which aiokafka only logs."""

    _kafka: KafkaConfig
    stop: Callable[[], Awaitable[None]]

    def _of(self, kafka: KafkaConfig) -> Any:
        self._kafka = kafka
        return self

    async def start(self) -> None:
        try:
            await super().start()  # type: ignore[misc]  # aiokafka's class comes next in the order of resolution
        except KafkaConnectionError as error:
            # Left open, it would warn when it is collected: nobody stops what never started.
            await (self.close() if isinstance(self, AIOKafkaAdminClient) else self.stop())
            raise await why_refused(self._kafka) from error


class _Consumer(_Explained, AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    async def stop(self) -> None:
        try:
            await super().stop()
        except asyncio.CancelledError:
            # One without a group that is stopped as soon as it was started cancels a task of its own that has not begun, and
            # lets that out (0.14.0, NoGroupCoordinator.close). Whoever stops it because of an error would lose the error, and
            # end in silence as if somebody had cancelled it.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise


class _Producer(_Explained, AIOKafkaProducer):  # type: ignore[misc]  # as above
    pass


class _AdminClient(_Explained, AIOKafkaAdminClient):  # type: ignore[misc]  # as above
    """Remembers coordinators: aiokafka looks for a group's before every question, and who asks every few seconds asks twice."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._coordinators: dict[tuple[str, int], int] = {}

    async def find_coordinator(self, group_id: str, coordinator_type: int = 0) -> int:
        key = group_id, coordinator_type
        if key not in self._coordinators:
            self._coordinators[key] = await super().find_coordinator(*key)
        return self._coordinators[key]

    async def _send_request(self, request: Any, node_id: int | None = None) -> Any:
        try:
            return group_answers.checked(request, await super()._send_request(request, node_id))
        except KafkaError:
            # It may have moved, or its node may be gone.
            self._coordinators.clear()
            raise

    async def remove_member(self, group: str, member: str) -> None:
        """Take ``member`` out of ``group``, if it is in it; Kafka's own command for that takes static members only.

        Raises:
            aiokafka.errors.KafkaError: the group's coordinator does not answer, or refuses.
        """
        response = await self._send_request(LeaveGroupRequest(group, member), await self.find_coordinator(group))
        error = for_code(response.error_code)
        if error not in (NoError, UnknownMemberIdError):
            raise error(group)


# Said by ``start`` in full, with the remedy; the line comes from nowhere else.
logging.getLogger("aiokafka").addFilter(lambda record: not str(record.msg).startswith('Unable connect to "%s:%s"'))

compression.install()
fetcher.install()
group_answers.install()
