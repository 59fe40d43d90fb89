"""Which deployment a command means: flag, environment, folder, in this order; and whether one runs."""

import os
from pathlib import Path

import pytest

from stream.local import folder
from stream.local.folder import BOOTSTRAP, FOLDER_VARIABLE, Kept, NoDeployment

KEPT = Kept(port=7001, controller_port=7002, web_port=7003, partitions=4, settings={"ALLOCATOR_LOG_LEVEL": "debug"})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of the test's own, with a deployment that ran in its `up`."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(folder, "home", lambda: tmp_path / "run")
    made(tmp_path / "run" / "up", KEPT)
    return tmp_path / "run"


def made(place: Path, kept: Kept) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    folder.write(place, kept)
    return place


def applied(environ: dict[str, str], flag: Path | None = None) -> dict[str, str]:
    folder.apply(environ, flag)
    return environ


def test_a_folder_is_found_when_nothing_says_which(home: Path) -> None:
    found = applied({"PATH": "/bin"})
    assert found[BOOTSTRAP] == "127.0.0.1:7001"
    assert (found["ALLOCATOR_PARTITIONS"], found["ALLOCATOR_REPLICATION"]) == ("4", "1")
    assert found["ALLOCATOR_LOG_LEVEL"] == "debug", "settings that it was started with are its own"
    assert found["PATH"] == "/bin"
    assert folder.origin(found) == f"of the deployment in {home / 'up'}, which is down: allocator up"


def test_the_environment_comes_before_the_folder() -> None:
    given = {BOOTSTRAP: "kafka:9092", "ALLOCATOR_APP_ID": "ours"}
    assert applied(dict(given)) == given
    assert folder.origin(given) == "of the environment"
    secret = {f"{BOOTSTRAP}_FILE": "/run/secrets/kafka"}
    assert applied(dict(secret)) == secret


def test_the_flag_comes_before_the_environment(home: Path, tmp_path: Path) -> None:
    other = made(tmp_path / "other", Kept(port=7011, controller_port=0, web_port=0, partitions=2, app_id="other"))
    given = {BOOTSTRAP: "kafka:9092", "ALLOCATOR_APP_ID": "ours", "ALLOCATOR_KAFKA_PASSWORD": "of another cluster"}
    found = applied(dict(given), other)
    assert (found[BOOTSTRAP], found["ALLOCATOR_APP_ID"]) == ("127.0.0.1:7011", "other")
    assert "ALLOCATOR_KAFKA_PASSWORD" not in found
    assert applied({FOLDER_VARIABLE: str(other), BOOTSTRAP: "kafka:9092"})[BOOTSTRAP] == "127.0.0.1:7011"
    with pytest.raises(NoDeployment, match="start one: allocator up --folder"):
        folder.apply({}, tmp_path / "nothing")
    (other / "deployment.json").write_text("{")
    with pytest.raises(NoDeployment, match="expected what `allocator up` keeps there"):
        folder.apply({}, other)


def test_of_two_the_one_that_runs_is_meant(home: Path) -> None:
    made(home / "demo", Kept(port=7021, controller_port=0, web_port=0, partitions=4))
    assert folder.found() == home / "up"
    held = folder.lock(home / "demo")
    assert held is not None and folder.lock(home / "demo") is None
    assert folder.is_running(home / "demo") and not folder.is_running(home / "up")
    assert folder.found() == home / "demo"
    assert folder.origin(applied({})) == f"of the deployment in {home / 'demo'}, which runs"
    held.close()
    assert folder.found() == home / "up"


def test_without_any_the_defaults_hold(home: Path) -> None:
    (home / "up" / "deployment.json").unlink()
    assert folder.found() is None and applied({}) == {}
    assert folder.origin({}).startswith("defaults: no deployment in a folder")


def test_a_hint_starts_what_is_down(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "program", lambda: "allocator")
    assert folder.hint({BOOTSTRAP: "kafka:9092"}) is None
    for place, words in (
        (home / "up", "allocator up"),
        (home / "demo", "allocator up --demo"),
        (tmp_path / "other", f"allocator up --folder {tmp_path / 'other'}"),
    ):
        hint = folder.hint({FOLDER_VARIABLE: str(place)})
        assert hint == f"the deployment in {place} is down; start it: {words}"
    held = folder.lock(home / "up")
    assert held is not None and folder.hint({FOLDER_VARIABLE: str(home / "up")}) is None, "then it is something else"
    held.close()


def test_what_is_typed_is_what_the_shell_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(folder, "ROOT", tmp_path)
    assert folder.program() == "allocator", "installed without a checkout"
    (tmp_path / "allocator").touch(0o644)
    assert folder.program() == str(tmp_path / "allocator")
    monkeypatch.chdir(tmp_path)
    assert folder.program() == "./allocator"
    (tmp_path / "allocator").chmod(0o755)
    assert folder.program() == "allocator", "it is on the path"


def test_a_deployment_elsewhere_is_announced_while_it_lives(home: Path) -> None:
    environment = {
        BOOTSTRAP: "127.0.0.1:7031", "ALLOCATOR_WEB_PORT": "7032", "ALLOCATOR_PARTITIONS": "8",
        "ALLOCATOR_APP_ID": "demo",
    }  # fmt: skip
    with folder.announced(home / "demo", environment):
        kept = folder.read(home / "demo")
        assert kept is not None and kept.ready and kept.pid == os.getpid()
        assert applied({})["ALLOCATOR_APP_ID"] == "demo"
        with pytest.raises(NoDeployment, match="another deployment is announced"), folder.announced(
            home / "demo", environment
        ):
            pass
    assert folder.read(home / "demo") is None and folder.found() == home / "up"
