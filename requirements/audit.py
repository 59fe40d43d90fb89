"""Ask the public database of vulnerabilities (OSV) about every locked version: ``python requirements/audit.py``.

    found, not accepted          exit code 1, with the package, the version and the advisory
    found, accepted              said, and passed; `accepted-vulnerabilities.txt` holds package, advisory, until, reason
    the database not reached     a warning that nothing was checked, exit code 0 (2 with --require)

A machine without a route to the database must be able to run the checks, and must not believe that it has checked. Only
names and versions of packages leave the machine. No dependency: it would be audited by what it brings.
"""

import argparse
import datetime
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ACCEPTED = HERE / "accepted-vulnerabilities.txt"
SERVICE = "https://api.osv.dev/v1/querybatch"
LIMIT_S = 20.0
BATCH = 500  # the service takes 1,000
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


class Unreachable(Exception):
    """The database did not answer, or not as it should."""


class Found(NamedTuple):
    """An advisory about a locked version."""

    package: str
    version: str
    advisory: str


def locked(folder: Path = HERE) -> list[tuple[str, str]]:
    """Name and version of everything in the lock files."""
    pins = {pin for path in sorted(folder.glob("*.lock")) for pin in LOCKED.findall(path.read_text(encoding="utf-8"))}
    return sorted(pins)


def accepted(path: Path, today: datetime.date) -> set[tuple[str, str]]:
    """(package, advisory) pairs that a person has accepted and whose date has not passed.

    Raises
    ------
    ValueError
        A line is not `package advisory until reason`.
    """
    pairs = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(maxsplit=3)
        try:
            package, advisory, until, _ = words
            last = datetime.date.fromisoformat(until)
        except ValueError:
            raise ValueError(
                f"{path}:{number}: expected `package advisory YYYY-MM-DD reason`, got {line!r}"
            ) from None
        if last >= today:
            pairs.add((package, advisory))
    return pairs


def ask(service: str, pins: list[tuple[str, str]]) -> Iterator[Found]:
    """Yield what the database knows about the versions.

    Raises
    ------
    Unreachable
    """
    for start in range(0, len(pins), BATCH):
        some = pins[start : start + BATCH]
        queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in some]
        request = urllib.request.Request(
            service, json.dumps({"queries": queries}).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                results = json.load(answer)["results"]
            if len(results) != len(some):
                raise Unreachable(f"{service}: {len(some)} questions, {len(results)} answers")
            for (name, version), result in zip(some, results, strict=True):
                for advisory in result.get("vulns", ()):
                    yield Found(name, version, advisory["id"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreachable(f"{service}: {error}") from error


def main(arguments: list[str] | None = None) -> int:
    """Ask, print, return the exit code."""
    parser = argparse.ArgumentParser(description="Ask a database of vulnerabilities about every locked version.")
    parser.add_argument("--service", default=SERVICE)
    parser.add_argument("--accepted", type=Path, default=ACCEPTED)
    parser.add_argument("--require", action="store_true", help="fail when the database can't be reached")
    given = parser.parse_args(arguments)
    pins = locked()
    try:
        passed = accepted(given.accepted, datetime.datetime.now(datetime.UTC).date())
        found = sorted(set(ask(given.service, pins)))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Unreachable as error:
        print(f"WARNING: dependencies NOT checked for vulnerabilities: {error}", file=sys.stderr)
        return 2 if given.require else 0
    wrong = [one for one in found if (one.package, one.advisory) not in passed]
    for one in found:
        state = "vulnerable" if one in wrong else "accepted"
        print(f"{state}: {one.package} {one.version}, https://osv.dev/vulnerability/{one.advisory}")
    if wrong:
        print("upgrade (make lock), or accept with a reason and a date: requirements/accepted-vulnerabilities.txt")
    print(f"{len(pins)} locked versions checked, {len(wrong)} advisories to act on")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
