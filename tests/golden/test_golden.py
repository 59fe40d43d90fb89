"""The judge of structure: it plays every kind of history, and a byte that differs doesn't pass."""

from typing import Any

import pytest

from tests.golden.__main__ import difference, history
from tests.golden.driven import Digests, Play, played
from tests.golden.plays import KIND_OF, of


class Here:
    """Stands for the other tree: this one, under a rule that may be another."""

    def __init__(self, **market: Any) -> None:
        self.market = market
        self.plays: list[Play] = []

    def send(self, play: Play) -> None:
        self.plays.append(play._replace(market=play.market | self.market))

    def answer(self) -> tuple[Digests, dict[str, list[str]]]:
        return played(self.plays.pop())


@pytest.mark.parametrize("kind", KIND_OF)
def test_every_kind_of_history_is_played_again_byte_for_byte(kind: str) -> None:
    case, other = history(kind, 5), Here()
    other.send(case.play)
    digests, parts = other.answer()
    assert difference(case, digests, other) is None and not parts
    assert 0 < case.play.takeover < len(case.play.turns)


def test_one_byte_that_differs_is_found_and_shown() -> None:
    case, other = history("mixed", 3), Here(accept_s=20.5)
    other.send(case.play)
    found = difference(case, other.answer()[0], other)
    assert found is not None and found["base"] != found["here"]
    assert "output labeling.rounds.v1" in found["parts"], "that says what its policy is"


def test_a_thousand_histories_are_of_every_kind() -> None:
    kinds = [kind for kind, _ in of(1000)]
    assert set(kinds) == set(KIND_OF) and kinds.count("large") == 5
