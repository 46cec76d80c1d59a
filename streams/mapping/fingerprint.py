"""The mapping's fingerprint: a digest for each of its keys, so that a worker can name what changed since state was built.

Rows are stored as the mapping said when they came. With another mapping they would be neither wrong enough to fail nor right.
"""

import json
from collections.abc import Iterator
from collections.abc import Mapping as ReadOnly
from hashlib import blake2b
from typing import Any, Final

from streams.mapping.model import Mapping

_RESTART_IS_ENOUGH: Final = (
    "blank_fields",
    "contact.on_move",
    "delivery.bulk_windows",
    "delivery.catalogue.image",
    "delivery.catalogue.url",
    "delivery.follow_up",
    "delivery.orders.statuses",
    "exclude",
    "exclude_days",
    "source.epoch",
)
"""Keys that no stored row depends on; docs/mapping.md says how each change comes into force."""


def fingerprint(mapping: Mapping) -> dict[str, str]:
    """The digest of every value that differs from the model's default, by its key (``order.types.credit``).

    Defaults are left out, so that a release which adds a key does not change the fingerprint of a site that does not use it.
    """
    return dict(_digests("", mapping.model_dump(by_alias=True, exclude_defaults=True)))


def changed_keys(before: ReadOnly[str, str], now: ReadOnly[str, str]) -> list[str]:
    """The keys in which two fingerprints differ, sorted."""
    return sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))


def needs_rebuild(key: str) -> bool:
    """Whether stored rows depend on the key, so that after its change they must be computed again."""
    return not any(key == free or key.startswith(f"{free}.") for free in _RESTART_IS_ENOUGH)


def _digests(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _digests(f"{key}.{name}" if key else str(name), item)
        return
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    yield key, blake2b(json.dumps(value, default=str).encode(), digest_size=6).hexdigest()
