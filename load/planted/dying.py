"""Death at a step: kill -9 of this process by itself, when it reaches a named place often enough."""

import os
import signal
import threading

from stream.shell.process import steps

#: the request has left, its answer has not come: longer than a send, shorter than a commit
COMMIT_UNDER_WAY_S = 0.0005


def die_at(fatal: str, times: str = "1") -> None:
    """Die when `fatal` is reached for that time."""
    left = int(times)

    def reach(step: steps.Step) -> None:
        nonlocal left
        if step != fatal:
            return
        left -= 1
        if left:
            return
        if step == "commit.during":
            threading.Timer(COMMIT_UNDER_WAY_S, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    vars(steps)["reach"] = reach
