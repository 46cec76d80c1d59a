"""The exit codes of all commands; ``docs/operations.md`` lists them for scripts."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended. Stable."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    INVALID = 3
    UNREACHABLE = 4
    NOT_RUNNING = 5
    REFUSED = 6
    UNFINISHED = 7
    INTERRUPTED = 130
    """As shells count a program that Ctrl-C ended."""
