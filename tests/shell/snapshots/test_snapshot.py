"""A snapshot is used only when it is whole, of these topics, and not older than what the log remembers."""

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.saved.rows import VERSION
from stream.shell.snapshots.snapshot import FORMAT, Header, Identity, Unusable, Writer, check, read

IDENTITY = Identity(cluster="c", topics={"tasks": "1", "annotators": "2", "skills": "3"})
HEADER = Header(
    format=FORMAT, rows=VERSION, identity=IDENTITY, partition=3, begun=1e9,
    offsets={"tasks": 10, "annotators": 20, "skills": 30}, software="1",
)  # fmt: skip
RANGES = {"tasks": (0, 10), "annotators": (20, 25), "skills": (3, 100)}
ROWS = [(b"t%d" % number, b"x" * number) for number in range(1, 50)]


def write(path: Path, header: Header = HEADER) -> None:
    writer = Writer(path, header)
    writer.write(ROWS[:20])
    writer.write([(b"gone", None)])
    writer.write(ROWS[20:])
    writer.finish()


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "one.snapshot"
    write(path)
    return path


def test_what_is_written_is_read_and_tombstones_are_left_out(snapshot: Path) -> None:
    assert read(snapshot) == (HEADER, dict(ROWS))
    assert [file.name for file in snapshot.parent.iterdir()] == ["one.snapshot"]


@given(st.data())
def test_a_snapshot_with_any_byte_changed_or_any_end_missing_is_refused(snapshot: Path, data: Any) -> None:
    whole = snapshot.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(1, 255))
    is_cut = data.draw(st.booleans())
    damaged = whole[:at] if is_cut else whole[:at] + bytes([whole[at] ^ other]) + whole[at + 1 :]
    path = snapshot.with_name("damaged")
    path.write_bytes(damaged)
    with pytest.raises(Unusable):
        read(path)
    path.unlink()


@pytest.mark.parametrize("changes", [{"format": FORMAT + 1}, {"rows": VERSION + 1}])
def test_a_snapshot_of_a_newer_version_is_refused(tmp_path: Path, changes: dict[str, int]) -> None:
    write(tmp_path / "newer", msgspec.structs.replace(HEADER, **changes))
    with pytest.raises(Unusable, match="reads up to") as refused:
        read(tmp_path / "newer")
    assert refused.value.reason == "newer"


def test_a_snapshot_of_these_topics_in_time_is_used() -> None:
    check(HEADER, 3, IDENTITY, 86400.0, 1e9 + 3600.0, RANGES)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("foreign", {"partition": 4}),
        ("foreign", {"identity": msgspec.structs.replace(IDENTITY, cluster="other")}),
        ("foreign", {"identity": Identity(cluster="c", topics={**IDENTITY.topics, "skills": "4"})}),
        ("foreign", {"ranges": {**RANGES, "tasks": (0, 9)}}),
        ("too_old", {"ranges": {**RANGES, "annotators": (21, 25)}}),
        ("too_old", {"now": 1e9 + 86400.0}),
        ("too_old", {"now": 1e9 + 80000.0}),
        ("too_old", {"now": 1e9 - 7201.0}),
        ("too_old", {"tombstones_s": 60.0, "now": 1e9 + 31.0}),
    ],
)
def test_a_foreign_or_old_snapshot_is_refused(reason: str, changes: dict[str, Any]) -> None:
    now = {"partition": 3, "identity": IDENTITY, "tombstones_s": 86400.0, "now": 1e9 + 10.0, "ranges": RANGES}
    with pytest.raises(Unusable) as refused:
        check(HEADER, **(now | changes))
    assert refused.value.reason == reason


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 64 KiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_leaves_the_older_snapshot_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "one.snapshot"
    write(path)
    writer = Writer(path, HEADER)
    with pytest.raises(OSError, match="too large"):
        for number in range(100):
            writer.write([(b"%d" % number, bytes(10_000))])
    writer.abandon()
    assert read(path) == (HEADER, dict(ROWS))
    assert [file.name for file in tmp_path.iterdir()] == ["one.snapshot"]
