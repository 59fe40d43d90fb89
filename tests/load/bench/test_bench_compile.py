"""The bench of compiling changes what stands in the tree, and nothing else."""

from pathlib import Path

import pytest

from load.bench.bench_compile import CHANGES, ROOT, change


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_changes_one_line_that_exists(name: str, tmp_path: Path) -> None:
    path, old, new = CHANGES[name]
    before = (ROOT / path).read_text()
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(before)
    change(tmp_path, path, old, new)
    after = (tmp_path / path).read_text()
    differing = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    assert len(differing) == 1 and old.strip() in differing[0][0]
    change(tmp_path, path, new, old)
    assert (tmp_path / path).read_text() == before


def test_a_text_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match="expected 'y' once"):
        change(tmp_path, "a.py", "y", "z")
