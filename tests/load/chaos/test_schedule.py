"""The matrix is drawn whole, and the traffic is what the ledger says it is."""

from random import Random

from load.chaos.catalogue import FAULTS
from load.chaos.ledger import EVENT, JUDGMENT, REASONS
from load.chaos.schedule import LAST, LAST_FROM, ONCE, schedule
from load.chaos.traffic import Traffic
from stream.core.intake.partitioning import partition_of
from stream.events import AssignmentOffered, decode
from stream.shell.process.steps import STEPS


def test_every_kind_is_drawn_whatever_the_seed():
    for seed in range(50):
        drawn = schedule(Random(seed), 60)
        assert len(drawn) >= 60
        assert set(drawn) == set(FAULTS)
        assert all(drawn.count(name) == 1 for name in ONCE)


def test_clocks_step_forward_last():
    for seed in range(50):
        drawn = schedule(Random(seed), 70)
        first = drawn.index(LAST)
        others = [name for name in drawn if name != LAST]
        assert len([name for name in drawn[:first] if name != LAST]) >= int(LAST_FROM * len(others))


def test_only_means_only():
    assert set(schedule(Random(1), 5, ("join", "drain"))) == {"join", "drain"}


def test_every_labelled_step_of_the_worker_is_in_the_matrix():
    assert {name.removeprefix("kill at ") for name in FAULTS if name.startswith("kill at ")} == set(STEPS)


def test_the_usual_mix_is_usable_and_judgments_are_entered_as_such():
    traffic = Traffic(1, 4)
    sent = [*traffic.opening(1e9), *traffic.volume(2000, 1e9)]
    for one in sent:
        assert one.value is not None and one.key is not None
        event = decode(one.value)
        assert event.pool.encode() == one.key
        assert one.kind == (JUDGMENT if type(event).__name__.startswith("Judgment") else EVENT)
    assert sum(one.kind == JUDGMENT for one in sent) > 500


def test_the_same_seed_says_the_same():
    first, second = Traffic(5, 4), Traffic(5, 4)
    assert first.volume(500, 1e9) == second.volume(500, 1e9)


def test_misplaced_records_are_where_they_do_not_belong():
    for one in Traffic(1, 4).misplaced(50, 1e9):
        assert one.key is not None and one.partition != partition_of(one.key, 4)


def test_bad_input_is_bad_in_ways_that_the_ledger_knows():
    kinds = {one.kind for one in Traffic(1, 4).malformed(1e9)}
    assert kinds <= set(REASONS) and len(kinds) >= 4


def test_people_answer_most_offers_and_ignore_some():
    traffic = Traffic(1, 4)
    for number in range(1000):
        offer = AssignmentOffered(
            pool=traffic.pools[0], partition=0, round=1, assignment=f"0-1-{number}", task=f"t{number}", project="live",
            skill="read", annotator="a1", at=0.0, accept_by=8.0, lease_s=20.0,
        )  # fmt: skip
        traffic.offered(offer, 0.0)
    said = [decode(one.value or b"") for one in traffic.answers(100.0)]
    judged = {event.task for event in said if type(event).__name__ == "JudgmentSubmitted"}
    answered = {getattr(event, "task", None) for event in said}
    assert 800 < len(judged) < 950
    assert len(answered - {None}) < 1000
