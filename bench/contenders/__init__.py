"""The peers: the same join, written as each framework's users would write it. Each module runs as a process of its own."""
