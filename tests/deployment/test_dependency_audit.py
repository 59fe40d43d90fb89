"""The audit of dependencies fails on a vulnerability, and says so when it could not look."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


class Database(HTTPServer):
    """Answers as the public database does; everything asked is kept."""

    vulnerable: dict[str, str]
    garbage: bytes | None
    asked: list[dict[str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Database

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self.server.asked += queries
        results = [
            {"vulns": [{"id": self.server.vulnerable[name], "modified": "2026-01-01T00:00:00Z"}]}
            if (name := query["package"]["name"]) in self.server.vulnerable
            else {}
            for query in queries
        ]
        body = self.server.garbage or json.dumps({"results": results}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def database() -> Iterator[Database]:
    with Database(("127.0.0.1", 0), Handler) as server:
        server.vulnerable, server.garbage, server.asked = {}, None, []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def audit(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "requirements/audit.py", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={"NO_PROXY": "*"})


def at(database: Database) -> tuple[str, str]:
    return "--service", f"http://127.0.0.1:{database.server_port}/v1/querybatch"


def test_every_locked_version_is_asked_about(database: Database) -> None:
    done = audit(*at(database))
    assert done.returncode == 0, done.stderr
    assert "0 advisories to act on" in done.stdout
    asked = {query["package"]["name"]: query["version"] for query in database.asked}
    assert {"aiohttp", "aiokafka", "numba", "pytest"} <= set(asked)
    assert all(query["package"]["ecosystem"] == "PyPI" for query in database.asked)
    assert asked["aiokafka"] == "0.14.0"


def test_a_vulnerability_fails_unless_a_person_accepted_it_and_the_date_has_not_passed(
    database: Database, tmp_path: Path
) -> None:
    database.vulnerable["aiohttp"] = "GHSA-aaaa-bbbb-cccc"
    done = audit(*at(database))
    assert done.returncode == 1
    assert "vulnerable: aiohttp" in done.stdout and "GHSA-aaaa-bbbb-cccc" in done.stdout
    listed = tmp_path / "accepted.txt"
    for until, code in (("2999-01-01", 0), ("2020-01-01", 1)):
        listed.write_text(f"# why\naiohttp GHSA-aaaa-bbbb-cccc {until} the client only\n")
        assert audit(*at(database), "--accepted", str(listed)).returncode == code
    listed.write_text("aiohttp GHSA-aaaa-bbbb-cccc\n")
    done = audit(*at(database), "--accepted", str(listed))
    assert done.returncode == 2 and "expected `package advisory" in done.stderr


@pytest.mark.parametrize("garbage", [b"<html>", b'{"results": []}', b"{}", b"[]", b'{"results": null}'])
def test_an_answer_that_is_none_is_not_taken_for_all_clear(database: Database, garbage: bytes) -> None:
    database.garbage = garbage
    done = audit(*at(database))
    assert done.returncode == 0
    assert "NOT checked" in done.stderr
    assert audit(*at(database), "--require").returncode == 2


def test_without_a_route_it_warns_and_does_not_fail() -> None:
    done = audit("--service", "http://127.0.0.1:1/")
    assert (done.returncode, done.stdout) == (0, "")
    assert "WARNING: dependencies NOT checked" in done.stderr


def test_the_check_target_runs_it() -> None:
    assert "requirements/audit.py" in (ROOT / "Makefile").read_text()
