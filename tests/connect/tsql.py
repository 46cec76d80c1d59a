"""Generated scripts as T-SQL: their batches, and their statements as sqlglot understands them.

sqlglot has no grammar for some statements of administration and keeps them as text; for those there are patterns here, so
that nothing gets by unread.
"""

import logging
import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp

_NAME = r"\[[A-Za-z_][A-Za-z0-9_$#@]*\]"
_TEXT = r"N'(?:[^']|'')*'"
ADMINISTRATION = tuple(
    re.compile(pattern)
    for pattern in (
        rf"ALTER DATABASE {_NAME} SET ALLOW_SNAPSHOT_ISOLATION ON",
        rf"ALTER DATABASE {_NAME} (?:ADD|REMOVE) FILEGROUP {_NAME}",
        rf"ALTER DATABASE {_NAME} REMOVE FILE {_NAME}",
        rf"ALTER ROLE {_NAME} ADD MEMBER {_NAME}",
        rf"ALTER USER {_NAME} WITH LOGIN = {_NAME}",
        rf"CREATE LOGIN {_NAME} WITH PASSWORD = {_TEXT}, DEFAULT_DATABASE = {_NAME}, CHECK_POLICY = ON",
        rf"CREATE ROLE {_NAME} AUTHORIZATION \[dbo\]",
        rf"CREATE USER {_NAME} FOR LOGIN {_NAME}",
        rf"DROP LOGIN {_NAME}",
        rf"DROP (?:USER|ROLE) IF EXISTS {_NAME}",
        rf"GRANT (?P<what>VIEW (?:DATABASE|SERVER) STATE) TO {_NAME}",
        rf"GRANT SELECT ON SCHEMA::{_NAME} TO {_NAME}",
    )
)
"""Statements that sqlglot keeps as text."""


def batches(script: str) -> list[str]:
    """What stands between the GOs."""
    return [batch for batch in re.split(r"^GO$", script, flags=re.MULTILINE) if batch.strip()]


def parsed(batch: str) -> Iterator[exp.Expr]:
    """The statements at the top of a batch.

    Raises:
        sqlglot.errors.ParseError: something is not T-SQL.
        AssertionError: sqlglot kept something as text that no pattern of ours knows.
    """
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    for statement in sqlglot.parse(batch, dialect="tsql", error_level=sqlglot.ErrorLevel.RAISE):
        if statement is not None and not isinstance(statement, exp.Semicolon):
            for command in statement.find_all(exp.Command):
                assert any(pattern.fullmatch(plain(command)) for pattern in ADMINISTRATION), plain(command)
            yield statement


def statements(script: str) -> Iterator[exp.Expr]:
    """The statements at the top of all batches."""
    return (statement for batch in batches(script) for statement in parsed(batch))


def calls(script: str, procedure: str) -> list[dict[str, str]]:
    """The arguments of every call of a stored procedure, literals without their quotes."""
    found = [call for call in every_statement(script) if isinstance(call, exp.Execute) and call.this.name == procedure]
    return [{argument.this.name: argument.expression.name for argument in call.expressions} for call in found]


def every_statement(script: str) -> Iterator[exp.Expr]:
    """The statements of a script, those inside IF too, without IF itself."""
    return (statement for _, statement in with_depth(script))


def with_depth(script: str) -> Iterator[tuple[int, exp.Expr]]:
    """Every statement, and in how many IFs it stands."""
    for batch in batches(script):
        depth = 0
        for step in (step for statement in parsed(batch) for step in _steps(statement)):
            if isinstance(step, exp.EndStatement):
                depth -= 1
            elif isinstance(step, exp.Block):
                depth += 1
            else:
                yield depth, step
        assert depth == 0, "BEGIN without END"


def _steps(statement: exp.Expr) -> Iterator[exp.Expr]:
    """A block, what is in it, and its END; to sqlglot, what follows END in the batch stands in the block too."""
    if isinstance(statement, exp.IfBlock):
        block = statement.find(exp.Block)
        assert block is not None
        yield block
        for inner in block.expressions:
            yield from _steps(inner)
    else:
        yield statement


def plain(statement: exp.Expr) -> str:
    """A statement as text, without comments."""
    return statement.sql("tsql", comments=False).strip()
