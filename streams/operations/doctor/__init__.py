"""Everything that a deployment needs, looked at from outside: nothing is changed, and workers may run.

Each part yields findings; start with ``examine.py``. What a worker checks when it starts is not checked in another way here:
the same functions are asked, and their errors become findings.
"""
