"""A task whose counted judgments lie in the pool's scratch, as the skill model takes it."""

import numpy as np

from kernels.jit import inner
from kernels.skill import Judged


@inner
def gathered(pool, t, n, truth, at):
    """Task ``t`` with the first ``n`` judgments of the scratch, judged by this ``truth``."""
    return Judged(
        np.int64(pool.tasks.records[t].model),
        pool.gathered.seats, pool.gathered.labels, pool.gathered.stamps, n, truth, pool.tasks.belief[t],
        pool.tasks.reported[t], at,
    )  # fmt: skip
