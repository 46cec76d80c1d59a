"""Grafana's dashboards, as code: ``make docs`` writes them to ``grafana/dashboards``.

Start with ``overview.py``: a board is rows of panels, each with its queries, its unit and what to do. ``build.py`` makes
Grafana's JSON of it, through Grafana's own SDK (an extra of development: nothing that runs needs it).
"""
