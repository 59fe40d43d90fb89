"""docs/first-day.md, word by word: its commands are run in their order and print what the page says they print."""

import csv
import io
import os
import random
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stream.local import folder as folders
from stream.settings import PREFIX
from tests.walk.people import People, until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "first-day.md").read_text(encoding="utf-8")
CLASSES = ("street", "meadow", "passage")
PHOTOS = 300
LIMIT_S = 400


class Step(NamedTuple):
    """A command of the page and the lines that it prints."""

    command: str
    printed: list[str]


def steps() -> list[Step]:
    """The commands of the page."""
    found: list[Step] = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Step(line[2:], []))
            else:
                found[-1].printed.append(line)
    return found


def fits(printed: list[str], said: list[str]) -> bool:
    """Whether what was said is what the page prints: `…` stands for anything in a line, alone for any lines."""
    if not printed:
        return not said
    if printed[0] == "…":
        return any(fits(printed[1:], said[i:]) for i in range(len(said) + 1))
    pattern = re.escape(printed[0]).replace("…", ".*")
    return bool(said) and re.fullmatch(pattern, said[0]) is not None and fits(printed[1:], said[1:])


def test_the_page_is_compared_line_by_line() -> None:
    assert fits(["a … c", "…", "z"], ["a b c", "1", "2", "z"])
    assert not fits(["a … c"], ["a b d"]) and not fits([], ["a"]) and not fits(["a"], [])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A directory with the three files, and an environment in which nothing of ours is set but where `up` lies."""
    draw = random.Random(5)
    titles = ("Am Übergang", "Große Straße", "Wiese; im Mai")
    with (tmp_path / "photos.csv").open("w", newline="", encoding="cp1252") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["ID", "Title"])
        table.writerows([[f"photo {n}", titles[n % 3]] for n in range(1, PHOTOS + 1)])
    (tmp_path / "people.csv").write_text("annotator\n" + "".join(f"person {n}\n" for n in range(1, 13)))
    rows = [f"photo {n};person {n % 3 + 1};{CLASSES[draw.randrange(3)]}" for n in range(1, 61)]
    rows.append(f"photo 4;person 2;{'street' if 'street' not in rows[3] else 'meadow'}")
    (tmp_path / "past.csv").write_text("photo;person;answer\n" + "\n".join(rows) + "\n", encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX) or "JAVA" in k}
    environment[folders.FOLDER_VARIABLE] = str(tmp_path / "up")
    yield tmp_path, environment
    down = [str(ROOT / "allocator"), "down", "--delete", "--yes"]
    subprocess.run(down, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=LIMIT_S)


@pytest.mark.kafka
@pytest.mark.slow
def test_the_first_day_goes_as_the_page_says(desk: tuple[Path, dict[str, str]]) -> None:
    folder, environment = desk
    people = None

    def run(command: str) -> list[str]:
        words = shlex.split(command.replace("./allocator", str(ROOT / "allocator"), 1))
        done = subprocess.run(
            words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=LIMIT_S, check=False,
        )  # fmt: skip
        return done.stdout.splitlines()

    assert len(steps()) > 10
    for step in steps():
        said = run(step.command)
        # the photographs are not UTF-8, as a spreadsheet saves them: that is said of every import of theirs
        said = [line for line in said if "read as Windows-1252" not in line]
        assert fits(step.printed, said), f"$ {step.command}\n" + "\n".join(said)
        if "up --detach" in step.command:
            kept = folders.read(folder / "up")
            assert kept is not None
            truth = {f"photo {n}": n % 3 for n in range(1, PHOTOS + 1)}
            people = People(kept.bootstrap, kept.partitions, truth, len(CLASSES))
            people.start()
        if "status" in step.command:
            until(lambda: any(" 0 open tasks" in line for line in run("./allocator status")), 200, "work is done")
            assert people is not None
            people.stop()

    labels = (folder / "labels.csv").read_bytes()
    assert labels.startswith(b"\xef\xbb\xbftask;label;confidence")
    rows = list(csv.DictReader(io.StringIO(labels.decode("utf-8-sig")), delimiter=";"))
    assert [row["task"] for row in rows] == [f"photo {n}" for n in range(1, PHOTOS + 1)]
    assert {row["label"] for row in rows} == set(CLASSES)
    assert len((folder / "people-now.csv").read_text().splitlines()) == 13
    assert (folder / "pay.csv").read_text().startswith("annotator,period,counted")
