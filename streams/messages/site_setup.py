"""What state was built with: the records of the compacted topic ``setup``, of which the latest of each key counts.

A worker compares them with its own mapping, keys and release before it starts, whatever is in its data directory: state equals
its changelogs, and those are the cluster's.
"""

from typing import Final

import msgspec

PARTITION: Final = 0
"""Where the records are: one log, so that there is one latest."""
ERASURE_KEY: Final = b"erasure-key"
"""The key of the record about the erasure key."""

FORMATS: Final = {"mapping": 1, "changes": 1, "state": 2, "outbox": 1}
"""The formats that this release writes: the mapping's, that of packed changes between stages, and those of state rows.

Raise a number when what an earlier release wrote can no longer be read, or it cannot read what this one writes
(``tests/upgrade`` notices the first).
"""


class StateSetup(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """State of one ``OWDD_APP_VERSION`` was begun, or goes on, with these (``at``: epoch ms).

    ``mapping`` is the fingerprint (:mod:`streams.mapping.fingerprint`), ``release`` the version of the product.
    """

    at: int
    release: str
    formats: dict[str, int]
    mapping: dict[str, str]


class KeySetup(msgspec.Struct, frozen=True, gc=False):
    """The erasure key in use since ``at`` (epoch ms), by its id (:attr:`streams.domain.erasure.Digester.key_id`)."""

    at: int
    id: str


def state_key(app_version: int, generation: int = 0) -> bytes:
    """The key of the record about one version's state; each generation of the joins may have a mapping of its own."""
    return f"state-v{app_version}{f'-g{generation}' if generation else ''}".encode()


write_setup = msgspec.json.Encoder().encode
"""The value of a record."""
read_state_setup = msgspec.json.Decoder(StateSetup).decode
"""What a record about state says; raises msgspec.DecodeError if it says nothing."""
read_key_setup = msgspec.json.Decoder(KeySetup).decode
"""What a record about a key says; raises msgspec.DecodeError if it says nothing."""
