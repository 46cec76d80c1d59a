"""How many records to read at a time: aiokafka bounds a poll in records only, and those of captured tables may be large."""

MOST_BYTES = 16 * 2**20
_FIRST = 500


class PollSize:
    """The number of records of the next poll, from the size of those in the last one; ``most`` at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.records = min(most, _FIRST)

    def record(self, records: int, size: int) -> None:
        """A poll had so many records, at least one, with so many bytes together. Growth is gradual: the next may be larger."""
        fitting = MOST_BYTES * records // max(size, 1)
        self.records = max(1, min(self._most, fitting, 2 * self.records))
