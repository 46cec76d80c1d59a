"""The one way in which commands print: tables, JSON, lines, warnings, errors and progress.

Results go to standard output, everything else to standard error. Text that comes with data never reaches a terminal with its
control characters. Where there is no terminal, as in CI, tables are as wide as they need to be: nothing is cut or folded.
Colours follow ``NO_COLOR``, which Rich obeys by itself.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Annotated, Any, TextIO, TypeAlias

import orjson
import typer

from streams.core.text import age, printable, printable_lines

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
"""The option of every command that can print for programs."""
Execute = Annotated[bool, typer.Option("--execute/--dry-run", help="Do it; default: only show what would be done.")]
"""The option of every command that changes something."""

ShowProgress: TypeAlias = Callable[[str], None]
"""Shows how far a command is."""
Count: TypeAlias = Callable[[int], None]
"""Shows how many are done."""

CountOf: TypeAlias = Callable[[int, int], None]
"""Shows how many are done, and of how many."""

_FIRST_LINE_SECONDS = 2.0
_NEXT_LINE_SECONDS = 10.0
"""Between two lines of progress where there is no terminal."""
_UNBOUNDED = 100_000
"""Columns where there is no terminal: more than any table of ours needs."""


def line(text: str) -> None:
    """One line, or several lines of ours, on standard output."""
    typer.echo(printable_lines(text))


def raw(text: str) -> None:
    """A document as it is (a script, a page, a configuration), without a line break added."""
    typer.echo(text, nl=False)


def clear() -> None:
    """Begin at the top of an empty screen, where standard output is a terminal."""
    if sys.stdout.isatty():
        console(sys.stdout).clear()


def note(text: str) -> None:
    """A remark beside the result, on standard error."""
    typer.echo(printable_lines(text), err=True)


def warn(text: str) -> None:
    """Something that the operator should look at, on standard error."""
    note(f"warning: {text}")


def print_json(value: Any, *, compact: bool = False) -> None:
    """``value`` on standard output, indented, or ``compact`` on one line."""
    typer.echo(to_json(value, compact=compact))


def to_json(value: Any, *, compact: bool = False) -> str:
    """``value`` as JSON; what JSON has no word for becomes text."""
    return orjson.dumps(value, default=str, option=0 if compact else orjson.OPT_INDENT_2).decode()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", heading: bool = True) -> None:
    """A table on standard output; None is an empty cell, line breaks stay only between the entries of a list."""
    from rich.table import Table  # noqa: PLC0415 - rich costs a tenth of a start; only tables need it

    table = Table(title=title or None, show_header=heading)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    console(sys.stdout).print(table)


def _cell(value: object) -> str:
    from rich.markup import escape  # noqa: PLC0415

    texts = value if isinstance(value, list | tuple) else ["" if value is None else value]
    return escape("\n".join(printable(str(text)) for text in texts))


def console(stream: TextIO) -> Any:
    """A Rich console on ``stream``; where that is no terminal it never folds or cuts a line."""
    from rich.console import Console  # noqa: PLC0415

    return Console(file=stream) if stream.isatty() else Console(file=stream, width=_UNBOUNDED)


@contextmanager
def progress(title: str) -> Iterator[ShowProgress]:
    """How far a command is, on standard error while the block lasts; what it yields changes the text.

    On a terminal beside a spinner, elsewhere as a line now and then.
    """
    if not sys.stderr.isatty():
        yield _now_and_then()
        return
    with console(sys.stderr).status(title) as status:
        yield lambda text: status.update(printable(text))


@contextmanager
def counting(title: str, total: int) -> Iterator[Count]:
    """As :func:`progress`, with a bar and the time that is left; what it yields takes how many are done."""
    if not sys.stderr.isatty():
        show, began = _now_and_then(), monotonic()
        yield lambda count: show(_counted(title, count, total, monotonic() - began))
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console(sys.stderr), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.update(task, completed=count)


@contextmanager
def reading(things: str) -> Iterator[CountOf]:
    """As :func:`progress`, for records that are read; what it yields takes how many were read, and of how many."""
    began = monotonic()
    with progress(f"reading {things}") as show:
        yield lambda count, total: show(_counted(things, count, total, monotonic() - began))


def _now_and_then() -> ShowProgress:
    """Lines where there is no terminal: none of what is done soon, and few of what takes long, for logs keep them."""
    due = monotonic() + _FIRST_LINE_SECONDS

    def show(text: str) -> None:
        nonlocal due
        if (now := monotonic()) >= due:
            due = now + _NEXT_LINE_SECONDS
            note(text)

    return show


def _counted(title: str, count: int, total: int, elapsed: float) -> str:
    left = f", about {age(elapsed * (total - count) / count)} left" if count else ""
    return f"{title}: {count:,} of {total:,}{left}"
