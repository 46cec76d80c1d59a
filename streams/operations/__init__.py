"""What an operator does: dead letters, topics, rebuilds, erasure receipts. The command line calls it, and no stage does.

It may import every package but ``worker`` and ``cli``. Start with ``dlq_store.py``.
"""
