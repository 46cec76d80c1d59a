"""The commands that the pages for operators name, as they stand there."""

import re
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_command

from streams.cli import app
from streams.cli.groups import LazyCommand

ROOT = Path(__file__).parents[2]
_DOCS = ROOT / "docs"
PAGES = (
    *(
        _DOCS / f"{name}.md"
        for name in ("operations", "operating", "backups", "after-a-power-loss", "dead-letters", "audit-trail", "console")
    ),
    *(_DOCS / f"{name}.md" for name in ("capture", "kafka-security", "kubernetes", "mapping", "sandbox")),
    *sorted((_DOCS / "runbooks").glob("*.md")),
)
PROGRAMS = ("owdd", "make", "docker", "kubectl")

_COMMENT = re.compile(r"<!--.*?-->")
_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<block>.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(rf"`((?:{'|'.join(PROGRAMS)}) [^`]+)`")
_LINE = re.compile(rf"(?:{'|'.join(PROGRAMS)}) ")
_ELLIPSIS = "…"


@cache
def documented() -> dict[str, set[str]]:
    """Every command, with the pages that name it. A name of a group (``owdd connectors``) is no command."""
    found: dict[str, set[str]] = {}
    for page in PAGES:
        for command in _commands(page.read_text("utf-8")):
            if not (command.startswith("owdd ") and _is_group(command.split()[1:])):
                found.setdefault(command, set()).add(page.stem)
    return found


def _commands(text: str) -> Iterator[str]:
    blocks = [found["block"] for found in _FENCE.finditer(text) if found["language"] in ("", "sh")]
    rest = _COMMENT.sub("", _FENCE.sub("", text)).splitlines()
    blocks += [line for line in rest if line.startswith("    ")]
    for line in "\n".join(blocks).splitlines():
        commands = (part.partition("  #")[0].strip() for part in line.split(";"))
        yield from (command for command in commands if _LINE.match(command))
    prose = "\n".join("" if line.startswith("    ") else line for line in rest)
    # A command may be broken over two lines of a paragraph, but over no two rows of a table.
    for paragraph in re.split(r"\n\s*\n|\n(?=\|)", prose):
        yield from _SPAN.findall(" ".join(paragraph.split()))


# Commands of the whole program, made once: it takes longer than all else here.
_main = cache(partial(get_command, app))


def _is_group(words: list[str]) -> bool:
    command = _main()
    for word in words:
        if not isinstance(command, TyperGroup) or word not in command.commands:
            return word == _ELLIPSIS
        found = command.commands[word]
        command = found.load() if isinstance(found, LazyCommand) else found
    return isinstance(command, TyperGroup)
