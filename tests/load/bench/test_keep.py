"""Figures in documents are those that are kept."""

import json
import re
from pathlib import Path

import pytest

from load.bench import keep

KEPT = keep.kept()
MAKEFILE = (keep.ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", keep.documents(), ids=lambda path: path.name)
def test_documents_say_what_is_kept(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert keep.written(text, KEPT) == text
    assert len(re.findall("<!-- bench-", text)) == len(keep.MARK.findall(text)), "a mark that is none"


def test_every_kept_bench_is_marked_somewhere_and_has_a_target() -> None:
    marked = {mark[1] for path in keep.documents() for mark in keep.MARK.finditer(path.read_text(encoding="utf-8"))}
    assert marked == set(KEPT) and len(marked) >= 4
    assert all(re.search(f"^{bench}:", MAKEFILE, re.MULTILINE) for bench in KEPT)


@pytest.mark.parametrize("bench", KEPT)
def test_what_is_kept_says_where_it_comes_from(bench: str) -> None:
    told = KEPT[bench]
    assert {"command", "date", "commit", "machine", "figures"} <= set(told)
    assert (told["date"] and told["commit"]) or "note" in told, "what nobody has run says so"
    assert told["machine"].startswith(("1 ", "2 ", "4 ", "8 ", "16 "))


def test_a_figure_that_has_changed_is_written_and_nothing_else() -> None:
    text = "a <!-- bench-x a.b .1f -->1.0<!-- --> b <!-- bench-x n.mean ,.0f --><!-- -->."
    found = {"bench-x": {"figures": {"a": {"b": 2.25}, "n": [1000, 3000]}}}
    new = "a <!-- bench-x a.b .1f -->2.2<!-- --> b <!-- bench-x n.mean ,.0f -->2,000<!-- -->."
    assert keep.written(text, found) == new == keep.written(new, found)


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("bench-y a .1f", "make figures BENCH=bench-y"),
        ("bench-x c .1f", "there is no 'c'"),
        ("bench-x a .1f", "expected one number"),
        ("bench-x ok .1f", "expected one number, got True"),
    ],
)
def test_a_mark_of_nothing_is_an_error(mark: str, words: str) -> None:
    with pytest.raises(KeyError, match=re.escape(words)):
        keep.written(f"<!-- {mark} -->1<!-- -->", {"bench-x": {"figures": {"a": {"b": 1}, "ok": True}}})


def test_a_run_is_kept_with_its_day_and_commit_and_its_exit_code_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "load" / "bench"
    package.mkdir(parents=True)
    (package / "bench_x.py").write_text('print("on the way")\nprint(\'{"ms": 3}\')\nraise SystemExit(1)\n')
    monkeypatch.setattr(keep, "ROOT", tmp_path)
    monkeypatch.setattr(keep, "KEPT", tmp_path / "figures")
    monkeypatch.setattr(keep, "commit", lambda: "0123456789ab+")
    assert keep.run("bench-x", ["--seeds", "2"]) == 1
    told = json.loads((tmp_path / "figures" / "bench-x.json").read_text())
    assert told["figures"] == {"ms": 3} and told["commit"] == "0123456789ab+"
    assert told["command"] == 'make figures BENCH=bench-x ARGS="--seeds 2"'
    (package / "bench_x.py").write_text('print("on the way")\n')
    assert keep.run("bench-x", []) == 1
    assert json.loads((tmp_path / "figures" / "bench-x.json").read_text()) == told
