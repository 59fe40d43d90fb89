"""The world against a running system: the demo (`demo`, `session`), and a replay against workers that already run."""
