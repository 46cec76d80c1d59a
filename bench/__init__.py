"""Benchmarks: every number with a date, a machine, a command, a peer in the same run, and a spread.

``python -m bench all`` runs them on the embedded broker; ``docs/performance.md`` has their results. Neither the product nor its
tests import it. Start with ``results.py``, then a benchmark such as ``join.py``.
"""
