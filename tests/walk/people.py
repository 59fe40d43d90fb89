"""Simulated people for the walks: whoever is offered a task answers it, rightly nine times in ten."""

import random
import threading
import time
from collections.abc import Callable, Mapping

from load.system.wire import Wire
from stream.events import AssignmentOffered, JudgmentSubmitted
from stream.topics import ASSIGNMENTS


class People(threading.Thread):
    """Everybody of a pool, until `stop`.

    Parameters
    ----------
    bootstrap : str
    partitions : int
    truth : mapping
        The right class of each task.
    classes : int
    seed : int
    """

    def __init__(self, bootstrap: str, partitions: int, truth: Mapping[str, int], classes: int, seed: int = 1) -> None:
        super().__init__(daemon=True)
        self._wire = Wire(bootstrap, partitions, (ASSIGNMENTS,))
        self._truth, self._classes, self._random = truth, classes, random.Random(seed)
        self._end = threading.Event()
        self.answered = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._end.is_set():
                said = []
                for offer, _ in self._wire.poll(0.05):
                    if isinstance(offer, AssignmentOffered):
                        said.append(
                            JudgmentSubmitted(
                                pool=offer.pool, at=time.time(), annotator=offer.annotator, task=offer.task,
                                label=self._label(offer.task), duration_s=round(self._random.uniform(2, 9), 1),
                            )
                        )  # fmt: skip
                self._wire.send_annotators(said)
                self._wire.flush()
                self.answered += len(said)
        except BaseException as error:
            self.error = error
        finally:
            self._wire.__exit__(None, None, None)

    def _label(self, task: str) -> int:
        if self._random.random() < 0.9:
            return self._truth[task]
        return self._random.randrange(self._classes)

    def stop(self) -> None:
        """Go home."""
        self._end.set()
        self.join(30)
        assert self.error is None, self.error


def until(claim: Callable[[], bool], limit_s: float, what: str) -> None:
    """Wait until `claim` holds."""
    end = time.monotonic() + limit_s
    while not claim():
        assert time.monotonic() < end, f"not within {limit_s:.0f} s: {what}"
        time.sleep(0.5)
