"""A task whose counted judgments lie in the pool's scratch, as the skill model takes it."""

import numpy as np

from kernels.jit import inner
from kernels.skill import Judged


@inner
def gathered(pool, t, n, truth, at):
    """Task ``t`` with the first ``n`` judgments of the scratch, judged by this ``truth``."""
    return Judged(
        np.int64(pool.tasks[t].model), pool.seats, pool.labels, pool.stamps, n, truth, pool.belief[t],
        pool.reported[t], at,
    )  # fmt: skip
