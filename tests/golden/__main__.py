"""``python -m tests.golden``: write the golden events anew (``make golden``)."""

from tests.golden.generate import EVENTS, generate

if __name__ == "__main__":
    EVENTS.write_bytes(generate())
