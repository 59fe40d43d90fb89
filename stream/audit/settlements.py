"""What must become of a judgment record: one settlement, with the outcome that the pair's past demands.

    offered, leased     counted (+1), the assignment ends as submitted
    judged, retracted   duplicate (0)
    returned, closed    late (+1 where nothing forbids it; else 0, with the reason)
    new                 unsolicited (+1) where an offer would have been allowed; else surplus (0), with the reason

Corrections replace a label (corrected, 0), retractions take a counted judgment out (retracted, -1).
"""

from stream.audit.books import Annotator, Pair, Pool, Task
from stream.audit.checked import meet, take_back
from stream.audit.leases import drop, end, is_met, is_withdrawn, remember_met, settle, trim
from stream.audit.records import Record
from stream.audit.round import Case
from stream.audit.uninvited import UNSURE, drop_doubted, late, may_be_doubted, uninvited
from stream.events import JudgmentCorrected, JudgmentRetracted, JudgmentSettled, JudgmentSubmitted

Outcome = tuple[str, int, str | None]


def judge(
    case: Case,
    pool: Pool,
    task: Task,
    annotator: Annotator,
    record: Record,
    event: JudgmentSubmitted | JudgmentCorrected | JudgmentRetracted,
) -> None:
    """Follow one judgment record and compare its settlement with the rules."""
    found = case.round.settlements.pop((record.topic, record.offset), None)
    said = None if found is None else (found[1].outcome, found[1].count, found[1].reason)
    pair = task.pairs.get(annotator.name)
    if pair is None:
        pair = Pair(task, annotator)
    answers = not isinstance(event, JudgmentRetracted)
    if answers:
        drop_doubted(case, pair)
    if answers and pair.state == "offered" and is_withdrawn(case, pair, ("met_need",)):
        _catch_up(case, pool, task, pair)
    expected = _expected(case, pool, task, pair, event, said)
    if found is None:
        case.report(5, f"a judgment of {annotator.name!r} on {task.name!r} does not settle", record)
    else:
        _compare(case, pair, record, found, expected)
    if answers and pair.state == "new":
        task.pairs[annotator.name] = pair
    outcome = (said or expected[0])[:2]
    _compared(task, pair, event, outcome)
    _book(case, pool, task, pair, record, outcome)
    meet(task)


def _compared(
    task: Task,
    pair: Pair,
    event: JudgmentSubmitted | JudgmentCorrected | JudgmentRetracted,
    outcome: tuple[str, int],
) -> None:
    """What the pair answers now; whoever was compared with what it answered before has been."""
    name, _ = outcome
    if pair.state == "counted" and name in ("corrected", "retracted"):
        take_back(task)
    if name != "duplicate":
        pair.label = getattr(event, "label", None)


def _expected(
    case: Case, pool: Pool, task: Task, pair: Pair, event: object, said: Outcome | None
) -> list[Outcome]:
    state = pair.state
    if isinstance(event, JudgmentRetracted):
        if state == "retracted":
            return [("duplicate", 0, None)]
        return [("retracted", -1 if state == "counted" else 0, None)]
    if isinstance(event, JudgmentCorrected) and state in ("counted", "uncounted"):
        return [("corrected", 0, None)]
    if state in ("offered", "leased"):
        return [("counted", 1, None)]
    if state in ("counted", "uncounted", "retracted"):
        return [("duplicate", 0, None)]
    is_late = state in ("returned", "closed", "submitted")
    if said is not None and said[2] == "closed" and is_met(case, pool, task):
        settle(case, pool, task, "consensus", "met_need")
    is_import = getattr(event, "origin", "live") == "import"
    if is_late:
        reasons = late(case, task, pair.annotator)
    else:
        reasons = uninvited(case, pool, task, pair.annotator, is_import)
    reason = next(reasons, None)
    counts, not_counted = ("late", 1, None) if is_late else ("unsolicited", 1, None), "late" if is_late else "surplus"
    expected: list[Outcome] = [counts if reason is None else (not_counted, 0, reason)]
    if reason in UNSURE and case.round.ends:  # what made room for it may be told of later in this round
        expected += [counts, *((not_counted, 0, other) for other in reasons)]
    after = (None, "paused", "presence", "capacity")
    if reason in after and not is_import and may_be_doubted(task, pair.annotator):
        expected.append((not_counted, 0, "min_skill"))
    return expected


def _catch_up(case: Case, pool: Pool, task: Task, pair: Pair) -> None:
    """The offer was withdrawn earlier in this round, though the auditor can't tell by which posterior."""
    if is_met(case, pool, task):
        settle(case, pool, task, "consensus", "met_need")
    else:
        case.report(5, f"{pair.assignment} is withdrawn without a reason", pair.offer, case.round.record)
        case.round.ends.pop(pair.assignment)
        drop(case, pair, "withdrawn")


def _compare(
    case: Case, pair: Pair, record: Record, found: tuple[Record, JudgmentSettled], expected: list[Outcome]
) -> None:
    said, event = found
    if (event.outcome, event.count, event.reason) not in expected:
        wanted = " or ".join(f"{name} ({count:+d}{_words(why)})" for name, count, why in expected)
        case.report(
            2 if event.count == 1 and pair.state in ("counted", "uncounted", "retracted") else 5,
            f"{pair.annotator.name!r} on {pair.task.name!r} settles as {event.outcome} "
            f"({event.count:+d}{_words(event.reason)}), expected {wanted}",
            record,
            said,
        )
    if (event.task, event.annotator, event.project) != (
        pair.task.name,
        pair.annotator.name,
        pair.task.project.name,
    ):
        case.report(5, "a judgment settles for another task, annotator or project", record, said)


def _words(reason: str | None) -> str:
    return "" if reason is None else f", {reason}"


def _book(case: Case, pool: Pool, task: Task, pair: Pair, record: Record, outcome: tuple[str, int]) -> None:
    name, count = outcome
    if count or (name == "corrected" and pair.state == "counted"):
        first = task.counted < task.overlap or pair.state == "offered" or name == "unsolicited"
        case.round.move(pool, task, is_after=not first)
    if count:
        remember_met(case, pool, task)
        case.round.counted.add((pool.name, task.name))
        case.touch(pool, task)
        task.counted += count
        task.project.use(pair.annotator.name, count)
        if count > 0 and task.classes is not None:
            case.round.learned.add((pool.name, pair.annotator.name, task.skill))
        if count > 0 and task.is_work and task.project.has_gold:
            worked = task.project.worked
            worked[pair.annotator.name] = worked.get(pair.annotator.name, 0) + 1
    if name in ("corrected", "duplicate"):
        return
    if name == "retracted":
        if pair.state in ("counted", "uncounted"):
            pair.state = "retracted"
        trim(case, pool, task, "met_need", because=record)
        return
    if pair.is_live:
        end(case, pair, "submitted", because=record)
    pair.state = "counted" if count else "uncounted"
    if task.counted > task.ceiling:
        case.report(1, f"{task.counted} counted on {task.name!r}, max_overlap was {task.ceiling}", record)
    if count:
        trim(case, pool, task, "met_need", because=record)
