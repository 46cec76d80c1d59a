"""aiokafka's clients, with the error that a coordinator gives for a whole group noticed.

A coordinator that is loading, or has moved, answers a question for committed offsets with one error and no partitions
(OffsetFetch since version 2, KIP-88). aiokafka looks at the partitions alone, and takes it that nothing was ever committed: a
consumer goes back to the beginning of every partition, and nobody finds out that records were deleted unread.
"""

from typing import Any

import aiokafka.consumer.consumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest


def checked(request: Any, response: Any) -> Any:
    """The response, if it is no error for a whole group.

    Raises:
        aiokafka.errors.KafkaError: it is one; it may be retriable.
    """
    if isinstance(request, OffsetFetchRequest) and (code := getattr(response, "error_code", 0)):
        raise for_code(code)(request.__class__.__name__)
    return response


class AttentiveCoordinator(GroupCoordinator):  # type: ignore[misc]  # aiokafka is untyped
    """Asks again, and looks for the coordinator again if it has moved."""

    async def _send_req(self, request: Any) -> Any:
        response = await super()._send_req(request)
        try:
            return checked(request, response)
        except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
            self.coordinator_dead()
            raise


def install() -> None:
    """Make every consumer of this process ask so, those of Faust too."""
    aiokafka.consumer.consumer.GroupCoordinator = AttentiveCoordinator
