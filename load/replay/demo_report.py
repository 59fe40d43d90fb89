"""The report of a demo run, in words that a team lead understands; every number comes from `figures`."""

import textwrap

from load.world.figures import Lane, MarketFigures, RunFigures

WIDTH = 100
RULE = "-" * WIDTH
OUTCOMES: dict[str, str] = {  # of every `TaskOutcome`
    "consensus": "settled with the confidence asked for",
    "exhausted": "ended in doubt after the most judgments allowed",
    "deadline": "were closed at the end with what was known",
    "complete": "completed by overlap",
    "blocked": "were blocked as broken or unclear",
    "cancelled": "were cancelled",
    "budget": "ended with what was known when the budget was spent",
}


def report(run: RunFigures) -> str:
    """Return the whole report."""
    parts = [RULE, *(paragraph for market in run.markets for paragraph in _market(market)), *_system(run)]
    if run.why:
        parts += ["One decision, explained by `allocator why`:", _indent(run.why), ""]
    return "\n".join([*(line for part in parts for line in _wrapped(part)), RULE])


def _wrapped(part: str) -> list[str]:
    """Break what is wider than the page; continuations are indented like their line, and two more."""
    lines = []
    for line in part.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=indent + "  ") if len(line) > WIDTH else [line]
    return lines


def _market(market: MarketFigures) -> list[str]:
    ours, usual = market.ours, market.usual
    return [
        f"{market.name}: {ours.tasks} tasks, recorded answers of real people, one added spammer",
        "",
        f"{'':<34}{'judgments':>10}{'a task':>9}{'accuracy':>10}{'idle':>7}{'too many':>10}{'spammer':>9}",
        _row("allocator", ours),
        _row("usual practice (2 + tie-break)", usual),
        f"{f'vote of {market.fixed.judgments}, for comparison':<34}"
        f"{'':>10}{market.fixed.judgments:>9.2f}{market.fixed.accuracy:>10.3f}",
        f"{f'vote of all {market.every.judgments}, for comparison':<34}"
        f"{'':>10}{market.every.judgments:>9.2f}{market.every.accuracy:>10.3f}",
        "",
        _indent("\n".join([*_saved(market), _outcomes(market), _people(market), _spammer(market)])),
        "",
    ]


def _row(name: str, lane: Lane) -> str:
    return (
        f"{name:<34}{lane.judgments:>10}{lane.judgments / lane.tasks:>9.2f}{lane.accuracy:>10.3f}"
        f"{lane.idle_share:>7.0%}{lane.over:>10}{lane.spammer:>9}"
    )


def _saved(market: MarketFigures) -> list[str]:
    ours, usual, every = market.ours, market.usual, market.every
    spend = ours.judgments / ours.tasks
    if market.vote is None:
        saved = (
            f"Saved: no majority vote reaches our {ours.accuracy:.3f}, not even that of all {every.judgments}"
            f" recorded answers ({every.accuracy:.3f}); we bought {_less(spend, every.judgments)}."
        )
    else:
        saved = (
            f"Saved: a majority vote needs {market.vote.judgments} judgments a task for our accuracy of"
            f" {ours.accuracy:.3f}; we bought {_less(spend, market.vote.judgments)}."
        )
    points = 100 * (ours.accuracy - usual.accuracy)
    more = 100 * (ours.judgments / usual.judgments - 1) if usual.judgments else 0.0
    return [
        saved,
        f"Against the usual practice: {points:+.1f} points of accuracy for {more:+.0f} % judgments;"
        f" when we had spent as much as it ({usual.judgments}), our labels were at {market.same_spend:.3f}.",
    ]


def _less(ours: float, theirs: float) -> str:
    share = 1 - ours / theirs
    return f"{share:.0%} fewer" if share >= 0 else f"{-share:.0%} more"


def _outcomes(market: MarketFigures) -> str:
    often = sorted(market.outcomes.items(), key=lambda pair: -pair[1])
    return f"Tasks: {', '.join(f'{count} {OUTCOMES[outcome]}' for outcome, count in often)}."


def _people(market: MarketFigures) -> str:
    return (
        f"People: {market.left_with_work} times somebody left with work in hand, {market.declined} offers"
        f" were declined, {market.ends.get('expired', 0)} never answered; each went on to somebody else."
    )


def _spammer(market: MarketFigures) -> str:
    total = sum(market.ends.values())
    made = len(market.spammer_offers)
    if not made:
        return "Spammer: got no offer."
    half = sum(place <= total / 2 for place in market.spammer_offers)
    return (
        f"Spammer: open to all {market.ours.tasks} tasks, was offered {made} ({half} in the first half of all"
        f" offers, {made - half} in the second) and judged {market.ours.spammer};"
        f" the usual practice took {market.usual.spammer}."
    )


def _system(run: RunFigures) -> list[str]:
    lines = [f"Worker: ready {run.ready_s:.1f} s after its start; the replay took {run.replay_s:.1f} s."]
    if run.killed_at_s is not None:
        lines.append(
            f"Crash: killed with -9 at second {run.killed_at_s:.0f} of the replay and started again;"
            + (
                f" the first round of its successor came {run.outage_s:.1f} s later."
                if run.outage_s is not None
                else " its successor made no round."
            )
        )
    lines += [
        f"Audit: {run.violations} violation{'' if run.violations == 1 else 's'} of the promises, by a checker"
        " that knows only the topics.",
        f"Speed: from an event to the assignment it led to, p50 {run.latency.p50_ms:.0f} ms, p99"
        f" {run.latency.p99_ms:.0f} ms ({run.latency.samples} events, the outage left out).",
        f"Rounds: {run.rounds.rounds}, {run.rounds.with_offers} of them with offers; value missed against the"
        f" optimum at most {run.rounds.gap_median:.2%} (median) and {run.rounds.gap_max:.2%} (worst round);"
        f" {run.rounds.unproven:.0%} of the value was offered beyond what that speaks of.",
        "",
    ]
    return lines


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
