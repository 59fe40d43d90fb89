"""`allocator sit POOL --as NAME`: a terminal annotator, so that two people can try the real thing in an hour.

Shows each task's id (or a text from a file of one's own) and where tools open it, takes a class by its name, its number
or its first letters, and knows skips and breaks. What a task is about never passes through the allocator: it comes from
that file.
"""

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import click

from stream.events import AssignmentOffered
from stream.files.complaints import Complaints, FileProblem, joined
from stream.files.fields import short_id
from stream.files.sheet import Reading, Sheet
from stream.files.values import name as spelled
from stream.settings import load
from stream.shell.commands.failures import NotRight, plain_errors
from stream.shell.commands.project_names import project_names
from stream.shell.commands.seat import Seat
from stream.shell.commands.telling import printable
from stream.shell.commands.topic_reader import TopicReader

WAIT_S = 1.0
LEAVES = (None, "q")
REASONS = {"s": "other", "u": "unclear", "x": "broken"}
KEYS = "label: its name, number or first letters · s skip · u unclear · x broken · b break · q leave"

HELP = """\
Sit down in POOL and work: tasks come, you give their label.

\b
  a label   its name, its number, or the first letters that only it has
  s, u, x   skip this task; it is unclear; it is broken
  b         a break: nothing comes until you press Enter
  q         leave (so do Ctrl-D and Ctrl-C)

--tasks FILE --text COLUMN shows a column of your own file instead of the task's id. You must be known in the
pool, with a skill: allocator import people.csv --pool POOL --skill SKILL.
"""


@click.command("sit", help=HELP)
@click.argument("pool")
@click.option("--as", "annotator", required=True, help="Your id.")
@click.option("--tasks", type=click.Path(dir_okay=False, path_type=Path), help="Your file of tasks.")
@click.option("--text", "column", help="Its column that is shown.")
@click.option("--most", type=click.IntRange(1), help="Leave after so many labels.")
def sit(pool: str, annotator: str, tasks: Path | None, column: str | None, most: int | None) -> None:
    """Work in a terminal."""
    with plain_errors():
        if (tasks is None) != (column is None):
            raise NotRight("--tasks FILE and --text COLUMN belong together: which column of the file is shown")
        texts = read_texts(tasks, column) if tasks and column else {}
        asyncio.run(_sit(pool, annotator, texts, most))


def read_texts(path: Path, column: str) -> dict[str, str]:
    """What a file says of each task in one of its columns.

    Raises
    ------
    FileProblem
        It can't be read, or has no such column.
    """
    sheet = Sheet(path, Reading(ignore_extra=True), "tasks")
    if column not in sheet.header:
        raise FileProblem(f"{path}:1: there is no column {column}, there are {joined(sheet.header)}")
    at, task = sheet.header.index(column), sheet.columns.index("task")
    complaints = Complaints()
    found = {short_id(spelled(cells[task])): cells[at] for _, cells in sheet.cells(complaints)}
    if complaints.count:
        raise FileProblem("\n".join(complaints.words(path)))
    return found


class Typed:
    """Lines that a person types, read beside the event loop: heartbeats go on, and Ctrl-C ends it at once."""

    def __init__(self) -> None:
        self._lines: deque[str | None] = deque()  # None: the end
        self._typed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def take(line: str | None) -> None:
            self._lines.append(line)
            self._typed.set()

        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(take, line.strip())
            loop.call_soon_threadsafe(take, None)

        # a thread that nobody waits for: it may sit in a read when the person leaves
        threading.Thread(target=read, name="typed", daemon=True).start()

    async def line(self, prompt: str) -> str | None:
        """The next line; None at the end of the input."""
        click.echo(prompt, nl=False)
        while not self._lines:
            self._typed.clear()
            await self._typed.wait()
        return self._lines.popleft()

    def has_left(self) -> bool:
        """Whether the person has left while nothing lay before them."""
        if sys.stdin.isatty():  # what else they typed was no answer to a task that they hadn't seen
            self._lines = deque(line for line in self._lines if line in LEAVES)
        return bool(self._lines) and self._lines[0] in LEAVES


async def _sit(pool: str, annotator: str, texts: Mapping[str, str], most: int | None) -> None:
    settings = load()
    async with TopicReader(settings) as reader:
        names = await project_names(reader)
    if not any(known == pool for known, _ in names):
        others = joined(sorted({known for known, _ in names})) or "none yet"
        raise NotRight(f"there is no pool {pool} with a project: there are {others}")
    click.echo(f"{annotator}, you sit in {pool}. {KEYS}")
    seat, typed = Seat(settings, pool, annotator), Typed()
    async with seat.taken():
        said_waiting = False
        while most is None or seat.judged < most:
            offer = await seat.next(WAIT_S)
            if offer is None:
                if not said_waiting:
                    click.echo("Nothing for you just now: waiting (`allocator doctor` says why; q leaves).")
                    said_waiting = True
                if typed.has_left():
                    break
                continue
            said_waiting = False
            if not await _work(seat, typed, offer, names.get((pool, offer.project), ()), texts):
                break
        click.echo(f"{seat.judged} labels given. Goodbye.")


async def _work(
    seat: Seat, typed: "Typed", offer: AssignmentOffered, names: tuple[str, ...], texts: Mapping[str, str]
) -> bool:
    """Show a task and take what the person says; False when they leave."""
    await seat.accept(offer)  # it is before their eyes: from now on it is held for them
    began = time.monotonic()
    click.echo(f"\n{texts.get(offer.task, offer.task)}")
    if offer.ref:
        click.echo(f"  {printable(offer.ref)}")
    if names:
        click.echo("  " + "   ".join(f"{code} {label}" for code, label in enumerate(names)))
    while True:
        said = await typed.line("> ")
        if said in LEAVES:
            return False
        if said == "b":
            await seat.rest()
            click.echo("A break. Press Enter to go on.")
            if await typed.line("") in LEAVES:
                return False
            await seat.come_back()
            return True
        if said in REASONS and label_of(said, names) is None:
            await seat.decline(offer, REASONS[said])
            return True
        label = label_of(said, names)
        if label is None:
            click.echo(f"{said!r} is none of {joined(names) or 'the numbers from 0'}. {KEYS}")
            continue
        if offer.assignment not in seat.offers:
            click.echo("(the offer had ended meanwhile; your answer is sent all the same)")
        await seat.answer(offer, label, time.monotonic() - began)
        return True


def label_of(said: str, names: tuple[str, ...]) -> int | None:
    """The class that somebody means; None when it is none or not clear.

    >>> label_of("d", ("cat", "dog")), label_of("1", ("cat", "dog")), label_of("c", ("cat", "cow"))
    (1, 1, None)
    """
    if said in names:
        return names.index(said)
    if said.isdecimal() and (not names or int(said) < len(names)):
        return int(said)
    meant = [code for code, label in enumerate(names) if said and label.casefold().startswith(said.casefold())]
    return meant[0] if len(meant) == 1 else None
