"""Operators' actions: dead letters, topics, rebuilds, erasure receipts. The command line calls them; no stage does.

It may import every package but ``worker`` and ``cli``. Start with ``dlq_store.py``.
"""
