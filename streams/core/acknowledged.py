"""What a writer remembers of the last records that a broker acknowledged, to know later whether the logs still hold them.

A log that loses its tail before anybody has read it shows nothing to its readers. So a group notes, in each commit, the last
records that it wrote. There the note is as durable as the commit: a broker that lost both has what
the records followed from read again; one that kept the commit kept the note.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TypeAlias

from streams.core.bookmark import Bookmark

LogId: TypeAlias = tuple[str, int]
"""Topic and partition of one log."""

_NOTED_CHARACTERS = 3_500
"""Brokers accept 4,096 bytes beside an offset; the rest is the bookmark's."""


class Acknowledged:
    """The last acknowledged record in each partition of ``topics``, by this process or by those before it.

    ``overtaken`` are records that cannot be in their logs any more: a later one was acknowledged at or below their offsets.
    """

    def __init__(self, topics: Collection[str] = ()) -> None:
        self.topics = frozenset(topics)
        self.overtaken: dict[LogId, Bookmark] = {}
        self._own: dict[LogId, Bookmark] = {}
        self._learnt: dict[LogId, Bookmark] = {}
        self._changes = 0
        self._encoded = (0, "")

    def note(self, place: LogId, mark: Bookmark) -> None:
        """The broker acknowledged a record of this process; must be called in the order of the acknowledgements."""
        last = self._own.get(place)
        if last is not None and mark.offset <= last.offset:
            # The one that is gone stays noted, until somebody has settled it.
            self.overtaken[place] = last
        elif place not in self.overtaken:
            self._own[place] = mark
            self._changes += 1

    def learn(self, marks: Mapping[LogId, Bookmark]) -> None:
        """What a process before this one noted, and the logs hold."""
        for place, mark in marks.items():
            if (known := self._learnt.get(place)) is None or mark.offset > known.offset:
                self._learnt[place] = mark
                self._changes += 1

    def marks(self) -> dict[LogId, Bookmark]:
        """The last record of each partition."""
        found = dict(self._learnt)
        # Copied at once: Faust commits in a thread of its own.
        for place, mark in dict(self._own).items():
            if place not in found or mark.offset > found[place].offset:
                found[place] = mark
        return found

    def encode(self) -> str:
        """As it is noted beside an offset. The oldest are left out where they do not fit: they are on disk most surely."""
        changes, text = self._encoded
        if changes != self._changes:
            # Counted before they are read: what is noted meanwhile, from the other thread, is encoded the next time.
            changes = self._changes
            text = _encode(self.marks())
            self._encoded = changes, text
        return text


def join(bookmark: Bookmark | None, written: Acknowledged | None) -> str:
    """What is committed beside an offset: a bookmark of what was read, and what was written."""
    noted = written.encode() if written is not None else ""
    return (bookmark.encode() if bookmark is not None else "") + (f"|{noted}" if noted else "")


def split(metadata: str) -> tuple[Bookmark | None, dict[LogId, Bookmark]]:
    """What :func:`join` made; nothing of what older versions and other programs commit otherwise."""
    bookmark, _, noted = metadata.partition("|")
    return Bookmark.decode(bookmark), _decode(noted)


def _encode(marks: Mapping[LogId, Bookmark]) -> str:
    room = _NOTED_CHARACTERS
    found: dict[str, list[str]] = defaultdict(list)
    for (topic, partition), mark in sorted(marks.items(), key=lambda item: item[1].timestamp_ms, reverse=True):
        text = f"{partition}:{mark.encode()}"
        room -= len(text) + 1 + (0 if topic in found else len(topic) + 1)
        if room < 0:
            break
        found[topic].append(text)
    return ";".join(f"{topic}={','.join(texts)}" for topic, texts in found.items())


def _decode(noted: str) -> dict[LogId, Bookmark]:
    found = {}
    for part in filter(None, noted.split(";")):
        topic, _, texts = part.partition("=")
        for text in texts.split(","):
            partition, _, mark = text.partition(":")
            if partition.isdigit() and (decoded := Bookmark.decode(mark)) is not None:
                found[topic, int(partition)] = decoded
    return found
