"""The same cause, the same exit code, in every command; and none of them waits for ever for a broker."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stream.settings import PREFIX
from stream.shell.commands.cli import ALONE, COMMANDS

ALLOCATOR = str(Path(sys.executable).with_name("allocator"))
LIMIT_S = 120.0
PAUSE = '{"type": "pool_paused", "pool": "p"}'

#: what each command that needs a broker is asked, with the files it needs
ASKED: dict[str, list[list[str]]] = {
    "worker": [["worker"]],
    "topics": [["topics", "check"], ["topics", "apply"]],
    "doctor": [["doctor"]],
    "position": [["position", "accept-loss", "--topic", "labeling.tasks.v1", "--partition", "0", "--to", "1", "--yes"]],
    "why": [["why", "0-1-0"]],
    "import": [["import", "tasks.csv", "--pool", "p"], ["import", "tasks.csv", "--pool", "p", "--no-wait"]],
    "labels": [["labels", "j"]],
    "judgments": [["judgments"]],
    "people": [["people", "p"]],
    "pay": [["pay"]],
    "agreement": [["agreement", "j"]],
    "sit": [["sit", "p", "--as", "ana"]],
    "send": [["send", PAUSE]],
    "pool": [["pool", "pause", "p"]],
    "project": [["project", "pause", "p", "j"]],
    "annotator": [["annotator", "gone", "p", "ana"]],
    "task": [["task", "cancel", "p", "t"]],
    "skills": [["skills", "p"]],
    "dlt": [["dlt", "list"]],
    "audit": [["audit"]],
}
WORDS = [words for asked in ASKED.values() for words in asked]


def test_every_command_that_needs_a_broker_is_asked() -> None:
    assert set(ASKED) == set(COMMANDS) - set(ALONE)


@pytest.fixture
def hole() -> Iterator[int]:
    """Somebody who takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


def end_of(words: list[str], folder: Path, **settings: str) -> tuple[int, str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
    environment |= {f"{PREFIX}{name}": value for name, value in settings.items()}
    done = subprocess.run(
        [ALLOCATOR, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("place", ["nobody", "hole"])
def test_without_a_broker_every_command_ends_with_2_and_says_so(tmp_path: Path, hole: int, place: str) -> None:
    (tmp_path / "tasks.csv").write_text("task,project,skill\nt,j,s\n")
    port = 1 if place == "nobody" else hole
    with ThreadPoolExecutor(2) as several:
        ends = list(several.map(lambda words: end_of(words, tmp_path, KAFKA_BOOTSTRAP=f"127.0.0.1:{port}"), WORDS))
    for words, (code, said) in zip(WORDS, ends, strict=True):
        assert code == 2, (words, code, said)
        assert "no broker answers" in said or "no Kafka broker answers" in said, (words, said)
        assert "Traceback" not in said, (words, said)


@pytest.mark.slow
def test_an_unusable_setting_ends_every_command_with_2(tmp_path: Path) -> None:
    (tmp_path / "tasks.csv").write_text("task,project,skill\nt,j,s\n")
    with ThreadPoolExecutor(2) as several:
        ends = list(several.map(lambda words: end_of(words, tmp_path, PARTITIONS="many"), WORDS))
    for words, (code, said) in zip(WORDS, ends, strict=True):
        assert (code, "ALLOCATOR_PARTITIONS" in said, "Traceback" in said) == (2, True, False), (words, said)
