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


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_every_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert link.startswith("https://") or (ROOT / link).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:`|^    )make ([a-z-]+)", README, re.MULTILINE))))
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
