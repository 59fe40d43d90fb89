"""From what the kernels emitted to output events in JSON.

Per pool, in the order in which things happened; then the tasks that settled and the posteriors that changed, as of
the end of the round; then offers with their decisions, then answers to requests that could not be met.
"""

import math
from typing import Any

import numpy as np

from kernels import skill as skills
from kernels.lifecycle import codes
from kernels.terms import NAMES
from stream import events as wire
from stream import topics
from stream.core.batch import Applied, misfit, misplaced
from stream.core.intake.turn import Turn
from stream.core.market.matching import Matched
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState
from stream.core.ties import leader

ENDS: tuple[Any, ...] = (None, "submitted", "declined", "expired", "abandoned", "withdrawn")
CAUSES: tuple[Any, ...] = (None, "cancel", "pause", "absence", "met_need", "override", "erased")
JUDGMENTS: tuple[Any, ...] = (
    None, "counted", "late", "surplus", "duplicate", "unsolicited", "corrected", "retracted", "outdated",
)  # fmt: skip
OUTCOMES: tuple[Any, ...] = (None, "consensus", "complete", "exhausted", "cancelled", "deadline", "blocked", "budget")
NOT_COUNTED: tuple[Any, ...] = (
    None, "closed", "need", "budget", "list", "limit", "profile", "min_skill", "paused", "presence", "capacity",
)  # fmt: skip

# plain ints compare faster
EMIT_JUDGMENT, EMIT_ENDED, EMIT_LEASED, EMIT_CONSENSUS, EMIT_SETTLED, EMIT_DROPPED, EMIT_BLOCKED = map(
    int, (codes.EMIT_JUDGMENT, codes.EMIT_ENDED, codes.EMIT_LEASED, codes.EMIT_CONSENSUS, codes.EMIT_SETTLED,
          codes.EMIT_DROPPED, codes.EMIT_BLOCKED),
)  # fmt: skip
EMIT_DRIFTED, EMIT_AWAY, EMIT_BACK = int(codes.EMIT_DRIFTED), int(codes.EMIT_AWAY), int(codes.EMIT_BACK)
SETTLED, EMIT_IGNORED = int(codes.SETTLED), int(codes.EMIT_IGNORED)
#: Types of answers to offers, by the code of their event.
ANSWERS = {
    int(codes.ACCEPTED): "assignment_accepted", int(codes.EXTENDED): "assignment_extended",
    int(codes.DECLINED): "assignment_declined",
}  # fmt: skip

Encoded = list[tuple[bytes, bytes]]


class Outbox:
    """Collects the encoded outputs of one round by topic."""

    def __init__(self, partition: int, rnd: int, now: float) -> None:
        self.partition = partition
        self.round = rnd
        self.now = now
        self.topics: dict[str, Encoded] = {topic: [] for topic in topics.OUTPUTS}
        self.offers = 0
        self.drifts = 0

    # ------------------------------------------------------------------ what events and the clock did
    def lifecycle(self, turn: Turn, emissions: Array) -> list[int]:
        """Encode what kernels emitted in a pool's turn; returns the slots of tasks that leave memory."""
        pool = turn.pool
        partition, rnd, now = self.partition, self.round, self.now
        encode, key, name = wire.encode, pool.key, pool.name
        task_ids: list[Any] = pool.tasks.ids
        annotator_ids: list[Any] = pool.annotators.ids
        assignments, judgments = self.topics[topics.ASSIGNMENTS], self.topics[topics.JUDGMENTS]
        consensus, owners = self.topics[topics.CONSENSUS], _project_names(pool)
        settled: list[int] = []
        changed: list[int] = []
        dropped: list[int] = []
        for code, detail, cause, count, event, t, a, index, made, at in emissions.tolist():
            if code == EMIT_JUDGMENT:
                applied = turn.applied[event]
                judgment, source = applied.event, applied.source
                duration_s = getattr(judgment, "duration_s", None)
                output: Any = wire.JudgmentSettled(
                    pool=name, partition=partition, round=rnd, task=task_ids[t], project=owners[t],
                    annotator=annotator_ids[a],
                    source=wire.Source(topic=source.topic, partition=partition, offset=source.offset),
                    outcome=JUDGMENTS[detail], count=count, duration_s=duration_s,
                    accepted_at=None if math.isnan(at) else at, reason=NOT_COUNTED[cause],
                )  # fmt: skip
                judgments.append((key, encode(output)))
            elif code == EMIT_ENDED:
                output = wire.AssignmentEnded(
                    pool=name, partition=partition, round=rnd, assignment=f"{partition}-{made}-{index}",
                    task=task_ids[t], annotator=annotator_ids[a], at=now, outcome=ENDS[detail], cause=CAUSES[cause],
                )  # fmt: skip
                assignments.append((key, encode(output)))
            elif code == EMIT_LEASED:
                output = wire.AssignmentLeased(
                    pool=name, partition=partition, round=rnd, assignment=f"{partition}-{made}-{index}",
                    task=task_ids[t], annotator=annotator_ids[a], at=now, submit_by=at,
                )  # fmt: skip
                assignments.append((key, encode(output)))
            elif code in (EMIT_AWAY, EMIT_BACK):
                missed = event if code == EMIT_AWAY else None
                assignments.append((key, encode(self._attention(name, annotator_ids[a], missed))))
            elif code == EMIT_CONSENSUS:
                changed.append(t)
            elif code == EMIT_SETTLED:
                settled.append(t)
            elif code == EMIT_DROPPED:
                dropped.append(t)
            elif code == EMIT_BLOCKED:
                output = wire.TaskBlocked(
                    pool=name, partition=partition, round=rnd, task=task_ids[t], project=owners[t],
                    declines=int(pool.columns.tasks.records[t]["faults"]),
                )  # fmt: skip
                consensus.append((key, encode(output)))
            elif code == EMIT_IGNORED:
                turn.ignored[ANSWERS[detail]] += 1
            elif code == EMIT_DRIFTED:
                consensus.append((key, encode(self._drifted(pool, t, a, at))))
            else:
                self._invalid(turn, turn.applied[event], t)
        self._consensus(pool, settled, changed, owners, consensus)
        return dropped

    def _consensus(
        self, pool: PoolState, settled: list[int], changed: list[int], owners: "_Owners", into: Encoded
    ) -> None:
        columns = pool.columns
        common: dict[str, Any] = {"pool": pool.name, "partition": self.partition, "round": self.round}
        changed_now = set(changed)
        # what has been opened again is told of when it settles for good; of several times the last
        states = columns.tasks.records["state"]
        settled = [t for t in reversed(dict.fromkeys(reversed(settled))) if states[t] == SETTLED]
        just_settled = set(settled)
        for t in settled:
            task = columns.tasks.records[t]
            name: Any = pool.tasks.ids[t]
            posterior = columns.tasks.reported[t, : task["classes"]].tolist()
            known = task["purpose"] == codes.WORK and posterior and (task["counted"] or task["truth"] >= 0)
            best, tie = leader(pool.name, name, posterior) if known else (None, False)
            output: Any = wire.TaskSettled(
                **common, task=name, project=owners[t], outcome=OUTCOMES[task["outcome"]], label=best, tie=tie,
                posterior=posterior if known else None, judgments=int(task["counted"]),
            )  # fmt: skip
            into.append((pool.key, wire.encode(output)))
            if best is not None:
                columns.tasks.records[t]["label"] = best
        if not changed_now:
            return
        slots = np.array(changed, np.int64)
        records = columns.tasks.records[slots]
        for t, state, classes, label, judged, skill, row in zip(
            changed, records["state"].tolist(), records["classes"].tolist(), records["label"].tolist(),
            records["counted"].tolist(), records["skill"].tolist(), columns.tasks.reported[slots].tolist(), strict=True,
        ):  # fmt: skip
            posterior, name = row[:classes], pool.tasks.ids[t]
            best, tie = leader(pool.name, name or "", posterior)
            kind: Any = wire.ConsensusUpdated
            if state == SETTLED and t not in just_settled:
                if label != best and label >= 0:
                    kind = wire.ConsensusRevised
                columns.tasks.records[t]["label"] = best
            output = kind(
                **common, task=name, skill=pool.skills.ids[skill], label=best, tie=tie, posterior=posterior,
                judgments=judged,
            )  # fmt: skip
            into.append((pool.key, wire.encode(output)))
        columns.tasks.records["changed"][slots] = 0

    def _attention(self, pool: str, annotator: str, missed: int | None) -> wire.Output:
        """Somebody is away, having missed so much, or back."""
        common: dict[str, Any] = {
            "pool": pool, "partition": self.partition, "round": self.round, "annotator": annotator, "at": self.now,
        }  # fmt: skip
        return wire.AnnotatorBack(**common) if missed is None else wire.AnnotatorAway(**common, missed=missed)

    def _drifted(self, pool: PoolState, t: int, a: int, score: float) -> wire.SkillDrifted:
        self.drifts += 1
        task = pool.columns.tasks.records[t]
        known = skills.known(pool.columns.skills, int(task["model"]), a)
        return wire.SkillDrifted(
            pool=pool.name, partition=self.partition, round=self.round, annotator=pool.annotators.ids[a] or "",
            skill=pool.skills.ids[int(task["skill"])] or "", mean=known.mean, low=known.low, high=known.high,
            judgments=known.judgments, score=score,
        )  # fmt: skip

    @staticmethod
    def _invalid(turn: Turn, applied: Applied, t: int) -> None:
        pool, source = turn.pool, applied.source
        classes, event = int(pool.columns.tasks.records[t]["classes"]), applied.event
        if isinstance(event, wire.JudgmentScored):
            message = misplaced(event.task, classes)
        else:
            message = misfit(event.task, event.label, classes)  # type: ignore[attr-defined]
        turn.rejections.add(source.topic, source.offset, pool.key, source.value, "invalid", message)

    def budgets(self, turn: Turn) -> None:
        """Tell which projects have promised more than their budgets."""
        for short in turn.short:
            output = wire.BudgetShort(
                pool=turn.pool.name, partition=self.partition, round=self.round, project=short.project, at=self.now,
                promised=short.promised, budget=short.budget,
            )  # fmt: skip
            self.topics[topics.DECISIONS].append((turn.pool.key, wire.encode(output)))

    # ------------------------------------------------------------------ what the market did
    def offers_of(self, pool: PoolState, matched: Matched) -> None:
        """Encode a pool's offers and why each was made."""
        partition, rnd, now = self.partition, self.round, self.now
        accept_by = now + pool.policy.accept_s
        encode, key, name = wire.encode, pool.key, pool.name
        task_ids: list[Any] = pool.tasks.ids
        annotator_ids: list[Any] = pool.annotators.ids
        skill_ids: list[Any] = pool.skills.ids
        assignments, decisions = self.topics[topics.ASSIGNMENTS], self.topics[topics.DECISIONS]
        records = pool.columns.tasks.records[matched.tasks]
        owners = _project_names(pool)
        refs, no_ref = pool.refs, (0.0, None)
        index = self.offers
        for t, a, terms, price, other, other_value, low, is_required, skill, lease_s in zip(
            matched.tasks.tolist(), matched.annotators.tolist(), matched.terms.tolist(), matched.price.tolist(),
            matched.runner_up.tolist(), matched.runner_up_value.tolist(), matched.skill_low.tolist(),
            matched.required.tolist(), records["skill"].tolist(), records["lease_s"].tolist(), strict=True,
        ):  # fmt: skip
            assignment = f"{partition}-{rnd}-{index}"
            index += 1
            task, annotator = task_ids[t], annotator_ids[a]
            offered = wire.AssignmentOffered(
                pool=name, partition=partition, round=rnd, assignment=assignment, task=task, project=owners[t],
                skill=skill_ids[skill], annotator=annotator, at=now, accept_by=accept_by, lease_s=lease_s,
                ref=refs.get(task, no_ref)[1],
            )  # fmt: skip
            assignments.append((key, encode(offered)))
            decision = wire.DecisionMade(
                pool=name, partition=partition, round=rnd, assignment=assignment, task=task, annotator=annotator,
                at=now, value=sum(terms), price=price, terms=dict(zip(NAMES, terms, strict=True)),
                runner_up=annotator_ids[other] if other >= 0 else None,
                runner_up_value=other_value if other >= 0 else None, skill_low=low,
                policy=pool.policy.version, required=is_required,
            )  # fmt: skip
            decisions.append((key, encode(decision)))
        self.offers = index

    def unavailable(self, pool: PoolState) -> None:
        """Answer the requests of this round that got fewer offers than asked for."""
        annotators = pool.columns.annotators.records
        for a in pool.asked:
            record = annotators[a]
            if record["asked"] == 0:
                continue
            reason: Any = "no_matching_task"
            if not record["online"] or record["absent"] or self.now >= record["expires"]:
                reason = "not_online"
            elif record["paused"] or pool.paused:
                reason = "paused"
            elif record["live"] >= record["capacity"]:
                reason = "at_capacity"
            output = wire.WorkUnavailable(
                pool=pool.name, partition=self.partition, round=self.round, annotator=pool.annotators.ids[a] or "",
                at=self.now, reason=reason, retry_after_s=pool.policy.accept_s,
            )  # fmt: skip
            self.topics[topics.ASSIGNMENTS].append((pool.key, wire.encode(output)))
            annotators[a]["asked"] = 0
        pool.asked.clear()
        pool.asked_projects.clear()


class _Owners:
    """Names of tasks' projects, looked up when needed."""

    __slots__ = ("names", "owners")

    def __init__(self, owners: Array, names: list[Any]) -> None:
        self.owners = owners
        self.names = names

    def __getitem__(self, t: int) -> str:
        name: str = self.names[self.owners[t]]
        return name


def _project_names(pool: PoolState) -> _Owners:
    return _Owners(pool.columns.tasks.records["project"], pool.projects.ids)
