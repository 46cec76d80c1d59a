"""Results of runs that take long: one JSON object a line, appended as soon as there is one, so that they add up over days."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

R = TypeVar("R", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class ResultsFile(Generic[R]):
    """The file of results of one kind; it need not exist yet."""

    path: Path
    kind: type[R]

    def all(self) -> Iterator[R]:
        """All results, oldest first.

        Raises:
            ValueError: a line is no result; the message has its number.
        """
        if not self.path.exists():
            return
        for number, line in enumerate(self.path.read_bytes().splitlines(), 1):
            try:
                yield msgspec.json.decode(line, type=self.kind)
            except msgspec.MsgspecError as error:
                raise ValueError(f"{self.path}, line {number}: {error}") from error

    def append(self, result: R) -> None:
        """Write one result behind the others."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(result, enc_hook=str) + b"\n")
