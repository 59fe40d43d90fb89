"""A newcomer's walk: own files of a spreadsheet in, people work, labels out; two commands, five minutes.

Every message on the way is asserted: what a newcomer reads is what this test reads.
"""

import csv
import io
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.local import folder as folders
from stream.settings import PREFIX
from tests.walk.people import People, until

CLASSES = ("Straße", "Wiese", "Übergang")
TASKS = 300
LIMIT_S = 300.0
ALLOCATOR = Path(sys.executable).with_name("allocator")


class Desk:
    """A shell in a directory of its own, without any setting of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder / "deployment"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX) or "JAVA" in k}

    def run(self, *words: str, code: int = 0, folder: bool = True) -> tuple[str, str]:
        """Run a command; returns what it said on both ways."""
        at = ["--folder", str(self.place)] if folder else []
        done = subprocess.run(
            [str(ALLOCATOR), *at, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout, done.stderr


def task(n: int) -> str:
    return f"Bild {n} süß"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("walk"))
    said, _ = desk.run("up", "--detach", "--folder", str(desk.place), folder=False)
    assert said.startswith("The allocator runs on this machine.\n  Kafka     127.0.0.1:")
    assert "import tasks.csv --pool team --project animals" in said
    yield desk
    said, _ = desk.run("down", "--folder", str(desk.place), "--delete", "--yes", folder=False)
    assert said == f"stopped the deployment in {desk.place}\nremoved {desk.place}\n"
    assert not desk.place.exists()


@pytest.fixture(scope="module")
def truth(desk: Desk) -> dict[str, int]:
    """Writes the three files, as a spreadsheet in German saves them; returns the right answers."""
    draw = random.Random(3)
    truth = {task(n): draw.randrange(len(CLASSES)) for n in range(TASKS)}
    tasks = ["ID;;", *(f"{name};;" for name in truth), ";;"]
    (desk.folder / "aufgaben.csv").write_bytes("\r\n".join(tasks).encode("cp1252"))
    people = ["Person", *(f"Jürgen {n}" for n in range(12))]
    (desk.folder / "leute.csv").write_text("\n".join(people), encoding="utf-8-sig")
    past = ["Task ID;Worker;Label;Timestamp"]
    past += [f"{task(n)};Jürgen {n % 3};{CLASSES[truth[task(n)]]};2024-03-0{1 + n % 9} 10:00:00" for n in range(60)]
    past += [f"{task(3)};Jürgen 0;Wiese;2024-03-01 10:00:00"]
    (desk.folder / "bisher.csv").write_text("\n".join(past), encoding="utf-8")
    return truth


GIVEN = ("--pool", "stadt", "--project", "karte", "--skill", "karte", "--overlap", "3")


@pytest.mark.kafka
@pytest.mark.slow
def test_from_a_spreadsheet_to_labels(desk: Desk, truth: dict[str, int]) -> None:
    began = time.monotonic()
    kept = folders.read(desk.place)
    assert kept is not None
    people = People(kept.bootstrap, kept.partitions, truth, len(CLASSES))
    people.start()
    files = ("aufgaben.csv", "bisher.csv", "leute.csv")

    # what is missing is said before anything is sent
    _, said = desk.run("import", *files, code=1)
    assert said == (
        "error: aufgaben.csv: tasks need a pool: there is no column pool, and no --pool says it for all rows. "
        "For example --pool team\n"
        "error: aufgaben.csv: tasks need a project: there is no column project, and no --project says it for all rows. "
        "For example --project animals\n"
        "error: bisher.csv: judgments need a pool: there is no column pool, and no --pool says it for all rows. "
        "For example --pool team\n"
        "error: leute.csv: people need a pool: there is no column pool, and no --pool says it for all rows. "
        "For example --pool team\n"
        "error: leute.csv: people need a skill: there is no column skills, and no --skill says it for all rows. "
        "For example --skill animals\n"
    )
    _, said = desk.run("import", *files, *GIVEN, code=1)
    assert said == (
        "error: bisher.csv: label: the classes have names: say them in the order of their numbers: --labels "
        "Straße,Wiese,Übergang\nerror: nothing was sent\n"
    )

    # the first command
    out, said = desk.run("import", *files, *GIVEN, "--labels", ",".join(CLASSES), "--present", "1h")
    assert out == (
        "aufgaben.csv: 300 tasks of the project karte sent; 300 took effect\n"
        "bisher.csv: 60 judgments sent; 60 took effect (60 count)\n"
        "leute.csv: 12 people sent; 12 took effect (12 present)\n"
    )
    assert said == (
        "note: aufgaben.csv:2: not UTF-8: read as Windows-1252. If a name with an accent or umlaut comes out wrong, "
        "save the file as 'CSV UTF-8' or name its encoding: --encoding NAME\n"
        "note: bisher.csv: 1 row repeats a person's judgment of a task, 1 of them with another content: the first of "
        "each counts (line 62 repeats line 5)\n"
    )
    def status() -> str:
        return desk.run("status", "--folder", str(desk.place), folder=False)[0]

    out = status()
    assert re.search(r"pool stadt: \d+ open tasks, 12 people, \d+ present", out)

    until(lambda: " 0 open tasks" in status(), 120, "work is done")
    people.stop()
    assert people.answered >= TASKS * 3 - 60

    # the second command
    out, said = desk.run("labels", "karte")
    assert said == "300 tasks of karte: 300 complete\n"
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["task"] for row in rows] == list(truth)
    assert all(row["outcome"] == "complete" and int(row["judgments"]) >= 3 and row["pool"] == "stadt" for row in rows)
    assert all(0 < float(row["confidence"]) <= 1 and 0 < float(row["agreement"]) <= 1 for row in rows)
    right = sum(row["label"] == CLASSES[truth[row["task"]]] for row in rows)
    assert right >= 0.93 * TASKS
    assert time.monotonic() - began < LIMIT_S

    out, _ = desk.run("agreement", "karte")
    assert re.match(
        r"karte: 300 tasks, 300 of them judged twice or more\n  agreeing pairs        0\.\d{3}\n"
        r"  Fleiss' kappa         0\.[78]\d\d\n  Krippendorff's alpha  0\.[78]\d\d\n$", out
    )  # fmt: skip
    _, said = desk.run("labels", "kartn", code=1)
    assert said == "error: there is no project kartn: there are karte\n"
