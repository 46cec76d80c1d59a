"""What every package may import: clock, errors, lanes, backoff. It imports nothing of the product. Start with ``errors.py``."""
