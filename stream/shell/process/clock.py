"""The worker's clock: the one place where a process learns what time it is.

Rounds, horizons and deadlines read it; it is the machine's clock.
"""

import time


def unix_s() -> float:
    """Unix seconds."""
    return time.time()
