"""Every number that is published is one: no NaN and no infinity, which JSON would turn into null.

The fields are found by walking the types of the contract, so a new field is looked at without a line here.
"""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from msgspec import inspect

from stream import events as wire
from stream.core import shard as shards
from stream.core.market import matching
from stream.core.market.stalls import HalfSolved
from tests.core.course import Course, gold, people, project, truth, work
from tests.core.histories import Turn, Writer
from tests.core.test_oracle import offered, started

TURNS = 40


class Part(NamedTuple):
    """A part of values of some type: what leads to it, how to get it, and the parts that lead to numbers."""

    name: str
    take: Callable[[Any], Iterable[Any]]
    is_number: bool
    parts: list["Part"]


def inner(kind: inspect.Type) -> inspect.Type:
    return inner(kind.type) if isinstance(kind, inspect.Metadata) else kind


def field_of(cls: type, name: str, value: Any) -> tuple[Any, ...]:
    return (getattr(value, name),) if type(value) is cls else ()


def part(name: str, kind: inspect.Type, take: Callable[[Any], Iterable[Any]]) -> Part:
    return Part(name, take, isinstance(inner(kind), inspect.FloatType), parts(kind))


def parts(kind: inspect.Type) -> list[Part]:
    """The parts of values of this type that are numbers with a fraction, or hold some."""
    found: list[Part] = []
    match inner(kind):
        case inspect.StructType(cls=cls, fields=fields):
            found = [
                part(
                    f"{cls.__name__}.{field.name}", field.type,
                    partial(field_of, cls, field.name),
                )
                for field in fields
            ]  # fmt: skip
        case inspect.UnionType(types=types):
            found = [part("", one, lambda value: () if value is None else (value,)) for one in types]
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            found = [part("[]", item, iter)]
        case inspect.DictType(value_type=item):
            found = [part("{}", item, dict.values)]
    return [one for one in found if one.is_number or one.parts]


def number_fields(found: list[Part], path: str = "") -> Iterator[str]:
    """The places of all numbers with a fraction."""
    for one in found:
        if one.is_number:
            yield path + one.name
        yield from number_fields(one.parts, path + one.name)


def numbers(found: list[Part], value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The numbers with a fraction in a value, each with its place."""
    for one in found:
        for taken in one.take(value):
            if one.is_number:
                yield path + one.name, taken
            yield from numbers(one.parts, taken, path + one.name)


RESULT = parts(inspect.type_info(wire.Result))


class Witness:
    """Stands where outputs are encoded, looks at each before, and reads it again behind."""

    def __init__(self, encode: Callable[[Any], bytes]) -> None:
        self.encode = encode
        self.seen: dict[str, set[float]] = defaultdict(set)

    def __call__(self, output: Any) -> bytes:
        for path, number in numbers(RESULT, output):
            assert type(number) is float and math.isfinite(number), (path, output)
            self.seen[path].add(number)
        value = self.encode(output)
        assert wire.decode_result(value) == output
        return value


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    found = Witness(wire.encode)
    monkeypatch.setattr(wire, "encode", found)
    return found


def bounds_of(kind: inspect.Type) -> Iterator[float]:
    match inner(kind):
        case inspect.FloatType(gt=above, ge=low, le=high):
            assert high is not None and (above is not None or low is not None), "a number without bounds comes in"
            if above is not None:
                low = math.nextafter(above, high)
            assert low is not None
            yield from (low, high)
        case inspect.UnionType(types=types):
            for one in types:
                yield from bounds_of(one)


INPUTS: Any = inspect.type_info(wire.Input)
BOUNDS: dict[Any, dict[str, list[float]]] = {
    kind.tag: {field.encode_name: bounds for field in kind.fields if (bounds := list(bounds_of(field.type)))}
    for kind in INPUTS.types
}


class Extreme(Writer):
    """Histories whose numbers are at the bounds that the contract sets."""

    def odd(self, event: dict[str, Any]) -> None:
        """Nothing but numbers at their bounds."""

    def event(self) -> dict[str, Any]:
        event = super().event()
        for name, bounds in BOUNDS[event["type"]].items():
            if self.rng.random() < 0.3:
                event[name] = self.rng.choice(bounds)
        event["at"] = self.rng.choice([event["at"]] * 8 + [0.0, self.now - 1e5, self.now + 299.0])
        return event


def play(writer: Writer, turns: int = TURNS) -> None:
    shard = started(writer)
    for turn in writer.turns(turns):
        writer.told(offered(shard.round(*Turn(*turn))))


@pytest.mark.parametrize("seed", range(6))
def test_in_random_histories(seed: int, witness: Witness) -> None:
    play(Writer(seed))
    assert witness.seen


@pytest.mark.parametrize("seed", range(12))
def test_where_inputs_are_at_their_bounds(seed: int, witness: Witness) -> None:
    play(Extreme(500 + seed))
    assert witness.seen["DecisionMade.value"]


def lessons() -> None:
    """Gold, training, scores, imports, somebody who falls."""
    course, rng = Course(), random.Random(4)
    course.told(
        project(gold_rate=0.5), *gold(200), *work(40, overlap=2), *work(9, first=300, classes=None, overlap=1),
        *people(["a", "b", "c"], capacity=3),
        *({"type": "skill_seeded", "annotator": "b", "skill": "s", "accuracy": a, "weight": 1e9} for a in (0.0, 1.0)),
    )  # fmt: skip
    for turn in range(200):
        named = [{"annotator": offer.annotator, "task": offer.task} for offer in course.offers]
        scores = [(pair, rng.choice([0.0, 1.0])) for pair in named if pair["task"].startswith("w30")]
        course.told(
            {"type": "judgment_submitted", "annotator": "a", "task": f"g{turn}",
             "label": truth(f"g{turn}") ^ (rng.random() >= (0.95 if turn < 100 else 0.2))},
            *({"type": "assignment_accepted", **pair} for pair in named),
            *({"type": "judgment_submitted", **pair, "duration_s": 3.5, "label": None} for pair, _ in scores),
            *({"type": "judgment_scored", **pair, "score": score, "source": "reviewer"} for pair, score in scores),
            *course.answers(dict.fromkeys("abc", 0.9), rng),
        )  # fmt: skip


def test_where_people_are_taught_scored_and_fall(witness: Witness) -> None:
    lessons()
    assert witness.seen["SkillDrifted.score"]


PROVEN = ["value", "bound", "unproven_value", "taught_value"]


@pytest.mark.parametrize("field", ["price", "terms", "runner_up_value", "skill_low", *PROVEN])
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_matching_of_what_is_no_number_is_not_published(
    field: str, number: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(*given: Any) -> matching.Matched | None:
        matched = matching.match(*given)
        assert matched is not None
        if field in PROVEN:
            changed: dict[str, Any] = {field: number}
            return matched._replace(proof=matched.proof._replace(**changed))
        return matched._replace(**{field: np.full_like(getattr(matched, field), number)})

    course = Course()
    monkeypatch.setattr(shards, "match", spoiled)
    with pytest.raises(HalfSolved, match="expected finite values"):
        course.told(*work(2), *people(["a"]))


def stall(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise ValueError("no price")

    course = Course()
    with monkeypatch.context() as broken:
        broken.setattr(shards, "match", fails)
        course.told(*work(2), *people(["a"]))
    course.told(*work(2, first=5))


def short() -> None:
    """More is promised than the budget pays."""
    Course().told(project(budget=3), *work(4, overlap=2), *people(["a"]))


def test_no_number_of_the_contract_is_left_out(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the histories never publish is not tested by them."""
    for seed in range(4):
        play(Writer(seed))
    lessons()
    short()
    stall(monkeypatch)
    assert set(witness.seen) == set(number_fields(RESULT))
