"""`python -m load.bench.bench_demo`: does the demo keep what it promises, three times?

rte with overlap 2 and at most 10 judgments a task, a spammer in every `only`, the worker killed once a
seed. The bar: mean accuracy over all 800 tasks (ties share credit, unsettled tasks count) with at most
so many judgments received in every run, the spammer's, late and surplus ones included, of which the spammer on average
gave at most so many, and an audit without violations.

The last line of the output is one JSON object with figures, bars and `ok`. Exits 1 below the bar.
"""

import sys
from statistics import mean

import click
import msgspec

from load.replay.live import View
from load.replay.session import Setting, new_app_id, run
from load.system.deployment import NotEmpty, require_empty
from load.system.worker_process import WorkerFailed
from load.world.figures import RunFigures
from stream.local import kafka_or_exit

ACCURACY = 0.912
JUDGMENTS = 3600
SPAMMER = 50
TOTAL_S = 75.0
KILL_AT_S = 15.0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Figures beside their bars; lists have one entry a seed."""

    bench: str
    seeds: list[int]
    accuracy: list[float]
    accuracy_mean: float
    accuracy_bar: float
    judgments: list[int]
    judgments_bar: int
    usual_accuracy: list[float]
    usual_judgments: list[int]
    spammer: list[int]
    spammer_mean_bar: int
    settled: list[int]
    tasks: list[int]
    violations: list[int]
    total_s: list[float]
    total_s_bar: float
    p50_ms: list[float]
    p99_ms: list[float]
    ok: bool


def judge(runs: list[RunFigures]) -> Verdict:
    """Compare the runs, one a seed, with the bars."""
    markets = [run.markets[0] for run in runs]
    right = [market.ours.accuracy for market in markets]
    bought = [market.ours.judgments for market in markets]
    violations = [run.violations for run in runs]
    took = [run.total_s for run in runs]
    spam = [market.ours.spammer for market in markets]
    ok = (
        mean(right) >= ACCURACY
        and max(bought) <= JUDGMENTS
        and mean(spam) <= SPAMMER
        and not any(violations)
        and max(took) <= TOTAL_S
    )
    return Verdict(
        bench="demo",
        seeds=[run.seed for run in runs],
        accuracy=right,
        accuracy_mean=mean(right),
        accuracy_bar=ACCURACY,
        judgments=bought,
        judgments_bar=JUDGMENTS,
        usual_accuracy=[market.usual.accuracy for market in markets],
        usual_judgments=[market.usual.judgments for market in markets],
        spammer=spam,
        spammer_mean_bar=SPAMMER,
        settled=[market.ours.settled for market in markets],
        tasks=[market.ours.tasks for market in markets],
        violations=violations,
        total_s=took,
        total_s_bar=TOTAL_S,
        p50_ms=[run.latency.p50_ms for run in runs],
        p99_ms=[run.latency.p99_ms for run in runs],
        ok=ok,
    )


@click.command()
@click.option("--seeds", default="1,2,3", show_default=True, help="One run each.")
def main(seeds: str) -> None:
    """Run the demo once a seed on one broker and judge it."""
    runs = []
    with kafka_or_exit() as bootstrap:
        app_id = new_app_id()
        try:
            require_empty(bootstrap)
            for seed in map(int, seeds.split(",")):
                setting = Setting(data=("rte",), seed=seed, kill_at_s=KILL_AT_S)
                view = View(sys.stdout, [f"rte, seed {seed}"])
                runs.append(run(bootstrap, setting, app_id, say=click.echo, watch=view.show))
        except (WorkerFailed, NotEmpty) as error:
            click.echo(f"error: {error}", err=True)
            raise SystemExit(1) from None
    verdict = judge(runs)
    click.echo(msgspec.json.encode(verdict).decode())
    if not verdict.ok:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
