"""A block of a document that a program writes, between two marks; the rest is people's."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Block:
    """The marks, each a line of its own."""

    begin: str
    end: str

    def write(self, document: Path, text: str) -> None:
        """Put ``text`` between the marks of a document.

        Raises:
            ValueError: the marks are missing.
        """
        before, begin, rest = document.read_text("utf-8").partition(self.begin)
        _, end, after = rest.partition(self.end)
        if not begin or not end:
            raise ValueError(f"{document}: no block between {self.begin} and {self.end}")
        document.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")
