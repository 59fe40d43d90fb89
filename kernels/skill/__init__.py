"""Streaming skill and consensus: who is how good at what, and how sure is each task's label.

`layout` holds the columns, `update` learns from judgments, `revise` is where they come in and are taken back,
`evidence` learns from imports and scores, `value` says what is known about an annotator and what one more judgment
would be worth, `rows` saves and restores.

Contract. A task is the caller's: its counted judgments (annotator, label, stamp), its truth or -1, `belief`
and `reported`, both float32 and both zeros at first. Every call hands them over as scratch arrays; `belief`
and `reported` are what is counted in the statistics of the annotators, so they must come back unchanged with
the next call. Room is the caller's too: before `open_model` and `seat` it makes sure of it. A
task that settles keeps its judgments, `belief` and `reported` as long as a truth, a retraction or a
correction may still arrive; then it is dropped and its part of the statistics stays.
"""

from kernels.skill.compile import precompile
from kernels.skill.drift import alarms, drift
from kernels.skill.evidence import score, seed
from kernels.skill.report import Known, known
from kernels.skill.revise import correct, forget, learn, refresh, revise
from kernels.skill.seat_rows import load_model, load_seat, save_model, save_seat
from kernels.skill.skill_columns import (
    ENGINES,
    MAX_CLASSES,
    MODEL,
    SEAT,
    Judged,
    Skills,
    begin_model,
    belief_width,
    empty,
    evidence_width,
    model_width,
    open_model,
    seat,
)
from kernels.skill.value import (
    THETA_WIDTH,
    ability,
    at_least,
    contained,
    gain,
    gain_prepared,
    lesson,
    mean,
    prepare,
    quantile,
    sample_size,
    typical,
    unchecked,
)

__all__ = [
    "ENGINES",
    "MAX_CLASSES",
    "MODEL",
    "SEAT",
    "THETA_WIDTH",
    "Judged",
    "Known",
    "Skills",
    "ability",
    "alarms",
    "at_least",
    "begin_model",
    "belief_width",
    "contained",
    "correct",
    "drift",
    "empty",
    "evidence_width",
    "forget",
    "gain",
    "gain_prepared",
    "known",
    "learn",
    "lesson",
    "load_model",
    "load_seat",
    "mean",
    "model_width",
    "open_model",
    "precompile",
    "prepare",
    "quantile",
    "refresh",
    "revise",
    "sample_size",
    "save_model",
    "save_seat",
    "score",
    "seat",
    "seed",
    "typical",
    "unchecked",
]
