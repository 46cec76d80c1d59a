"""Whether the account may be written to: the records of the compacted topic ``controls``, of which the latest counts."""

import msgspec

KEY = b"writes"
"""The key of every record."""
PARTITION = 0
"""Where the records are: one log, so that there is one latest."""


class WriteControl(msgspec.Struct, frozen=True, gc=False):
    """A person has paused all writes to Dotdigital, or resumed them (``paused`` False).

    ``at``: when (epoch ms), ``by`` whom. ``everything``: opt-outs and erasures too.
    """

    at: int
    by: str
    paused: bool
    everything: bool = False


RUNNING = WriteControl(0, "", paused=False)
"""Nobody has ever paused."""

write_control = msgspec.json.Encoder().encode
"""The value of a record."""
read_control = msgspec.json.Decoder(WriteControl).decode
"""What a record says; raises msgspec.DecodeError if it says nothing."""
