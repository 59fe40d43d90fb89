"""An output is known by its identity: for readers that may see a record twice."""

from collections import Counter
from typing import Any, get_args

import pytest

from stream import events as wire
from stream import topics
from tests.core.histories import Writer
from tests.core.test_oracle import offered, started


def identity(event: Any) -> tuple[Any, ...]:
    return type(event), *(getattr(event, field) for field in wire.IDENTITY[type(event)])


@pytest.mark.parametrize("seed", range(6))
def test_no_two_outputs_have_one_identity(seed: int) -> None:
    writer = Writer(seed)
    shard = started(writer)
    seen: Counter[Any] = Counter()
    for turn in writer.turns(40):
        result = shard.round(*turn)
        writer.told(offered(result))
        for topic in topics.OUTPUTS:
            for _, value in result.outputs[topic]:
                event = wire.decode_result(value)
                if isinstance(event, wire.JudgmentSettled):
                    source = event.source
                    seen["judgment", source.topic, source.partition, source.offset] += 1
                else:
                    seen[identity(event)] += 1
    assert seen and max(seen.values()) == 1, seen.most_common(3)


def test_every_output_has_an_identity() -> None:
    assert set(wire.IDENTITY) == set(get_args(wire.Result))
    for event, fields in wire.IDENTITY.items():
        assert set(fields) <= set(event.__struct_fields__)  # type: ignore[attr-defined]
