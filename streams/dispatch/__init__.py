"""Dispatch: the difference between desired and delivered contacts, sent once, in time, and answered for."""
