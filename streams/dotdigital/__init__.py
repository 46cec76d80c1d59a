"""Dotdigital's REST API: the calls that we make, typed, with a class of error for every way of failing.

It may import ``mapping`` (names that the account must hold) and ``core``, and can be built without our settings. Start with
``client.py``; ``errors.py`` draws the tree of errors.
"""
