"""The wire formats between stages: changes, deliveries, dead letters, audit entries, erasure requests.

It may import ``kafka``, ``capture`` (whose rows changes carry) and what lies below. Start with ``changes.py``.
"""
