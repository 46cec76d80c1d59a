"""Offsets that are worth one read from the first to the last of them."""

from collections.abc import Iterator


def chunks(offsets: list[int], most: int, span: int) -> Iterator[list[int]]:
    """``offsets`` in order, at most ``most`` together and at most ``span`` apart."""
    chunk: list[int] = []
    for offset in offsets:
        if chunk and (len(chunk) == most or offset - chunk[0] >= span):
            yield chunk
            chunk = []
        chunk.append(offset)
    if chunk:
        yield chunk
