"""The joins: one handler per key, each a thin shell that folds changes into state rows with ``streams.domain``.

It may import ``domain``, ``engine``, ``messages`` and what lies below; neither ``ingest`` nor ``dispatch``. Start with
``orders.py``: ``handle`` is the shape that all four handlers have, fold every change, then project each touched row once.
"""
