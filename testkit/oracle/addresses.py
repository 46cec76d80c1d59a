"""The addresses of an e-mail field, read from left to right by one grammar (contact rules §1.1)."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from email_validator import EmailNotValidError, validate_email

UNREADABLE = "unreadable"
"""What a field says whose text is not wholly understood."""

_UNSEEN = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)}
_LONGEST = 4000
_OPENED, _CLOSED = r"[<(\[{\"'`‘“«‹]*", r"[>)\]}\"'`’”»›]*"
_BARE = r"[^\s@<>()\[\]{}\"`‘’“”«»‹›;,|/]+@[^\s@<>()\[\]{}\"'`‘’“”«»‹›;,|/#]+"
_LABEL = (
    "account|accounts|ad|address|admin|ap|bcc|billing|business|buyer|cc|client|company|contact|customer|delivery|direct|e|email"
    "|emails|enquiries|finance|from|general|head|home|info|internet|invoice|invoices|mail|mailbox|mails|main|my|new"
    "|office|order|orders|our|personal|primary|private|purchasing|remittance|sales|secondary|smtp|statement|statements|to|web"
    "|work|your"
)
_WORDS = rf"(?:{_LABEL})(?:[\W\d_]+(?:{_LABEL}))*"
_ITEM = re.compile(
    rf"(?:{_WORDS}[\W\d_]*?:\s*)?"
    rf"(?:(?P<name>\"[^\"@<>]*\"\s*(?=<)|[^\"@<>;|]*(?=<)|(?:[^\"@<>;|(\[]*\s)?(?=[(\[]))?[<(\[](?:mailto:)?(?P<named>{_BARE})[>)\]]\.?"
    rf"|{_OPENED}(?:mailto:)?(?P<bare>{_BARE}){_CLOSED}\.?{_CLOSED})"
    r"(?:\s+\([^()@]*\))?",
    re.IGNORECASE,
)
_STRONG = re.compile(r"[;|\n\r\t\v\f\u2028\u2029]")
_WEAK = re.compile(r"\s*[,/#]\s*|\s+(?:(?:and|or|&|\+|-)\s+)?|(?=<)")


def addresses(field: Any) -> list[str]:
    """The addresses of an e-mail field, in order, each once; none if it is empty or unreadable."""
    found = read(field)
    return [] if found == UNREADABLE else list(found)


def unreadable(field: Any) -> bool:
    """Whether the field has text that names no address for certain."""
    return read(field) == UNREADABLE


def first_used(row: Mapping[str, Any], columns: Iterable[str]) -> str | None:
    """The first of ``columns`` whose field is not empty: it decides, readable or not."""
    return next((column for column in columns if read(row[column])), None)


def read(field: Any) -> tuple[str, ...] | str:
    """The addresses of a field, or :data:`UNREADABLE`; an empty field has none."""
    return () if field is None else _read(str(field))


@lru_cache(maxsize=1 << 16)
def _read(field: str) -> tuple[str, ...] | str:
    text = "".join(_shown(sign) for sign in field).strip()
    if not text:
        return ()
    if len(field) > _LONGEST:
        return UNREADABLE
    found: list[str] = []
    for segment in _STRONG.split(re.sub(r"\"[^\"@]*\"(?=\s*<)", "", text)):
        addresses = _segment(segment.strip())
        if addresses is None:
            return UNREADABLE
        found += addresses
    return tuple(dict.fromkeys(found)) or UNREADABLE


def _shown(sign: str) -> str:
    if unicodedata.category(sign) == "Cf" or ord(sign) in _UNSEEN or sign == "\0":
        return ""
    return chr(ord(sign) - 0xFEE0) if 0xFF01 <= ord(sign) <= 0xFF5E else "@" if sign == "\ufe6b" else sign


def _segment(text: str) -> list[str] | None:
    """The addresses between two strong separators."""
    text = re.sub(r"(?<!\S)\([^()@]*\)(?![^\s,])", " ", text).strip(" ,")
    label = re.fullmatch(rf"{_WORDS}[\W\d_]*?(?::|=|\s-\s)\s*(.+)", text, re.IGNORECASE)
    if label is not None and "@" not in text[: label.start(1)]:
        text = label[1]
    if text.lower().startswith("mailto:"):
        text, _, query = text.partition("?")
        if "@" in unquote(query):
            return None
        text = unquote(text)
    found, place = [], 0
    while place < len(text):
        item = _ITEM.match(text, place)
        address = None if item is None else _address(item["named"] or item["bare"], item[0])
        if item is None or address is None:
            return None
        found.append(address)
        gap = _WEAK.match(text, item.end())
        if gap is None and item.end() < len(text):
            return None
        place = item.end() if gap is None else gap.end()
    return found


def _address(text: str, around: str) -> str | None:
    if around.startswith("'") and not around.endswith("'") and "'" in text.lstrip("'"):
        return None
    text = unicodedata.normalize("NFC", text.lstrip("'").removesuffix("."))
    local = text.partition("@")[0]
    if not re.match(r"\w", local) or re.search(r"[%?*|{}`/\\]", local):
        return None
    beyond = [sign for sign in local if not sign.isascii()]
    if any(unicodedata.category(sign) not in {"Lu", "Ll", "Lt", "Lo", "Mn", "Mc", "Nd"} for sign in beyond):
        return None
    if unicodedata.normalize("NFKC", local) != local:
        return None
    try:
        return validate_email(text, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return None
