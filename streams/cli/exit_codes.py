"""The exit codes of all commands; ``docs/cli.md`` lists them for scripts."""

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


MEANINGS = {
    ExitCode.OK: "as it should be, or done",
    ExitCode.ERROR: "something else failed; the message describes what to do",
    ExitCode.CHANGES: "something differs, or would be done and `--execute` was not given",
    ExitCode.INVALID: "settings, mapping, configuration or the command line are wrong; waiting does not help",
    ExitCode.UNREACHABLE: "Kafka, Kafka Connect, Dotdigital, or the database behind it does not answer; try again",
    ExitCode.NOT_RUNNING: "a part that should run does not: a role, the connector, one of its tasks, the heartbeat",
    ExitCode.REFUSED: "it would do harm: workers run, a clash in the account, or offsets and schema history would be orphaned",
    ExitCode.UNFINISHED: "not all has been done yet; it goes on, or can be run again",
    ExitCode.INTERRUPTED: "Ctrl-C",
}
"""For people."""
