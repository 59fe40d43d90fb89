"""Auction kernel: sparse b-matching with a proof of quality, cold or warm.

`solve` answers one market, `Market` keeps one alive between rounds, `certificate` judges any answer,
`explain` says why.  Start reading at `layout`, then `forward`, `reverse`, `audit`, `scaling`, `finish`, `solver`;
`arena`, `warm` and `market` add persistence."""

from kernels.auction.certificate import certificate, dual_bound
from kernels.auction.explain import Explanation, explain, flip
from kernels.auction.market import Market, Round
from kernels.auction.precompile import precompile
from kernels.auction.solver import Solution, solve

__all__ = [
    "Explanation",
    "Market",
    "Round",
    "Solution",
    "certificate",
    "dual_bound",
    "explain",
    "flip",
    "precompile",
    "solve",
]
