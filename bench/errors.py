"""Errors that end a benchmark without a number.

The tree::

    BenchError
    ├── ChildDied           a contender ended by itself: its last words are in the message
    ├── NotDrained          a contender did not work off its input in time
    └── WrongResult         a contender was fast and wrong
"""


class BenchError(Exception):
    """Base of every error with a message meant for whoever runs the benchmark."""


class ChildDied(BenchError):
    """A contender ended before it was stopped."""


class NotDrained(BenchError):
    """A contender's lag did not reach zero in time."""


class WrongResult(BenchError):
    """A contender's totals differ from the generator's."""
