"""LZ4 at its fast level.

aiokafka compresses LZ4 at level 9 (0.14.0, codec.lz4_encode), and its producer cannot be given another. That takes twelve times
the CPU of level 1 for a sixth fewer bytes (docs/performance.md), in all that a worker appends.
"""

from typing import Final

from aiokafka import codec

LEVEL: Final = 1


def install() -> None:
    """Have every producer of this process compress at :data:`LEVEL`."""
    # The default itself, because the compiled builder of batches has its own reference to the function.
    codec.lz4_encode.__defaults__ = (LEVEL,)
