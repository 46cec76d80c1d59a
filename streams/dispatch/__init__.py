"""Dispatch: the difference between desired and delivered state, sent once, in time, and written down.

It may import everything but ``operations``, ``worker`` and ``cli``. Start with ``service.py``, which puts the parts together,
then ``outbox/`` (the state of every delivery) and ``senders/`` (the calls).
"""
