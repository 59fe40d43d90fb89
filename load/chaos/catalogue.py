"""The faults of a running deployment: each does its damage, waits until the rest has recovered, and says what it saw.

A fault returns the evidence that it bit, in words, or raises `Missed`: then it doesn't count. That nothing was
lost or doubled is for the auditor and the ledger to say, when the run is over.
"""

from functools import partial

from load.chaos import bad_input, crashes, surroundings
from load.chaos.stage import Fault

FAULTS: dict[str, Fault] = {
    **{
        f"kill at {step}": partial(crashes.kill_at, step)
        for step in (*crashes.ROUND_STEPS, *crashes.TAKEOVER_STEPS, "rebalance.revoked")
    },
    "kill -9": crashes.kill,
    "pause past the session": crashes.pause,
    "drain": crashes.drain,
    "join": crashes.join,
    "takeover hangs": partial(crashes.takeover_hangs, "await"),
    "takeover blocks": partial(crashes.takeover_hangs, "block"),
    "clock an hour behind": partial(surroundings.clock, -surroundings.HOUR_S),
    "clock an hour ahead": partial(surroundings.clock, surroundings.HOUR_S),
    "wrong settings": crashes.wrong_settings,
    "broker dies": surroundings.broker_dies,
    "broker slow": surroundings.broker_slow,
    "broker silent": surroundings.broker_silent,
    "disk full": surroundings.disk_full,
    "snapshot damaged": surroundings.snapshot_damaged,
    "input duplicated": bad_input.duplicated,
    "input reordered": bad_input.reordered,
    "input about nothing": bad_input.about_nothing,
    "input piles up": bad_input.piled,
    "input malformed": bad_input.malformed,
    "input misplaced": bad_input.misplaced,
    "input oversized": bad_input.oversized,
    "upstream aborts": bad_input.upstream_aborts,
    "core raises": bad_input.core_raises,
    "solve fails": bad_input.solve_fails,
}
