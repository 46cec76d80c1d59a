"""What one run has read so far: a SQLite file beside the state, so that a worker that was killed goes on where it was.

Each page is one transaction with the marker of the next one. In memory it would grow with the account. Addresses are in the
file as they are: it is this user's alone (0600), and it is deleted when the run is over.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from streams.operations.reconcile.drift import Difference, Others

_SCHEMA = """
CREATE TABLE contacts (id INTEGER PRIMARY KEY, email TEXT UNIQUE);
CREATE TABLE records (place TEXT, key TEXT, owner INTEGER, PRIMARY KEY (place, key)) WITHOUT ROWID;
CREATE TABLE suspects (task TEXT PRIMARY KEY, tries INTEGER DEFAULT 0, done INTEGER DEFAULT 0);
CREATE INDEX open_suspects ON suspects (done, tries, task);
CREATE TABLE differences (task TEXT, drift TEXT, detail TEXT, healed INTEGER, PRIMARY KEY (task, drift)) WITHOUT ROWID;
CREATE TABLE others (kind TEXT PRIMARY KEY, count INTEGER);
CREATE TABLE progress (name TEXT PRIMARY KEY, value TEXT);
"""
_RUN = "run"

ORDERS, ITEMS = "orders", "items"
"""The places of records: a contact's orders, the account's catalogue."""


def discard(path: Path) -> None:
    """Delete the file of a run that is over, if there is one."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


class Findings:
    """The file of the run ``run``; what an other run has left in it is dropped."""

    def __init__(self, path: Path, run: str) -> None:
        """Open the file.

        Raises:
            sqlite3.Error: it cannot be made or written.
        """
        self.path = path
        self._database = sqlite3.connect(path)
        path.chmod(0o600)
        if self._known_run() != run:
            self._database.close()
            discard(path)
            self._database = sqlite3.connect(path)
            path.chmod(0o600)
            # It may be lost with the machine: then the run begins again.
            self._database.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_SCHEMA}")
            with self.step(_RUN, run):
                pass

    def _known_run(self) -> str | None:
        try:
            return self.progress(_RUN)
        except sqlite3.DatabaseError:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def delete(self) -> None:
        """Delete the file: the run is over."""
        self._database.close()
        discard(self.path)

    @contextmanager
    def step(self, name: str, value: str) -> Iterator[None]:
        """Writes of the block are kept with the progress ``value`` of ``name``, or neither is."""
        with self._database:
            yield
            self._database.execute("INSERT OR REPLACE INTO progress VALUES (?, ?)", (name, value))

    def progress(self, name: str) -> str | None:
        """How far something is; None: it has not begun."""
        row = self._database.execute("SELECT value FROM progress WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def add_contacts(self, contacts: Iterable[tuple[int, str]]) -> None:
        """Contacts that Dotdigital shows, by id and address."""
        self._database.executemany("INSERT OR REPLACE INTO contacts VALUES (?, ?)", contacts)

    def add_records(self, place: str, records: Iterable[tuple[str, int | None]]) -> None:
        """Records that it shows, by key and contact."""
        rows = ((place, key, owner) for key, owner in records)
        self._database.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", rows)

    def add_suspects(self, tasks: Iterable[str]) -> None:
        """Tasks that must be looked at one by one."""
        self._database.executemany("INSERT OR IGNORE INTO suspects (task) VALUES (?)", ((task,) for task in tasks))

    def count_others(self, kinds: Iterable[Others]) -> None:
        """One more of each of these is there and not ours."""
        for kind in kinds:
            sql = "INSERT INTO others VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET count = count + 1"
            self._database.execute(sql, (kind.value,))

    def emails(self, contacts: Iterable[int]) -> dict[int, str]:
        """The addresses of those of the contacts that were shown."""
        found = {}
        for contact in contacts:
            row = self._database.execute("SELECT email FROM contacts WHERE id = ?", (contact,)).fetchone()
            if row is not None:
                found[contact] = str(row[0])
        return found

    def shows_contact(self, email: str) -> bool:
        """Whether Dotdigital showed the contact."""
        return self._database.execute("SELECT 1 FROM contacts WHERE email = ?", (email,)).fetchone() is not None

    def shows_record(self, place: str, key: str, email: str | None = None) -> bool:
        """Whether it showed the record, at the contact ``email``."""
        row = self._database.execute("SELECT owner FROM records WHERE place = ? AND key = ?", (place, key)).fetchone()
        if row is None or email is None:
            return row is not None
        return self.emails([row[0]]).get(row[0]) == email

    def suspects(self, most: int, *, tries: int) -> list[str]:
        """Suspects that are not done with, and were looked at less than ``tries`` times."""
        sql = "SELECT task FROM suspects WHERE done = 0 AND tries < ? ORDER BY tries, task LIMIT ?"
        return [str(task) for (task,) in self._database.execute(sql, (tries, most))]

    def judged(self, tasks: Sequence[str]) -> None:
        """These suspects are done with."""
        self._database.executemany("UPDATE suspects SET done = 1 WHERE task = ?", ((task,) for task in tasks))

    def tried(self, tasks: Iterable[str]) -> None:
        """These suspects changed while they were looked at."""
        self._database.executemany("UPDATE suspects SET tries = tries + 1 WHERE task = ?", ((task,) for task in tasks))

    def add_differences(self, found: Iterable[Difference], *, healed: bool) -> None:
        """What differs; ``healed``: dispatch was asked to put it right."""
        rows = ((one.task, one.drift.value, json.dumps(one.detail), healed and one.cure != "none") for one in found)
        self._database.executemany("INSERT OR REPLACE INTO differences VALUES (?, ?, ?, ?)", rows)

    def counts(self) -> dict[str, int]:
        """How much of everything there is: the numbers of a run, by their names in it."""
        queries = {
            "contacts": "SELECT count(*) FROM contacts",
            "orders": "SELECT count(*) FROM records WHERE place = 'orders'",
            "items": "SELECT count(*) FROM records WHERE place = 'items'",
            "suspects": "SELECT count(*) FROM suspects",
            "checked": "SELECT count(*) FROM suspects WHERE done",
            "healed": "SELECT count(DISTINCT task) FROM differences WHERE healed",
            "unsettled": "SELECT count(*) FROM suspects WHERE NOT done AND tries > 0",
        }
        return {name: int(self._database.execute(query).fetchone()[0]) for name, query in queries.items()}

    def drift(self) -> dict[str, int]:
        """The differences by class."""
        rows = self._database.execute("SELECT drift, count(*) FROM differences GROUP BY drift ORDER BY drift")
        return {str(drift): int(count) for drift, count in rows}

    def others(self) -> Mapping[str, int]:
        """What is not ours, by kind."""
        return {str(kind): int(count) for kind, count in self._database.execute("SELECT kind, count FROM others ORDER BY kind")}

    def examples(self, most: int) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """So many differences of each class: class, task and detail."""
        sql = "SELECT task, detail FROM differences WHERE drift = ? ORDER BY task LIMIT ?"
        for drift in self.drift():
            for task, detail in self._database.execute(sql, (drift, most)):
                yield drift, str(task), tuple(json.loads(detail))
