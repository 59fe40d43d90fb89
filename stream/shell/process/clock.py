"""The worker's clock: the one place where a process learns what time it is.

Rounds, horizons and deadlines read it; it is the machine's clock, and a proof may shift it
(:mod:`stream.shell.faults`) to see that steps of a machine's clock break no promise.
"""

import time

from stream.shell import faults


def unix_s() -> float:
    """Unix seconds."""
    return time.time() + faults.clock_offset_s()
