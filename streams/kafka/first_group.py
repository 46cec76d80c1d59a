"""A broker on which no group has ever been makes its topic of offsets at the first question, and then reads it."""

from typing import Final

from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

_SECONDS: Final = 30.0

waits_for_groups = retry(
    retry=retry_if_exception_type((GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)),
    stop=stop_after_delay(_SECONDS),
    wait=wait_fixed(0.2),
    reraise=True,
)
"""For a function that asks about groups, and may be called again: it waits until the broker can answer."""
