"""A worker with the allocator's own shards, as a program for the harness.

    python -m tests.shell.allocating        settings from the environment
"""

from stream.shell.commands.cli import main

if __name__ == "__main__":
    main(["worker"])
