"""The addresses that an e-mail field names.

The field is free text in Orderwise. It is read only if everything in it is understood, because a part of an address is somebody
else's: ``jo smith@firm.co.uk`` does not name ``smith@firm.co.uk``, and ``jo@firm.co,uk`` does not name ``jo@firm.co``. What is
understood is listed in ``docs/contact-rules.md`` section 1; all other text is *unreadable*, which is not the same as empty.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

from email_validator import EmailNotValidError, validate_email

from streams.core.errors import RecordError

# Bounds the time that one field can take.
_LONGEST_FIELD = 4000
_SIMPLE_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@)(?=.{6,254}\Z)[a-z0-9_][a-z0-9_+-]*(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9](?:[a-z0-9]|-(?!-)){0,61}(?<!-)\.)+(?:com|net|org|co\.uk|uk)"
)
"""Plain addresses that email-validator accepts unchanged, which a test proves; all others go through the slow validator."""

# The full-width forms of ASCII, which input methods for Chinese and Japanese write.
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " ", 0xFE64: "<", 0xFE65: ">", 0xFE6B: "@"}
# Invisible without being format characters: fillers, joiners, variation selectors, the blank of Braille.
_INVISIBLE = frozenset("\0\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
_WRAPPING = " \t\r\n<>()[]{}\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb\u2039\u203a"

# Characters of a local part that RFC 5322 allows and no person's address has. In these fields they separate (``/``), replace a
# character that was lost (``?``), or belong to something else (``%20``, ``{{email}}``, ``*``). So does any sign in front.
_ASCII_LOCAL = re.compile(r"[a-z0-9_][a-z0-9_.!#$&'+=^~-]*", re.IGNORECASE)
_LABEL = re.compile(
    r"account|accounts|ad|address|admin|ap|bcc|billing|business|buyer|cc|client|company|contact|customer|delivery|direct|e|email|"
    r"emails|enquiries|finance|from|general|head|home|info|internet|invoice|invoices|mail|mailbox|mails|mailto|main|my|new|"
    r"office|order|orders|our|personal|primary|private|purchasing|remittance|sales|secondary|smtp|statement|statements|to|web|"
    r"work|your"
)
"""The words of a label. No others: ``old:`` and ``do not use:`` are labels too."""
_QUOTED_NAME = re.compile(r'"[^"@]*"(?=\s*<)')
_COMMENT = re.compile(r"(?<!\S)\([^()@]*\)(?![^\s,;])")
_NAMED = re.compile(r'[^"@<>;|\n\r\t]*(?:<|(?<!\S)[(\[])(?P<address>[^<>()\[\]\s]+)[>)\]]')

# The strongest first: a field that has one is split there, and each piece by those that follow.
_SEPARATORS = tuple(
    re.compile(pattern)
    for pattern in (
        r"[;|\n\r\t\v\f\u2028\u2029]",
        r"(?<=>)\s*[,/\s]",
        r",",
        r"/",
        r"#",
        r"(?=<)",
        r"\s+(?:(?:and|or|&|\+|-)\s+)?",
    )
)
_TOKEN_ENDS = re.compile(r"[\s;,|/\\<>()\[\]{}\"#:?=]+")


class AddressField(NamedTuple):
    """What a field says: its addresses, normalised, in order, each once; or that it has text which is not understood."""

    found: tuple[str, ...] = ()
    unreadable: bool = False

    @property
    def empty(self) -> bool:
        """Null or blank: there is no address, by somebody's decision."""
        return not self.found and not self.unreadable


def address_field(value: Any, column: str, no_address: frozenset[str] = frozenset()) -> AddressField:
    """Read an e-mail field.

    Args:
        value: the column's JSON value.
        column: its name.
        no_address: the texts by which people say that there is no address, as :func:`as_word` writes them: an empty field.

    Raises:
        RecordError: ``bad_text``.
    """
    if value is None:
        return AddressField()
    if type(value) is not str:
        raise RecordError("bad_text", f"{column}: not text")
    field = _field(value)
    return AddressField() if field.unreadable and as_word(value) in no_address else field


def as_word(text: str) -> str:
    """A text as it is compared with the words of the mapping: in lower case, without what may stand around it."""
    return " ".join(_visible(text).casefold().split()).strip(_WRAPPING).removesuffix(".")


def mentioned(text: str) -> frozenset[str]:
    """Every address in a text, whatever stands around it; more rather than fewer, for those who must not be mentioned."""
    tokens = _TOKEN_ENDS.split(_visible(text))
    found = [_valid(_unwrapped(token) or "") for token in tokens if "@" in token]
    return frozenset(filter(None, (*found, *_field(text).found)))


@lru_cache(maxsize=65_536)
def _field(field: str) -> AddressField:
    simple = field.strip().lower()
    if _SIMPLE_ADDRESS.fullmatch(simple):
        return AddressField((simple,))
    text = _visible(field).strip()
    if not text:
        return AddressField()
    found = _read(text, _SEPARATORS) if len(field) <= _LONGEST_FIELD else None
    return AddressField(unreadable=True) if not found else AddressField(tuple(dict.fromkeys(found)))


def _visible(field: str) -> str:
    """The text without invisible characters, with the full-width forms of ASCII as ASCII."""
    if field.isascii():
        return field.replace("\0", "")
    shown = (char for char in field if unicodedata.category(char) != "Cf" and char not in _INVISIBLE)
    return "".join(shown).translate(_WIDE)


def _read(text: str, separators: tuple[re.Pattern[str], ...]) -> list[str] | None:
    """The addresses in ``text``; None if any part of it is not understood."""
    text = _COMMENT.sub(" ", _QUOTED_NAME.sub("", text)).strip()
    text = _unlabelled(_unlabelled(text))
    bare = _unwrapped(text)
    if bare is None:
        return None
    if (address := _valid(bare)) is not None:
        return [address]
    if (named := _NAMED.fullmatch(text)) is not None and named["address"] != text:
        return _read(named["address"], ())
    return _split(text, separators)


def _split(text: str, separators: tuple[re.Pattern[str], ...]) -> list[str] | None:
    for number, separator in enumerate(separators, 1):
        pieces = separator.split(text)
        if len(pieces) > 1:
            found: list[str] = []
            for piece in filter(str.strip, pieces):
                addresses = _read(piece, separators[number:])
                if addresses is None:
                    return None
                found += addresses
            return found
    return None


def _unlabelled(text: str) -> str:
    """What a label before an address labels; without a label, the text."""
    for end in (":", "=", " - "):
        label, found, rest = text.partition(end)
        words = re.findall(r"[^\W\d_]+", label.lower())
        # An equals sign may be part of an address, and a dash of a name.
        sure = end == ":" or "mail" in label.lower()
        if found and words and sure and "@" not in label and all(map(_LABEL.fullmatch, words)):
            return (_of_uri(rest) if words[-1] == "mailto" else rest).strip()
    return text


def _of_uri(rest: str) -> str:
    """The addresses of a ``mailto:`` URI (RFC 6068). Its subject goes; a copy to somebody else makes it unreadable."""
    addresses, _, query = rest.partition("?")
    return unquote(rest if "@" in unquote(query) else addresses)


def _unwrapped(text: str) -> str | None:
    """The text without quotes and brackets around it and a full stop at its end; None if nobody knows what they enclose."""
    bare = text.lstrip(_WRAPPING)
    opened = text[: len(text) - len(bare)]
    # One full stop ends a sentence; several stand for a part that is left out.
    address = bare.rstrip(_WRAPPING).removesuffix(".").rstrip(_WRAPPING)
    # One apostrophe in front is Excel's mark of a text; with another one inside it, nobody knows what it quotes.
    ambiguous = "'" in opened and "'" in address and "'" not in bare[len(address) :]
    return None if ambiguous else address


def _valid(text: str) -> str | None:
    """The normalised address if ``text`` is one and nothing else."""
    lower = text.lower()
    if _SIMPLE_ADDRESS.fullmatch(lower):
        return lower
    local = unicodedata.normalize("NFC", text.rpartition("@")[0])
    if not _ordinary(local):
        return None
    try:
        return validate_email(text, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return None


def _ordinary(local: str) -> bool:
    """Whether a local part has only characters that people's addresses have.

    Beyond ASCII these are letters, their marks and digits. A curly quote or a long dash was put there by a word processor, and
    an ordinal, a ligature or U+FFFD stands for something else.
    """
    ascii_only = "".join(char if char.isascii() else "a" for char in local)
    beyond = [char for char in local if not char.isascii()]
    letters = all(unicodedata.category(char) in ("Lu", "Ll", "Lt", "Lo", "Mn", "Mc", "Nd") for char in beyond)
    return _ASCII_LOCAL.fullmatch(ascii_only) is not None and letters and unicodedata.normalize("NFKC", local) == local
