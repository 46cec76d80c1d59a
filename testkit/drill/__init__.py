"""Drills: what the alerts must find is broken on purpose in front of a real Prometheus.

``cases`` says what is broken and which alert must come, ``scene`` is everything that runs, and does the harm; ``play`` is one
drill, from calm to calm. ``alerts`` runs Prometheus, ``shorter`` divides the times of its rules, ``inhibition`` leaves out what
follows from another alert, and ``results`` keeps and shows what came of it. Start with ``play``. It may import the rest of the
testkit, except the command line.
"""
