"""Writes a simulation to a database, at a given rate or as fast as the database takes it. Blocks."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from urllib.parse import urlsplit

import psycopg
import pymssql

from streams.core.errors import ConfigurationError, OwddError
from testkit.simulate.envelopes import Change
from testkit.simulate.runner import Progress
from testkit.simulate.simulation import Simulation
from testkit.simulate.sql_dialects import dialect_of
from testkit.simulate.sql_writer import Sql, SqlWriter

Report = Callable[[Progress], None]


class DatabaseError(OwddError):
    """The database cannot be reached, or refuses what we write."""


class Part(StrEnum):
    """The part of a simulation to write."""

    ALL = "all"
    OPENING = "opening"
    LIVE = "live"


class SqlRunner:
    """One simulation on its way to one database; ``opening`` first, then ``live``, as often as there is something left."""

    def __init__(
        self,
        simulation: Simulation,
        url: str,
        password: str,
        *,
        rate: float = 0.0,
        seconds: float | None = None,
    ) -> None:
        """``rate`` is in commits a second, 0 for no limit; after ``seconds`` of ``live`` no further commit is made.

        Raises:
            ConfigurationError: the URL does not name a database that we can write to, or the simulation is to have faults.
        """
        faults = simulation.config
        if faults.duplicates or faults.replays or faults.shuffle or faults.meta:
            raise ConfigurationError("duplicates, replays, shuffle and meta belong to records: a database has none of them")
        self._simulation = simulation
        self._url = urlsplit(url)
        self._dialect = dialect_of(self._url)
        self._password = password
        self._rate = rate
        self._seconds = seconds
        self._changes = simulation.live()
        self._done = Progress()

    def opening(self, *, write: bool = True, report: Report = lambda _: None) -> Progress:
        """Make the tables and write the rows that the shop opens with; without ``write`` they are there already.

        Raises:
            NotEmptyError: there are rows already.
            DatabaseError: the database cannot be reached or refuses.
        """
        if not write:
            deque(self._simulation.opening(), maxlen=0)
            return self._done
        start = time.monotonic()
        with self._writer() as writer:
            writer.create()
            for rows in self._simulation.opening():
                writer.write(rows)
                report(self._count(rows, start))
        return self._done

    def live(self, commits: int | None = None, *, report: Report = lambda _: None) -> Progress:
        """Make the next ``commits`` commits, or all that are left; returns how far the whole run is.

        Raises:
            DatabaseError: the database cannot be reached or refuses.
        """
        start = time.monotonic()
        with self._writer() as writer:
            for number, transaction in enumerate(islice(self._changes, commits)):
                if self._rate:
                    # A rate is a matter of time: nothing happens meanwhile that one could wait for.
                    time.sleep(max(0.0, start + number / self._rate - time.monotonic()))
                writer.write(transaction)
                report(self._count(transaction, start))
                if self._seconds is not None and self._done.seconds >= self._seconds:
                    self._simulation.stop()
        return self._done

    def _count(self, transaction: list[Change], start: float) -> Progress:
        rows = sum(change.head is not None for change in transaction)
        self._done = Progress(self._done.records + rows, 0, time.monotonic() - start)
        return self._done

    @contextmanager
    def _writer(self) -> Iterator[SqlWriter]:
        try:
            connection = self._dialect.connect(self._url, self._password)
            try:
                yield SqlWriter(Sql(self._simulation.config.mapping, self._dialect), connection)
            finally:
                connection.close()
        except (psycopg.Error, pymssql.Error) as error:
            raise DatabaseError(f"{self._url.hostname}: {type(error).__name__}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    """What the database said, without the row that it quotes; pymssql has it as bytes behind a number."""
    said = error.args[-1] if error.args else ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return text.strip().partition("\n")[0].partition(" Truncated value:")[0]
