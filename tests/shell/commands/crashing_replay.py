"""A replay that dies at a chosen step, as by kill -9: ``python -m tests.shell.commands.crashing_replay before|after``.

``before``: the records are sent and the transaction is not committed. ``after``: it is committed, and nobody was told.
"""

import os
import signal
import sys
from typing import Any

from stream.settings import load
from stream.shell.commands.letter_box import Filter
from stream.shell.commands.replay_letters import Replay


class Dying:
    """A producer that kills its process around the commit."""

    def __init__(self, producer: Any, step: str) -> None:
        self._producer, self._step = producer, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def commit_transaction(self) -> None:
        self._producer.flush()
        if self._step == "after":
            self._producer.commit_transaction()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    with Replay(load()) as replay:
        replay._producer = Dying(replay._producer, sys.argv[1])
        replay.put_back(replay.chosen((), Filter()), lambda letter: None)
