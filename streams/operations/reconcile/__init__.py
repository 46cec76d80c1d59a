"""Reconciliation: what Dotdigital holds, read back and compared with what was delivered.

Begin with ``drift.py``, which decides what a difference is. ``pages.py`` and ``checks.py`` read, ``reconciler.py`` runs it all
in one worker at a time, and ``runs.py`` is how people ask for a run and see what it found.
"""
