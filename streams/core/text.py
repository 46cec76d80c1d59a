"""Text of others, made fit for a line of a log or of a terminal."""

import re

# C0 and C1 controls, separators of lines and paragraphs, marks that turn the direction of what follows, half surrogate pairs.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""``text`` on one line, with every control character written as an escape: a line break as ``\n``, ESC as ``\x1b``."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def printable_lines(text: str) -> str:
    """As :func:`printable`, for text of ours that has several lines: its line breaks stay."""
    return "\n".join(map(printable, text.split("\n")))


def age(seconds: float) -> str:
    """An age as people read it: ``90 s``, ``12 min``, ``5.3 h``, ``4 days``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
