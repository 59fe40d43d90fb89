"""Faults on purpose: inert unless asked for, and asked for without mistakes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stream.settings import SettingsError
from stream.shell import faults
from stream.shell.process import clock


def test_without_a_variable_nothing_is_armed() -> None:
    assert faults.load({"ALLOCATOR_PARTITIONS": "4"}) == faults.Faults() == faults.armed()
    assert faults.transactional_id("a-1") == "a-1"
    for step in faults.STEPS:
        faults.reach(step)


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
        faults.load({f"ALLOCATOR_FAULT_{name}": value})


def test_the_clock_steps_when_its_file_says_so(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    try:
        faults.arm(faults.load({"ALLOCATOR_FAULT_CLOCK_FILE": str(file), "ALLOCATOR_FAULT_CLOCK_S": "5"}))
        assert faults.clock_offset_s() == 5.0
        before = clock.unix_s()
        file.write_text("-3600")
        assert faults.clock_offset_s() == -3595.0
        assert clock.unix_s() < before - 3000.0
    finally:
        faults.arm(faults.Faults())


@pytest.mark.parametrize("step", faults.STEPS)
def test_the_process_dies_when_it_reaches_its_step_often_enough(step: str) -> None:
    program = (
        "import sys, time; from stream.shell import faults; step = sys.argv[1];"
        "faults.arm(faults.load({'ALLOCATOR_FAULT_KILL': step + ':2'}));"
        "faults.reach(step); print('once', flush=True); faults.reach(step); time.sleep(10)"
    )
    done = subprocess.run([sys.executable, "-c", program, step], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "once\n")
