"""Erasure from outside: asking for it, following who was erased, and the receipt."""
