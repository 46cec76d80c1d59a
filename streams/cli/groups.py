"""Groups of commands: each command is imported when it is called, and all of them fail in the same way."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from streams.cli import errors
from streams.cli.exit_codes import ExitCode


class LazyCommand(TyperCommand):
    """Stands for a command, or a group of commands, that is imported when it is called.

    ``target`` is ``module:attribute``, a function or a ``typer.Typer``; ``help`` its first sentence, so that listing commands
    imports none of them.
    """

    def __init__(self, name: str, target: str, help: str) -> None:  # noqa: A002 - as Typer names it
        super().__init__(name, help=help)
        self.target = target

    def load(self) -> Any:
        """The command itself."""
        module, _, attribute = self.target.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            command = get_group(found)
        else:
            single = typer.Typer(add_completion=False)
            single.command(self.name)(found)
            command = get_command(single)  # type: ignore[assignment]
        command.name = self.name
        return command


def commands(**entries: tuple[str, str]) -> dict[str, LazyCommand]:
    """A table of commands by name (``_`` stands for ``-``), from ``module:attribute`` and the first sentence of its help."""
    found = {name.replace("_", "-"): entry for name, entry in entries.items()}
    return {name: LazyCommand(name, target, sentence) for name, (target, sentence) in found.items()}


class CommandGroup(TyperGroup):
    """A group whose commands end with one message and one of our exit codes."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that ``args`` name, imported."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, LazyCommand) else command, rest

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and exit with one of our codes."""
        arguments = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(arguments, prog_name, complete_var, False, windows_expand_args, **extra)
        # Asked of the words themselves: when parsing them fails, nothing else knows it.
        as_json = "--json" in arguments
        with errors.reported(as_json=as_json):
            code = super().main(arguments, prog_name, complete_var, False, windows_expand_args, **extra)
            if code == ExitCode.INTERRUPTED:
                # Typer has caught it, and says nothing.
                raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)


def command_group(purpose: str) -> typer.Typer:
    """An empty group of commands."""
    return typer.Typer(cls=CommandGroup, help=purpose, no_args_is_help=True, add_completion=False)
