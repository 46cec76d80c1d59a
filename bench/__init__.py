"""Benchmarks: every number with a date, a machine, a command, a peer in the same run, and a spread.

``python -m bench all`` runs them on the embedded broker; ``docs/performance.md`` has their results.
"""
