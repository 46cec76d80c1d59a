"""Errors that end a benchmark without a number.

The tree::

    BenchError
    ├── ChildDied           a contender ended by itself: its last words are in the message
    ├── NotDrained          a contender did not work off its input in time
    ├── PeerUnavailable     a peer cannot be installed or compiled here: the message ends with what to do
    └── WrongResult         a contender was fast and wrong
"""


class BenchError(Exception):
    """Base of every error with a message meant for whoever runs the benchmark."""


class ChildDied(BenchError):
    """A contender ended before it was stopped."""


class NotDrained(BenchError):
    """A contender's lag did not reach zero in time."""


class PeerUnavailable(BenchError):
    """A peer is not part of our environment, and could not be brought here."""


class WrongResult(BenchError):
    """A contender's totals differ from the generator's."""
