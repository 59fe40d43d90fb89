"""Faults on purpose: inert unless asked for, asked for without mistakes, and doing what their names say."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from load.planted import in_shell
from load.planted.faults import Faults, take
from stream.settings import Settings, SettingsError
from stream.shell.kafka import clients, transaction
from stream.shell.process import clock, steps
from stream.shell.worker.partitions import Partitions


def test_without_a_variable_nothing_is_planted() -> None:
    assert take({"ALLOCATOR_PARTITIONS": "4"}) == Faults()
    places = (steps.reach, clock.unix_s, clients.transactional_id, transaction.Producer.fence, Partitions.answered)
    in_shell.plant(Faults())
    assert places == (
        steps.reach, clock.unix_s, clients.transactional_id, transaction.Producer.fence, Partitions.answered
    )  # fmt: skip


def test_the_worker_never_sees_what_it_suffers() -> None:
    environ = {"ALLOCATOR_PARTITIONS": "4", "ALLOCATOR_FAULT_UNFENCED": "1"}
    assert take(environ).unfenced == 1
    assert environ == {"ALLOCATOR_PARTITIONS": "4"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("KILL", "commit", "begin.before"),
        ("KILL", "commit.after:0", "commit.after"),
        ("CLOCK_S", "soon", "clock_s"),
        ("TAKEOVER", "slow", "takeover"),
        ("DOUBLE_OFFER", "0", "double_offer"),
        ("KILLS", "commit.after", "ALLOCATOR_FAULT_KILL"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused_in_words(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        take({f"ALLOCATOR_FAULT_{name}": value})


def test_the_clock_steps_when_its_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, told = tmp_path / "clock", []

    def answered(self: object, *said: object) -> None:
        told.append(said)

    monkeypatch.setattr(clock, "unix_s", clock.unix_s)  # put back what is planted
    monkeypatch.setattr(Partitions, "answered", answered)
    faults = take({"ALLOCATOR_FAULT_CLOCK_FILE": str(file), "ALLOCATOR_FAULT_CLOCK_S": "5"})
    in_shell.plant(faults)
    assert in_shell.offset_s(faults) == 5.0
    before = clock.unix_s()
    file.write_text("-3600")
    assert in_shell.offset_s(faults) == -3595.0
    assert clock.unix_s() < before - 3000.0
    Partitions.answered(object(), "topic", 3, 10_000.0, 7)  # type: ignore[arg-type]
    assert told == [("topic", 3, 6405.0, 7)]


def test_unfenced_writers_of_one_partition_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "transactional_id", clients.transactional_id)  # put back what is planted
    monkeypatch.setattr(clients, "AIOKafkaProducer", lambda **given: given["transactional_id"])
    assert clients.transactional_producer(Settings(app_id="a"), 1) == "a-1"
    in_shell.plant(Faults(unfenced=1))
    assert clients.transactional_producer(Settings(app_id="a"), 1).startswith("a-1-unfenced-")


def test_a_takeover_fences_and_then_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    fenced = []

    async def fence(self: object) -> None:
        fenced.append(self)

    monkeypatch.setattr(transaction.Producer, "fence", fence)
    in_shell.plant(Faults(takeover="await"))

    async def fence_for_a_moment() -> None:
        async with asyncio.timeout(0.05):
            await transaction.Producer(Settings(), 0).fence()

    with pytest.raises(TimeoutError):
        asyncio.run(fence_for_a_moment())
    assert len(fenced) == 1


@pytest.mark.parametrize("step", steps.STEPS)
def test_the_process_dies_when_it_reaches_its_step_often_enough(step: str) -> None:
    program = (
        "import sys, time; from load.planted.dying import die_at; from stream.shell.process import steps;"
        "step = sys.argv[1]; die_at(step, '2');"
        "steps.reach(step); print('once', flush=True); steps.reach(step); time.sleep(10)"
    )
    done = subprocess.run([sys.executable, "-c", program, step], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "once\n")
