"""Ingest: captured records in; typed, trimmed, re-keyed and packed changes out.

It may import ``domain``, ``engine``, ``messages``, ``capture`` and what lies below; not ``agents`` or ``dispatch``. Start with
``worker.py``, the loop; ``router.py`` decides what goes where.
"""
