"""Consent words that the mapping does not know: seen in the stream, they are an alarm and never silence.

The contact of such a row counts as one without consent: it is created unsubscribed, and an existing one is left alone.
"""

import structlog

from streams.capture.envelope import UNAVAILABLE, RowEvent
from streams.capture.reader import column_of, listed
from streams.mapping import Mapping
from streams.observability.metrics import Metrics

OTHER = "(other)"
"""Stands for words that are not shown: the column may be free text, and hold what people wrote of themselves."""
_MOST_WORDS = 20
_LONGEST = 30

log = structlog.get_logger()


class ConsentWords:
    """Counts the unknown words of the mapped consent column; the first of each is logged."""

    def __init__(self, mapping: Mapping, metrics: Metrics) -> None:
        rule = mapping.consent
        self._table = mapping.contact.table.casefold()
        self._column = rule.column if rule.mode == "column" else None
        self._known = rule.opted_in | rule.opted_out
        self._metrics = metrics
        self._shown: set[str] = set()

    def note(self, event: RowEvent) -> None:
        """Count the row's word if the mapping does not know it; no value at all is no word."""
        if self._column is None or event.table.casefold() != self._table or event.after is None:
            return
        value = column_of(event.after, self._column)
        word = None if value == UNAVAILABLE else listed(value)
        if word and word not in self._known:
            self._count(word if self._may_be_shown(word) else OTHER)

    def _may_be_shown(self, word: str) -> bool:
        if len(word) > _LONGEST or "@" in word or not word.isprintable():
            return False
        return word in self._shown or len(self._shown - {OTHER}) < _MOST_WORDS

    def _count(self, word: str) -> None:
        if word not in self._shown:
            self._shown.add(word)
            log.warning("consent word is not in the mapping", word=word, column=self._column)
        self._metrics.unknown_consent_words.labels(word).inc()
