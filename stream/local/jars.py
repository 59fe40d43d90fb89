"""Kafka's jars: found, fetched when missing, and proved by sha256 before Java sees them.

Order: an unpacked release (KAFKA_HOME); the local Maven cache, if every file has the hash of
kafka-jars.lock; then the missing files are fetched into that cache, by `mvn` when it is on the PATH
(it knows the machine's mirrors and proxies) and else by jgo, a Maven client in pure Python, and the
hashes are checked again. A filled cache needs neither client nor network.

Deliberately names no registry: both clients know theirs.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from stream.local.unavailable import KafkaUnavailable

KAFKA_VERSION = "4.1.1"
LOCK = Path(__file__).with_name("kafka-jars.lock")
POM = Path(__file__).with_name("kafka-pom.xml")
FETCH_LIMIT_S = 300


class Jar(NamedTuple):
    """One line of the lock: Maven coordinates and the sha256 of the file."""

    group: str
    artifact: str
    version: str
    sha256: str

    def path(self, cache: Path) -> Path:
        """Return where a Maven cache keeps this jar."""
        folder = cache.joinpath(*self.group.split("."), self.artifact, self.version)
        return folder / f"{self.artifact}-{self.version}.jar"


def read_lock(lock: Path = LOCK) -> list[Jar]:
    """Read the lock file: one jar a line, `#` starts a comment line."""
    lines = (line for line in lock.read_text().splitlines() if line and not line.startswith("#"))
    return [Jar._make(line.replace(":", " ").split()) for line in lines]


def cache_folder() -> Path:
    """Return the Maven cache of this user: M2_REPO, else ~/.m2/repository."""
    given = os.environ.get("M2_REPO")
    return Path(given) if given else Path.home() / ".m2" / "repository"


def unproved(jars: Iterable[Jar], cache: Path) -> dict[Jar, str]:
    """Return the jars that are missing from the cache or not what the lock says, each with what is wrong."""

    def fault(jar: Jar) -> str | None:
        path = jar.path(cache)
        try:
            with path.open("rb") as file:
                got = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return "missing"
        if got == jar.sha256:
            return None
        return f"sha256 is {got}, expected {jar.sha256}; delete {path} and try again"

    jars = list(jars)
    with ThreadPoolExecutor(4) as threads:
        return {jar: found for jar, found in zip(jars, threads.map(fault, jars), strict=True) if found}


def _fetch_with_mvn(mvn: str, cache: Path) -> str | None:
    options = ["-q", "-B", f"-Dmaven.repo.local={cache}", "-f", str(POM)]
    command = [mvn, *options, "dependency:resolve"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"mvn took longer than {FETCH_LIMIT_S} s"
    if done.returncode == 0:
        return None
    output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    errors = (line.removeprefix("[ERROR]").strip() for line in output.splitlines())
    return f"mvn: {_short(next(filter(None, errors), f'exit code {done.returncode}'))}"


def _short(text: str) -> str:
    """Beginning and end of a long text: clients put the cause at the end of theirs."""
    return text if len(text) <= 300 else f"{text[:100]} … {text[-200:]}"


def _fetch_with_jgo(jars: Iterable[Jar], cache: Path) -> str | None:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415  (an optional dependency)
    except ImportError:
        return "neither mvn nor the Python package jgo is installed (`make setup` installs jgo)"
    maven = MavenContext(repo_cache=cache, timeout=60)

    def fetch(jar: Jar) -> None:
        maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()

    jars = list(jars)
    try:
        fetch(jars[0])  # alone first: without a network this fails once, not once a jar
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(fetch, jars[1:]))
    except Exception as error:  # of a proxy, a firewall, a full disk: passed on as the cause
        return f"jgo: {type(error).__name__}: {_short(str(error))}"
    return None


def classpath(cache: Path | None = None) -> str:
    """Return the class path of Kafka, fetching and proving jars as needed.

    Parameters
    ----------
    cache : Path, optional
        A Maven cache; that of the user unless given.

    Raises
    ------
    KafkaUnavailable
        When KAFKA_HOME holds no jars, or the jars are not there and cannot be fetched, or one is not
        the file that the lock names.
    """
    if home := os.environ.get("KAFKA_HOME"):
        libs = Path(home) / "libs"
        if not any(libs.glob("kafka-clients-*.jar")):
            raise KafkaUnavailable(f"KAFKA_HOME={home} is no unpacked Kafka: no kafka-clients jar in {libs}")
        return str(libs / "*")
    cache = cache or cache_folder()
    jars = read_lock()
    faults = unproved(jars, cache)
    tried = []
    if any(fault == "missing" for fault in faults.values()):
        if mvn := shutil.which("mvn"):
            tried.append(_fetch_with_mvn(mvn, cache))
            faults = unproved(jars, cache)
        if missing := [jar for jar, fault in faults.items() if fault == "missing"]:
            tried.append(_fetch_with_jgo(missing, cache))
            faults = unproved(jars, cache)
    if faults:
        jar, fault = next(iter(faults.items()))
        raise KafkaUnavailable(
            f"{len(faults)} of {len(jars)} jars of Kafka {KAFKA_VERSION} cannot be had;"
            f" {jar.group}:{jar.artifact}:{jar.version}: {fault}"
            + "".join(f"; {what}" for what in tried if what)
        )
    return os.pathsep.join(str(jar.path(cache)) for jar in jars)
