"""The judges, called upon when a run has come to rest: `allocator audit` as a user runs it, and the ledger."""

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition

from load.chaos import ledger as books
from load.system.worker_process import allocator
from stream.topics import INPUTS

AUDIT_LIMIT_S = 1500.0
PROCESSES = 2


class Audited(NamedTuple):
    """What the auditor looked at and what it found."""

    rounds: int
    records: int
    violations: list[str]


def without_faults(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a deployment for its commands, which know of no faults."""
    return {name: value for name, value in environment.items() if not name.startswith("ALLOCATOR_FAULT_")}


def audit(environment: Mapping[str, str]) -> Audited:
    """Run `allocator audit` over all partitions, in two processes.

    Parameters
    ----------
    environment : mapping
        Variables of the deployment; the auditor must know its limits.
    """
    partitions = int(environment["ALLOCATOR_PARTITIONS"])
    own = {name: value for name, value in os.environ.items() if not name.startswith("ALLOCATOR_")}
    own |= without_faults(environment)
    shares = [range(first, partitions, PROCESSES) for first in range(min(PROCESSES, partitions))]
    running = [
        subprocess.Popen(
            allocator(["audit", "--json", *(f"--partition={number}" for number in share)]),
            env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for share in shares
    ]  # fmt: skip
    rounds = records = 0
    violations: list[str] = []
    for process in running:
        try:
            out, err = process.communicate(timeout=AUDIT_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            violations.append(f"`allocator audit` did not end within {AUDIT_LIMIT_S:.0f} s")
            continue
        if process.returncode not in (0, 1):
            violations.append(f"`allocator audit` ended with code {process.returncode}: {err.strip()[-600:]}")
            continue
        found = json.loads(out)
        rounds, records = rounds + found["rounds"], records + found["records"]
        violations += [
            f"promise {one['promise']}: {one['what']} [{', '.join(one['records'])}]" for one in found["violations"]
        ]
    return Audited(rounds, records, violations)


def check(environment: Mapping[str, str], ledger: books.Ledger, is_whole: bool = True) -> books.Verdict:
    """Compare the topics of a deployment with the generator's ledger; see `load.chaos.ledger`."""
    bootstrap, partitions = environment["ALLOCATOR_KAFKA_BOOTSTRAP"], int(environment["ALLOCATOR_PARTITIONS"])
    return asyncio.run(books.check(bootstrap, partitions, ledger, is_whole))


def ends(bootstrap: str, partitions: int) -> dict[tuple[str, int], int]:
    """Return the end offset of every input."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    try:
        places = [TopicPartition(topic, number) for topic in INPUTS for number in range(partitions)]
        found = consumer.end_offsets(places)
    finally:
        consumer.close()
    return {(place.topic, place.partition): end for place, end in found.items()}
