"""``python -m streams``: the same as ``owdd``."""

from streams.cli import main

main()
