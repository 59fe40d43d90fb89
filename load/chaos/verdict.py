"""The verdict over everything that was run: figures, bars, and what was found in words."""

import msgspec

from load.chaos.catalogue import FAULTS
from load.chaos.run import Outcome

EVENTS_BAR, FAULTS_BAR, MINUTES_BAR = 1_000_000, 60, 30.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    minutes: float
    events: int
    events_in_log: int
    judgments: int
    settled: int
    offers: int
    rounds: int
    records_audited: int
    faults: int
    kinds: int
    missed: list[str]
    by_kind: dict[str, int]
    restarts: int
    longest_silence_s: float
    violations: int
    ledger_problems: int
    settlements: dict[str, int]
    dead_letters: dict[str, int]
    trials: dict[str, bool]
    unfenced_violations: int
    double_offer_violations: int


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    events: int = EVENTS_BAR
    faults: int = FAULTS_BAR
    minutes: float = MINUTES_BAR
    violations: int = 0
    ledger_problems: int = 0
    unfenced_violations: int = 1
    double_offer_violations: int = 1
    kinds: int = len(FAULTS)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of the command."""

    figures: Figures
    bars: Bars
    findings: list[str]
    ok: bool


def judge(large: Outcome, trials: list[tuple[str, bool, str]], guilty: dict[str, Outcome], seconds: float) -> Verdict:
    """Judge all runs together; a part that was left out is below its bar.

    Parameters
    ----------
    large : Outcome
        The run that must be clean.
    trials : list of (name, passed, words)
    guilty : dict
        The runs `unfenced` and `double offer`, whose audits must fail.
    seconds : float
        Of everything.
    """
    bitten, bars, ledger = large.bitten, Bars(), large.ledger
    figures = Figures(
        minutes=round(seconds / 60.0, 1),
        events=large.events,
        events_in_log=ledger.records if ledger else 0,
        judgments=ledger.judgments if ledger else 0,
        settled=ledger.settled if ledger else 0,
        offers=large.offers,
        rounds=large.audit_rounds,
        records_audited=large.audit_records,
        faults=sum(bitten.values()),
        kinds=len(bitten),
        missed=sorted({fated.fault for fated in large.faults if not fated.bit}),
        by_kind=dict(sorted(bitten.items())),
        restarts=large.restarts,
        longest_silence_s=round(large.longest_silence_s, 1),
        violations=large.violations,
        ledger_problems=ledger.problems if ledger else 1,
        settlements=ledger.outcomes if ledger else {},
        dead_letters=ledger.dead_letters if ledger else {},
        trials={name: passed for name, passed, _ in trials},
        unfenced_violations=guilty["unfenced"].violations if "unfenced" in guilty else 0,
        double_offer_violations=guilty["double offer"].violations if "double offer" in guilty else 0,
    )
    findings = [*large.violation_words, *(ledger.words if ledger else []), *large.unexpected]
    findings += [f"the run failed: {large.failure}"] if large.failure else []
    findings += [f"{large.unacknowledged} records were never acknowledged"] if large.unacknowledged else []
    findings += [f"{name}: {words}" for name, passed, words in trials if not passed]
    # a control run that came to grief otherwise has proved nothing about the auditor
    findings += [f"control run {name} failed: {run.failure}" for name, run in guilty.items() if run.failure]
    ok = (
        large.is_clean
        and bool(trials)
        and all(passed for _, passed, _ in trials)
        and figures.events >= bars.events
        and figures.faults >= bars.faults
        and figures.kinds >= bars.kinds
        and figures.minutes <= bars.minutes
        and figures.unfenced_violations >= bars.unfenced_violations
        and figures.double_offer_violations >= bars.double_offer_violations
    )
    return Verdict(figures=figures, bars=bars, findings=findings, ok=ok)
