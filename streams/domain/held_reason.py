"""Why a document cannot be worked out, and since when."""

import msgspec


class HeldReason(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A document that waits for the reason ``code`` since epoch millisecond ``since``.

    ``frozen``: it could be worked out before, and what was published of it then stays.
    """

    code: str
    since: int
    frozen: bool = False
