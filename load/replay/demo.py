"""`allocator demo`: a labelling project with real people's answers, through a real Kafka, in about a minute.

Two lanes on one clock: ours through Kafka and the usual practice beside it. On the way the worker is
killed with -9. Exits 0 when the audit finds no violation, 1 when it does or the worker fails, 2 when
there is no broker to run on.
"""

import signal
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import click
import msgspec

from load.replay.demo_report import report
from load.replay.live import View
from load.replay.session import Setting, new_app_id, run
from load.system.deployment import NotEmpty, require_empty
from load.system.worker_process import Worker, WorkerFailed
from load.world.crowd import DataError
from load.world.figures import RunFigures
from load.world.live_market import Moment
from stream.local import folder, kafka_or_exit

DEFAULT = Setting()
KILL_AT_S = 15.0


@click.command("demo")
@click.option("--data", default=",".join(DEFAULT.data), show_default=True, help="Label sets, by commas.")
@click.option("--seed", default=DEFAULT.seed, show_default=True, help="Who comes when, and thinks how long.")
@click.option("--seconds", default=DEFAULT.seconds, show_default=True, help="Most seconds of the replay.")
@click.option("--tasks", type=click.IntRange(1), help="Only the first N tasks of each set.")
@click.option("--no-kill", is_flag=True, help="Let the worker live.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="For the figures.")
@click.option("--keep", is_flag=True, help="Keep all running until Ctrl-C, for other shells (`up --demo`).")
def demo(
    *,
    data: str,
    seed: int,
    seconds: float,
    tasks: int | None,
    no_kill: bool,
    json_file: Path | None,
    keep: bool,
) -> None:
    """Replay real labelling projects through Kafka and report what was saved at what accuracy."""
    kill_at_s = None if no_kill else min(KILL_AT_S, seconds / 3)
    names = tuple(name.strip() for name in data.split(","))
    setting = Setting(data=names, seed=seed, seconds=seconds, tasks=tasks, kill_at_s=kill_at_s)
    view = View(sys.stdout, names)

    def watch(elapsed: float, moments: list[Moment], news: str) -> None:
        view.show(elapsed, moments, news)

    with kafka_or_exit() as bootstrap, ExitStack() as stack:
        click.echo(f"Kafka at {bootstrap}. Replaying {', '.join(names)}, {setting.speed:.0f} times faster.")
        if kill_at_s is not None:
            click.echo(f"The worker will be killed with -9 at second {kill_at_s:.0f} of the replay.")

        def opened(worker: Worker) -> None:
            if keep and bootstrap.startswith("127.0.0.1:"):
                stack.enter_context(folder.announced(folder.demo_folder(), worker.environment))
                click.echo("Other shells find it: allocator status, why, labels, doctor; `allocator down` stops it.")

        def linger(figures: RunFigures) -> None:
            if keep:
                click.echo(report(figures))
                click.echo(f"Broker {bootstrap} and worker keep running; Ctrl-C or `allocator down` stops them.")
                with suppress(KeyboardInterrupt):
                    signal.pause()

        try:
            require_empty(bootstrap)
            figures = run(
                bootstrap, setting, new_app_id(), say=click.echo, watch=watch, opened=opened, linger=linger
            )
        except (folder.NoDeployment, WorkerFailed, NotEmpty, DataError) as error:
            click.echo(f"error: {error}", err=True)
            raise SystemExit(1) from None
    if not keep:
        click.echo(report(figures))
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    if figures.violations:
        click.echo(figures.audit, err=True)
        raise SystemExit(1)


if __name__ == "__main__":
    demo()
