"""Faults again and again: shops play while workers, the broker and the network fail, and nothing may be wrong at the end.

``scenario`` names what is played and ``faults`` does the harm; ``play`` is one run, from empty topics to the count of
differences; ``journal`` keeps the results of all runs, and ``table`` writes them into the guarantees. Start with ``play``.
It may import the rest of the testkit, except the command line.
"""
