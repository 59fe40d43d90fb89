"""Documents keep up with the code."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from stream.core.batch import Reason
from stream.settings import Market, Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(ALLOCATOR_\w+)` \| `([^`]*)` \| .+ \|$", re.MULTILINE)


def expected() -> dict[str, str]:
    fields = {name: value for name, value in msgspec.structs.asdict(Settings()).items() if name != "market"}
    fields |= {f"market_{name}": value for name, value in msgspec.structs.asdict(Market()).items()}
    return {f"ALLOCATOR_{name.upper()}": str(value) for name, value in fields.items()}


def test_every_setting_is_in_the_readme_with_its_default_and_no_other() -> None:
    assert dict(ROW.findall(README)) == expected()


def test_every_reason_of_a_dead_letter_has_its_words_and_a_paragraph() -> None:
    reasons = set(get_args(Reason))  # the types let no other be given
    assert len(reasons) >= 8
    rules = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    paragraph = next(part for part in rules.split("\n\n") if part.startswith("Dead-letter reasons:"))
    paragraph = re.sub(r"\[0,\s+classes\)", "", paragraph)  # the one bracket that doesn't pair
    while paragraph != (outer := re.sub(r"\([^()]*\)", "", paragraph)):
        paragraph = outer
    assert set(re.findall(r"`(\w+)`", paragraph)) == reasons
    runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = runbook[runbook.index("## Dead letters") :]
    section = section[: section.find("\n## ") if "\n## " in section else None]
    assert set(re.findall(r"^### (\w+)$", section, re.MULTILINE)) == reasons


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ROOMS = ("kernels", "stream", "load", "tests", "docs", "monitoring", "requirements", "streaming_allocator")


def paths(text: str) -> set[str]:
    """Files and folders that a document names by their path, without what follows a name in it."""
    return {name.rstrip("/") for name in re.findall(rf"`((?:{'|'.join(ROOMS)})/[\w./-]*)`", text)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_a_document_names_is_there(path: Path) -> None:
    named = paths(path.read_text(encoding="utf-8"))
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_where_everything_is_names_every_room_and_the_shape_no_file_that_is_not_there() -> None:
    text = (ROOT / "docs" / "develop.md").read_text(encoding="utf-8")
    table = text[text.index("## Where is what") : text.index("## How to add")]
    assert len(paths(table)) > 80 and paths("`stream/nothing.py`, `stream/core/`") == {
        "stream/nothing.py",
        "stream/core",
    }
    folders = {path.parent for room in ("kernels", "stream", "load") for path in (ROOT / room).rglob("*.py")}
    rooms = {str(folder.relative_to(ROOT)) for folder in folders} - {"kernels", "stream", "load", "stream/shell"}
    assert {room for room in rooms if not any(name.startswith(room) for name in paths(text))} == set()
    shape = text[text.index("## The shape") : text.index("Who may import whom")]
    stems = {path.name for path in ROOT.joinpath("stream").rglob("*.py")} | {
        path.name for path in ROOT.joinpath("kernels").rglob("*.py")
    }
    assert set(re.findall(r"\b(\w+\.py)\b", shape)) <= stems


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_page_or_a_heading_leads_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)", path.read_text(encoding="utf-8")):
        page = path.parent / target if target else path
        assert page.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, anchor


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_every_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert link.startswith("https://") or (ROOT / link).exists()


TARGETS = {
    target
    for path in DOCUMENTS
    for target in re.findall(r"(?:`|^    )make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_make_target_of_a_document_exists(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
