"""Auction kernel: sparse b-matching with a proof of quality, cold or warm.

`solve` answers one market, `certificate` judges any answer.  Start reading at `layout`, then `forward`, `reverse`,
`audit`, `scaling`, `solver`.
"""

from kernels.auction.certificate import certificate
from kernels.auction.precompile import precompile
from kernels.auction.solver import Solution, solve

__all__ = ["Solution", "certificate", "precompile", "solve"]
