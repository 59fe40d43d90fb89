"""The commands `up`, `down` and `status`: a whole deployment on this machine, in one command.

`up` stays until Ctrl-C or `down`; other shells find it by its folder (`stream.local.folder`), whatever their directory.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import FrameType

import click
import msgspec

from stream.files.complaints import plural
from stream.local import folder as folders
from stream.local.embedded import ALLOCATOR, PARTITIONS, Deployment, page_answers
from stream.local.folder import BOOTSTRAP, Kept
from stream.settings import load
from stream.shell.commands.failures import FINE, WRONG, NotRight, PersonNeeded, plain_errors
from stream.shell.commands.state import Known, read_state
from stream.shell.commands.telling import printable
from stream.shell.commands.topic_reader import TopicReader
from stream.shell.commands.workers import Lag

START_LIMIT_S = 400.0
STOP_LIMIT_S = 60.0
NEXT = "import tasks.csv --pool team --project animals --skill animals --labels cat,dog --overlap 3"

folder_option = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    envvar=folders.FOLDER_VARIABLE,
    help="Where its data lie; run/up of this checkout.",
)


@click.command()
@folder_option
@click.option("-d", "--detach", is_flag=True, help="Return when it is ready; `allocator down` stops it.")
@click.option("--demo", is_flag=True, help="Let the people of recorded projects work in it, in a folder of its own.")
@click.option("--partitions", type=click.IntRange(1, 64), default=PARTITIONS, show_default=True, help="Of a new one.")
@click.option("--seconds", type=click.FloatRange(1), default=45.0, show_default=True, help="Of the demo, at most.")
def up(folder: Path | None, detach: bool, demo: bool, partitions: int, seconds: float) -> None:
    """Start a deployment on this machine: Kafka, topics, a worker. Ctrl-C or `allocator down` stops it.

    Nothing else has to be installed. It listens on the loopback interface only; its data stay in its folder, so that
    the next `up` goes on where this one ended. Other shells find it without being told.
    """
    with plain_errors():
        _refuse_another_broker()
        if demo and folder is not None:
            raise NotRight(f"--demo has a folder of its own: leave --folder out, and {folders.FOLDER_VARIABLE}")
        place = folders.demo_folder() if demo else (folder or folders.default_folder()).resolve()
        if detach:
            _start_in_background(place, demo, partitions, seconds)
            return
        if demo:
            # the same thing as `demo --keep`, without the kill
            replay = import_module("load.replay.demo").demo
            sys.exit(replay.main(["--keep", "--no-kill", "--seconds", str(seconds)], standalone_mode=False) or FINE)
        _run(Deployment(place, dict(folders.settings_of(os.environ)), partitions))


def _refuse_another_broker() -> None:
    if BOOTSTRAP in os.environ or f"{BOOTSTRAP}_FILE" in os.environ:
        raise PersonNeeded(
            f"{BOOTSTRAP} is set, so commands mean that broker and not the one that `up` would start. Unset it, or "
            "start a worker for that broker: allocator topics apply && allocator worker"
        )


def _run(deployment: Deployment) -> None:
    def on_signal(number: int, frame: FrameType | None) -> None:
        deployment.ask_to_stop()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)

    def say(words: str) -> None:
        click.echo(words, err=True)

    deployment.start(say)
    try:
        click.echo("\n".join(addresses(deployment.folder, deployment.kept)))
        click.echo(f"Ctrl-C stops it; from another shell: {folders.program()} status, {folders.program()} down")
        deployment.stay(say)
        say("Stopping: the worker commits and leaves")
    finally:
        deployment.stop()
    say(f"Stopped. The data stay in {deployment.folder}; `{folders.program()} up` goes on from there")


def _start_in_background(place: Path, demo: bool, partitions: int, seconds: float) -> None:
    if folders.is_running(place):
        raise PersonNeeded(f"the deployment in {place} runs already: {folders.program()} status")
    place.mkdir(parents=True, exist_ok=True)
    words = ["up", "--demo", "--seconds", str(seconds)]
    if not demo:
        words = ["up", "--folder", str(place), "--partitions", str(partitions)]
    log = place / "up.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*ALLOCATOR, *words], stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        kept = folders.read(place)
        if kept is not None and kept.ready and kept.pid == process.pid:
            click.echo("\n".join(addresses(place, kept)))
            click.echo(f"It runs in the background: {folders.program()} status, {folders.program()} down")
            return
        if process.poll() is not None:
            said = [line.removeprefix("error: ") for line in log.read_text(errors="replace").splitlines()]
            raise PersonNeeded("\n".join([f"it ended with code {process.returncode}:", *said]))
        time.sleep(0.1)
    raise PersonNeeded(f"it isn't ready after {START_LIMIT_S:.0f} s: see {log}")


def addresses(place: Path, kept: Kept) -> list[str]:
    """Where everything is, and what to do next."""
    return [
        "The allocator runs on this machine.",
        f"  Kafka     {kept.bootstrap}",
        f"  worker    {kept.page}/readyz, {kept.page}/metrics",
        f"  folder    {place} (data, worker.log)",
        f"Next: {folders.program()} {NEXT}",
    ]


@click.command()
@folder_option
@click.option("--delete", is_flag=True, help="Remove its data too: projects, labels, everything.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def down(folder: Path | None, delete: bool, yes: bool) -> None:
    """Stop the deployment of this machine; its data stay unless --delete says otherwise."""
    with plain_errors():
        place = _meant(folder)
        if delete and not yes:
            click.confirm(f"Remove all data in {place}?", abort=True)
        kept = folders.read(place)
        if folders.is_running(place):
            if kept is None or kept.pid is None:
                raise PersonNeeded(f"the deployment in {place} is just starting or stopping: try again in some seconds")
            os.kill(kept.pid, signal.SIGTERM)
            end = time.monotonic() + STOP_LIMIT_S
            while folders.is_running(place):
                if time.monotonic() > end:
                    raise PersonNeeded(f"it still runs after {STOP_LIMIT_S:.0f} s (process {kept.pid})")
                time.sleep(0.1)
            click.echo(f"stopped the deployment in {place}")
        else:
            click.echo(f"the deployment in {place} doesn't run")
        if delete:
            shutil.rmtree(place)
            click.echo(f"removed {place}")


def _meant(folder: Path | None) -> Path:
    place = folder or folders.found()
    if place is None or (folders.read(place.resolve()) is None and not folders.is_running(place.resolve())):
        where = folder or folders.default_folder()
        raise NotRight(f"there is no deployment in {where}: start one: {folders.program()} up")
    return place.resolve()


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What `status` says."""

    folder: str
    running: bool
    ready: bool
    kafka: str
    page: str
    since: float | None = None
    workers: int = 0
    lag: int = 0
    pools: dict[str, dict[str, int]] = {}
    notes: dict[str, str] = {}


@click.command()
@folder_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(folder: Path | None, as_json: bool) -> None:
    """Say whether the deployment of this machine runs and what is in it; exit code 1 when it isn't ready."""
    with plain_errors():
        place = _meant(folder)
        kept = folders.read(place)
        if kept is None:
            raise NotRight(f"the deployment in {place} is just starting: ask again in some seconds")
        running = folders.is_running(place)
        ready = running and page_answers(f"{kept.page}/readyz")
        found = Status(folder=str(place), running=running, ready=ready, kafka=kept.bootstrap, page=kept.page)
        if running and kept.ready:
            folders.apply(os.environ, place)
            workers, lag, known = asyncio.run(_look(kept))
            names = sorted(known.pools())
            found = msgspec.structs.replace(
                found, since=kept.since, workers=workers, lag=lag, pools={name: _pool(known, name) for name in names},
                notes={name: note for name in names if (state := known.pool(name)) and (note := state.note)},
            )  # fmt: skip
        if as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        else:
            click.echo("\n".join(_words(found, place)))
        sys.exit(FINE if ready else WRONG)


async def _look(kept: Kept) -> tuple[int, int, Known]:
    settings = load()
    lag = await asyncio.to_thread(Lag, settings)
    try:
        workers, waiting = await asyncio.to_thread(lag.workers), await asyncio.to_thread(lag.now)
    finally:
        lag.close()
    async with TopicReader(settings) as reader:
        known = await read_state(reader, range(settings.partitions))
    return workers, waiting, known


def _pool(known: Known, name: str) -> dict[str, int]:
    state = known.pool(name)
    assert state is not None
    return {
        "open_tasks": known.open_tasks(name),
        "people": len(known.people(name)),
        "present": known.present(name, time.time()),
    }


def _words(found: Status, place: Path) -> list[str]:
    if not found.running:
        hint = folders.hint({folders.FOLDER_VARIABLE: str(place)})
        return [f"down: {hint}"]
    if not found.ready:
        return [f"starting, or not ready: see {place / 'worker.log'} ({found.page}/readyz)"]
    minutes = (time.time() - (found.since or time.time())) / 60
    said = [
        f"runs since {minutes:.0f} min, {found.workers} worker, {found.lag:,} events wait",
        f"  Kafka     {found.kafka}",
        f"  worker    {found.page}/readyz, {found.page}/metrics",
        f"  folder    {found.folder}",
    ]
    for name, counts in found.pools.items():
        tasks, people = plural(counts["open_tasks"], "open task"), plural(counts["people"], "person", "people")
        said.append(f"  pool {name}: {tasks}, {people}, {counts['present']:,} present")
        if name in found.notes:
            said.append(f"    {printable(found.notes[name])}")
    if not found.pools:
        said.append(f"Nothing is in it yet. Next: {folders.program()} {NEXT}")
    return said
