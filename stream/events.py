"""The wire contract: every event that enters and every event that leaves, as JSON tagged by ``type``.

Inputs are facts reported by annotation tools and by people; either input topic accepts every input event.
Outputs are facts established by a round; every output carries its ``partition`` and ``round``. Structs are
frozen and keyword-only, unknown fields are ignored, a missing field means its default. Times are Unix
seconds. An id holds 1 to 128 bytes of UTF-8; the length in bytes is checked where an id is first seen. A list of ids
is a set: repeats leave it where it enters the state.

This module declares; it decides nothing. ``decode`` is the only way in, ``encode`` the only way out. What the exact
decoder refuses is read once more with patience (``stream/second_reading.py``): a field that nobody needs costs nobody's
work. What is no event even then raises msgspec's ValidationError, whose message is a sentence for the sender.
"""

import re
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stream.policy import Policy
from stream.second_reading import SecondReading

ID_BYTES = 128
REF_BYTES = 512
NOTE_BYTES = 2000
LIST_ITEMS = 1000
MOST_CLASSES = 20
#: events that wait for one and the same task, as counted here; the first of them may be larger
WAITING_BYTES = 64 << 10
#: an event that waits counts its value, its headers, and what storing it and each header takes besides
WAITING_EVENT_BYTES, WAITING_HEADER_BYTES = 96, 8

Id = Annotated[str, Meta(min_length=1, max_length=ID_BYTES)]
Ids = Annotated[tuple[Id, ...], Meta(max_length=LIST_ITEMS)]
Session = Annotated[str, Meta(min_length=0, max_length=ID_BYTES)]  # an id; empty: the default one
ClassNames = Annotated[tuple[Id, ...], Meta(max_length=MOST_CLASSES)]
Time = Annotated[float, Meta(ge=0, le=1e11, title="a time in Unix seconds")]
#: so large that a time in milliseconds, micro- or nanoseconds is one of a wrong clock and not a wrong number
Clock = Annotated[float, Meta(ge=0, le=1e20, title="a time in Unix seconds")]
#: in characters here; `exact` counts bytes
Ref = Annotated[str, Meta(max_length=REF_BYTES)]
Note = Annotated[str, Meta(max_length=NOTE_BYTES)]
Seconds = Annotated[float, Meta(gt=0, le=1e9)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Amount = Annotated[float, Meta(ge=0, le=1e9)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Positive = Annotated[int, Meta(ge=1, le=1_000)]
Overlap = Annotated[int, Meta(ge=0, le=1_000)]
Classes = Annotated[int, Meta(ge=2, le=20)]
Label = Annotated[int, Meta(ge=0, le=19)]
Priority = Annotated[int, Meta(ge=-10, le=10)]
Purpose = Literal["work", "gold", "training"]
ProjectState = Literal["active", "paused", "closed"]
AnnotatorKind = Literal["human", "model"]
Mode = Literal["push", "pull"]
Origin = Literal["live", "import"]
DeclineReason = Literal["broken", "unclear", "not_my_skill", "conflict", "break", "other"]
ScoreSource = Literal["reviewer", "metric", "agreement"]
#: how an assignment ended, and why if it was withdrawn
End = Literal["submitted", "declined", "expired", "abandoned", "withdrawn"]
Cause = Literal["cancel", "pause", "absence", "met_need", "override", "erased"]
Covers = Literal["all", "recalled"]
UnavailableReason = Literal["not_online", "paused", "at_capacity", "no_matching_task"]
#: what became of a judgment, and how a task settled
JudgmentOutcome = Literal[
    "counted", "late", "surplus", "duplicate", "unsolicited", "corrected", "retracted", "outdated"
]
#: why a judgment doesn't count: the task has ended (or its deadline has passed), it needs no more, there is no money;
#: the person is not for it by a list, has had their share, lacks skill or attributes, has not proven `min_skill`; pool,
#: project or person are paused; the person isn't there, or has no capacity left
NotCounted = Literal[
    "closed", "need", "budget", "list", "limit", "profile", "min_skill", "paused", "presence", "capacity"
]
TaskOutcome = Literal["consensus", "complete", "exhausted", "cancelled", "deadline", "blocked", "budget"]


def _tag(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag=_tag):
    """An input event: something a tool or a person reports about one pool."""

    pool: Id
    at: Clock
    event_id: Id | None = None


class TaskDefaults(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Task fields that a project presets; what a task states itself wins."""

    skill: Id | UnsetType = UNSET
    classes: Classes | None | UnsetType = UNSET
    overlap: Overlap | UnsetType = UNSET
    max_overlap: Positive | None | UnsetType = UNSET
    confidence: Probability | None | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    value: Amount | UnsetType = UNSET
    deadline: Time | None | UnsetType = UNSET
    expected_s: Seconds | None | UnsetType = UNSET
    lease_s: Seconds | None | UnsetType = UNSET
    requires: Ids | UnsetType = UNSET
    min_skill: Probability | None | UnsetType = UNSET


class ProjectSet(Event, frozen=True, gc=False, kw_only=True):
    """What is said of a project: absent means unchanged, null means null; of each field the newest ``at`` wins.

    A project of which nothing is said is active, of weight 1, without budget, ``max_per_annotator`` and deadline, with
    a ``gold_rate`` of .02. Of ``defaults`` each field is one of the project; null takes all of them away. ``labels``
    names the classes in the order of their numbers, ``note`` says what people should know of the project; rules and
    outputs know neither.
    """

    project: Id
    state: ProjectState | UnsetType = UNSET
    weight: Amount | UnsetType = UNSET
    budget: Annotated[int, Meta(ge=0, le=1_000_000_000)] | None | UnsetType = UNSET
    max_per_annotator: Count | None | UnsetType = UNSET
    gold_rate: Probability | UnsetType = UNSET
    deadline: Time | None | UnsetType = UNSET
    defaults: TaskDefaults | None | UnsetType = UNSET
    labels: ClassNames | None | UnsetType = UNSET
    note: Note | None | UnsetType = UNSET


class TaskCreated(Event, frozen=True, gc=False, kw_only=True):
    """A task needs judgments; ``label`` is the known answer of gold and training. The first of an id counts.

    ``ref`` is handed on with every offer, for tools: where the task is to be opened. Nobody here reads it.
    """

    task: Id
    project: Id
    skill: Id | UnsetType = UNSET
    classes: Classes | None | UnsetType = UNSET
    purpose: Purpose = "work"
    label: Label | None = None
    overlap: Overlap | UnsetType = UNSET
    max_overlap: Positive | None | UnsetType = UNSET
    confidence: Probability | None | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    value: Amount | UnsetType = UNSET
    deadline: Time | None | UnsetType = UNSET
    expected_s: Seconds | None | UnsetType = UNSET
    lease_s: Seconds | None | UnsetType = UNSET
    requires: Ids | UnsetType = UNSET
    min_skill: Probability | None | UnsetType = UNSET
    only: Ids = ()
    exclude: Ids = ()
    ref: Ref | None = None


class TaskUpdated(Event, frozen=True, gc=False, kw_only=True):
    """Changed fields of a task: absent means unchanged, null means null; of each field the newest ``at`` wins.

    More ``overlap``, ``max_overlap`` or ``confidence`` than a settled task has had opens it again.
    """

    task: Id
    overlap: Overlap | UnsetType = UNSET
    max_overlap: Positive | None | UnsetType = UNSET
    confidence: Probability | None | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    value: Amount | UnsetType = UNSET
    deadline: Time | None | UnsetType = UNSET
    expected_s: Seconds | None | UnsetType = UNSET
    lease_s: Seconds | None | UnsetType = UNSET
    requires: Ids | UnsetType = UNSET
    min_skill: Probability | None | UnsetType = UNSET
    only: Ids | UnsetType = UNSET
    exclude: Ids | UnsetType = UNSET
    ref: Ref | None | UnsetType = UNSET


class TaskCancelled(Event, frozen=True, gc=False, kw_only=True):
    """Nobody needs this task any more."""

    task: Id


class TaskReopened(Event, frozen=True, gc=False, kw_only=True):
    """A settled task needs more judgments, or some of its judgments no longer count."""

    task: Id
    add_overlap: Count = 0
    void: Ids = ()


class TruthSet(Event, frozen=True, gc=False, kw_only=True):
    """An adjudicated label, also after the task settled."""

    task: Id
    label: Label


class AnnotatorSet(Event, frozen=True, gc=False, kw_only=True):
    """The profile of an annotator: absent means unchanged; of each field the newest ``at`` wins.

    ``skills`` of ``["*"]`` means all. Whoever nothing is said of has none of anything, costs nothing and is human.

    ``cost`` is per hour of work, in units of task ``value``: at 3.0 an answer that takes 60 s costs 0.05, where the
    first answer to a task of value 1 with two classes, by a newcomer, brings about 0.3. A cost in money asks for
    values in the same money: what it is worth that the task's label is right.
    """

    annotator: Id
    skills: Ids | UnsetType = UNSET
    attributes: Ids | UnsetType = UNSET
    grants: Ids | UnsetType = UNSET
    cost: Amount | UnsetType = UNSET
    kind: AnnotatorKind | UnsetType = UNSET


class AnnotatorOnline(Event, frozen=True, gc=False, kw_only=True):
    """A session (a tab, a device) and its heartbeats: it lives for ``ttl_s`` from ``at``, not beyond ``until``.

    Somebody is present while one of their sessions lives. ``session`` names it; absent, null or "" is the default one.
    ``capacity`` is how many works at once: the largest of the sessions that live, 1 where none states it. ``mode`` is
    the one that a living session has stated last, push where none has. A heartbeat that omits them leaves them as they
    are. Of each fact the newest ``at`` wins, of equally new statements the larger, of equally new heartbeats the one
    that ends first, whatever the order.

    When no heartbeat of the last session comes in time, unaccepted offers are withdrawn and accepted work keeps its
    ``submit_by``. Whoever is away (see ``annotator_away``) stays so whatever their client sends, until an act of their
    own: an answer, a request, a break or its end, or a new session behind an ``annotator_offline`` of the last one.
    """

    annotator: Id
    session: Session | None = None
    capacity: Positive | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    until: Time | None = None
    ttl_s: Seconds = 300.0


class AnnotatorPaused(Event, frozen=True, gc=False, kw_only=True):
    """A break: no new work, unaccepted offers withdrawn; accepted work keeps its lease.

    It ends ``until`` then, or by ``annotator_resumed``; no heartbeat ends it.
    """

    annotator: Id
    until: Time | None = None


class AnnotatorResumed(Event, frozen=True, gc=False, kw_only=True):
    """The break is over; of this and ``annotator_paused`` the newest ``at`` wins, of equal ones the break."""

    annotator: Id


class AnnotatorOffline(Event, frozen=True, gc=False, kw_only=True):
    """The end of a session, the default one unless ``session`` names another; it wins over a heartbeat of its ``at``.

    If no other session lives, the person is gone: unaccepted offers are withdrawn, accepted work is returned after
    ``grace_s``.
    """

    annotator: Id
    session: Session | None = None


class WorkRequested(Event, frozen=True, gc=False, kw_only=True):
    """Pull: answered in the next round by offers or ``work_unavailable``."""

    annotator: Id
    count: Positive = 1
    projects: Ids = ()


class AssignmentAccepted(Event, frozen=True, gc=False, kw_only=True):
    """The annotator takes the offered task.

    ``assignment`` names the offer that is meant: one that has ended doesn't touch the next. Without it the newest
    answer about the pair counts; the same again changes nothing.
    """

    annotator: Id
    task: Id
    assignment: Id | None = None


class AssignmentExtended(Event, frozen=True, gc=False, kw_only=True):
    """The annotator needs one more lease time; ``assignment`` as in assignment_accepted."""

    annotator: Id
    task: Id
    assignment: Id | None = None


class AssignmentDeclined(Event, frozen=True, gc=False, kw_only=True):
    """The annotator returns the task, which never comes back to them; for a ``break`` it may, and the break begins.

    ``assignment`` as in assignment_accepted.
    """

    annotator: Id
    task: Id
    reason: DeclineReason = "other"
    assignment: Id | None = None


class JudgmentSubmitted(Event, frozen=True, gc=False, kw_only=True):
    """One annotator's label on one task; accepts implicitly.

    Where nobody asked for it, it counts only if an offer would have been allowed. With ``origin`` of ``import`` (past
    work, from another system) profile, pause and presence are not asked for; lists, limits and budgets are.
    """

    annotator: Id
    task: Id
    label: Label | None
    duration_s: Amount | None = None
    origin: Origin = "live"


class JudgmentCorrected(Event, frozen=True, gc=False, kw_only=True):
    """The annotator's label on this task is now another one."""

    annotator: Id
    task: Id
    label: Label | None
    duration_s: Amount | None = None


class JudgmentRetracted(Event, frozen=True, gc=False, kw_only=True):
    """The annotator's judgment on this task no longer counts."""

    annotator: Id
    task: Id


class JudgmentScored(Event, frozen=True, gc=False, kw_only=True):
    """Quality of a judgment without classes, as evidence for the skill.

    A reviewer outranks a metric, a metric agreement with others; within a source the newest ``at`` wins.
    """

    annotator: Id
    task: Id
    score: Probability
    source: ScoreSource


class SkillSeeded(Event, frozen=True, gc=False, kw_only=True):
    """Accuracy known from another system, worth ``weight`` judgments; the newest ``at`` wins."""

    annotator: Id
    skill: Id
    accuracy: Probability
    weight: Amount


class AssignmentPinned(Event, frozen=True, gc=False, kw_only=True):
    """A person decided: this annotator gets this task."""

    annotator: Id
    task: Id


class PairForbidden(Event, frozen=True, gc=False, kw_only=True):
    """A person decided: this annotator never gets this task."""

    annotator: Id
    task: Id


class PairReleased(Event, frozen=True, gc=False, kw_only=True):
    """A person decided: this annotator may get this task (again)."""

    annotator: Id
    task: Id


class SettingsChanged(Event, frozen=True, gc=False, kw_only=True):
    """Weights and limits of the pool, by the names of its policy; of each name the newest ``at`` wins.

    Of equal ``at`` the larger value wins, so the order of events never matters. Names and bounds are those of
    ``PoolPolicy`` but for the last three; a name that isn't there or a value out of bounds is ``invalid``.
    """

    settings: dict[Id, float]


class AnnotatorErased(Event, frozen=True, gc=False, kw_only=True):
    """Remove this person from the state and from all later outputs; a later event of this id is a new person's."""

    annotator: Id


class PoolPaused(Event, frozen=True, gc=False, kw_only=True):
    """No offers in this pool until it resumes."""


class PoolResumed(Event, frozen=True, gc=False, kw_only=True):
    """Offers again."""


class PoolSet(Event, frozen=True, gc=False, kw_only=True):
    """What people should know of the pool; the newest ``at`` wins, of equal ones the note that sorts last.

    Absent leaves the note as it is, null takes it away.
    """

    note: Note | None | UnsetType = UNSET


Input = (
    ProjectSet | TaskCreated | TaskUpdated | TaskCancelled | TaskReopened | TruthSet | AnnotatorSet
    | AnnotatorOnline | AnnotatorPaused | AnnotatorResumed | AnnotatorOffline | WorkRequested | AssignmentAccepted
    | AssignmentExtended | AssignmentDeclined | JudgmentSubmitted | JudgmentCorrected | JudgmentRetracted
    | JudgmentScored | SkillSeeded | AssignmentPinned | PairForbidden | PairReleased | SettingsChanged
    | AnnotatorErased | PoolPaused | PoolResumed | PoolSet
)  # fmt: skip


class Output(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag=_tag):
    """A fact established by one round of one partition."""

    pool: str
    partition: int
    round: int


class AssignmentOffered(Output, frozen=True, gc=False, kw_only=True):
    """This annotator may take this task until ``accept_by``; ``ref`` is the task's, as it was stated."""

    assignment: str
    task: str
    project: str
    skill: str
    annotator: str
    at: float
    accept_by: float
    lease_s: float
    ref: str | None = None


class AssignmentLeased(Output, frozen=True, gc=False, kw_only=True):
    """The offer was accepted (or the lease extended); an answer is due by ``submit_by``."""

    assignment: str
    task: str
    annotator: str
    at: float
    submit_by: float


class AssignmentEnded(Output, frozen=True, gc=False, kw_only=True):
    """The end of an offer; every offer has exactly one."""

    assignment: str
    task: str
    annotator: str
    at: float
    outcome: End
    cause: Cause | None = None


class AnnotatorAway(Output, frozen=True, gc=False, kw_only=True):
    """This person has let ``missed`` offers or leases go by in a row: they get nothing until an act of their own.

    For a tool, the moment to ask "are you still there?" and to send what they say: ``annotator_resumed``, say.
    """

    annotator: str
    at: float
    missed: int


class AnnotatorBack(Output, frozen=True, gc=False, kw_only=True):
    """This person was away and has acted."""

    annotator: str
    at: float


class WorkUnavailable(Output, frozen=True, gc=False, kw_only=True):
    """The answer to a ``work_requested`` that could not (wholly) be met."""

    annotator: str
    at: float
    reason: UnavailableReason
    retry_after_s: float


class DecisionMade(Output, frozen=True, gc=False, kw_only=True):
    """Why an offer was made: for operators, never for annotators. ``terms`` sum to ``value``.

    ``required``: it fills the task's overlap, which is a promise, whatever the value. ``policy`` is the version of the
    pool's policy.
    """

    assignment: str
    task: str
    annotator: str
    at: float
    value: float
    price: float
    terms: dict[str, float]
    runner_up: str | None
    runner_up_value: float | None
    skill_low: float
    policy: int = 0
    required: bool = False


class Source(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The input record that something came from."""

    topic: str
    partition: int
    offset: int


class BudgetShort(Output, frozen=True, gc=False, kw_only=True):
    """A project has promised more judgments than its budget allows: some of its tasks will end as ``budget``.

    ``promised`` counts the judgments that have counted and what open tasks lack of their overlap. Told when it becomes
    so, and again whenever the budget changes and is still short.
    """

    project: str
    at: float
    promised: int
    budget: int


class JudgmentSettled(Output, frozen=True, gc=False, kw_only=True):
    """What became of one judgment record. ``count`` is its change of the pair's net count.

    ``reason`` says why one doesn't count that nobody asked for (``surplus``), or no longer (``late``).
    """

    task: str
    project: str
    annotator: str
    source: Source
    outcome: JudgmentOutcome
    count: Literal[-1, 0, 1]
    duration_s: float | None
    accepted_at: float | None
    reason: NotCounted | None = None


class ConsensusUpdated(Output, frozen=True, gc=False, kw_only=True):
    """The calibrated posterior of a task after this round's judgments.

    ``label`` is the most likely class. ``tie``: others are as likely, and it was drawn from them by a hash of the ids.
    """

    task: str
    skill: str
    label: int
    posterior: list[float]
    judgments: int
    tie: bool = False


class ConsensusRevised(Output, frozen=True, gc=False, kw_only=True):
    """Later evidence changed the label of a settled task; ``tie`` as in consensus_updated."""

    task: str
    skill: str
    label: int
    posterior: list[float]
    judgments: int
    tie: bool = False


class TaskSettled(Output, frozen=True, gc=False, kw_only=True):
    """The one end of a task; label and posterior as of the end of the round, null without classes and for gold.

    ``tie`` as in consensus_updated; false where there is no label.
    """

    task: str
    project: str
    outcome: TaskOutcome
    label: int | None
    posterior: list[float] | None
    judgments: int
    tie: bool = False


class TaskBlocked(Output, frozen=True, gc=False, kw_only=True):
    """Three annotators declined the task as broken or unclear."""

    task: str
    project: str
    declines: int


class SkillDrifted(Output, frozen=True, gc=False, kw_only=True):
    """An annotator's accuracy in a skill has fallen: what is known now, with the bounds of its 90 % interval.

    ``judgments`` is the effective sample size; ``score`` the evidence for the fall as a share of the alarm threshold.
    """

    annotator: str
    skill: str
    mean: float
    low: float
    high: float
    judgments: float
    score: float


class PoolPolicy(Policy, frozen=True, kw_only=True):
    """The policy that a pool runs by.

    ``version`` counts its changes, 0 is what the pool was born with. ``since`` has the ``at`` of the event that stated
    a setting; the others are as they were at birth.
    """

    pool: str
    version: int = 0
    since: dict[str, float] = msgspec.field(default_factory=dict)


class PoolRound(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One pool's part of a round.

    ``open_tasks`` is open work, gold and training aside; ``policy`` the version of the pool's policy.
    ``at_risk`` counts the leases of people of whom no heartbeat comes any more: they end by their ``submit_by``, unless
    somebody returns.

    ``required`` of the offers fill what tasks lack of their overlap; ``required_bound`` is how many could, in the
    stated order. ``waits_for_ability`` judgments are required of which everybody free who may give them is contained.

    ``value`` is what offers of work are worth together; ``bound`` is what none could exceed that fill as many promises,
    of the pairs that were looked at, each valued as when the matching began; ``gap`` is their distance relative to the
    larger of both. Required work may be worth less than it costs: then value and bound may be negative. ``covers`` says
    which pairs: ``all`` of an annotator who is free and of work that is required or may be worth it, or, in a large
    market, those ``recalled``; ``pairs`` how many of them were required or worth their cost. Offers of work that the
    final pass made of other pairs are worth ``unproven_value``: no bound speaks of them. Gold and training are worth
    ``taught_value`` and are no part of the market. The three values add up to those of the round's decisions.
    """

    pool: str
    open_tasks: int
    free_annotators: int
    offers: int
    value: float
    bound: float
    gap: float
    covers: Covers
    pairs: int
    unproven_value: float
    taught_value: float
    policy: int = 0
    required: int = 0
    required_bound: int = 0
    waits_for_ability: int = 0
    at_risk: int = 0


class StalledPool(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A pool whose market could not be solved twice on the same state: it gets no offers, others go on."""

    pool: str
    since: float
    error: str


class RoundCompleted(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="type", tag=_tag):
    """The record of a round: enough to order all inputs and to compute the round again.

    ``offsets`` maps each input topic to the half-open range [start, end) it consumed; each start equals the
    previous end. ``complete_until`` is the time up to which the input was known to be complete: leases whose
    deadline is later do not expire in this round; ``caught_up`` says that no input was waiting. ``stalled`` names
    the pools that get no offers because solving their market has failed. ``lost`` names input that retention had
    removed and an operator has given up before this round: there the previous end is its start, its end this start.

    ``policies`` says what pools run by: of a pool that was born in this round (or that no round has spoken of) what it
    was born with, which holds before its first event; then of each pool whose policy events have changed what it is at
    the end of the round. So from the log alone it is known at every event. It is null in records of older versions.
    An event was too early when its ``at`` was more than ``clock_ahead_s`` ahead of ``at``.

    ``ignored`` counts by type the events that changed nothing: something newer stands, or they were given before.
    ``odd`` counts by ``type.field`` what the round's events stated and was taken as left out.
    """

    partition: int
    round: int
    epoch: int
    at: float
    seed: int
    offsets: dict[str, tuple[int, int]]
    caught_up: bool
    complete_until: float
    events: int
    dead_letters: int
    pools: list[PoolRound]
    durations_ms: dict[str, float]
    software: str
    stalled: list[StalledPool] = []
    lost: dict[str, tuple[int, int]] = {}
    policies: list[PoolPolicy] | None = None
    clock_ahead_s: float = 300.0
    odd: dict[str, int] = {}
    ignored: dict[str, int] = {}


Result = (
    AssignmentOffered | AssignmentLeased | AssignmentEnded | AnnotatorAway | AnnotatorBack | WorkUnavailable
    | DecisionMade | BudgetShort | JudgmentSettled
    | ConsensusUpdated | ConsensusRevised | TaskSettled | TaskBlocked | SkillDrifted | RoundCompleted
)  # fmt: skip

#: Fields that together tell an output from every other one of its type, in whatever attempt at its round.
IDENTITY: dict[type, tuple[str, ...]] = {
    AssignmentOffered: ("assignment",),
    AssignmentLeased: ("assignment", "submit_by"),
    AssignmentEnded: ("assignment",),
    AnnotatorAway: ("pool", "annotator", "round"),
    AnnotatorBack: ("pool", "annotator", "round"),
    WorkUnavailable: ("pool", "annotator", "round"),
    DecisionMade: ("assignment",),
    BudgetShort: ("pool", "project", "round"),
    JudgmentSettled: ("source",),
    ConsensusUpdated: ("pool", "task", "round"),
    ConsensusRevised: ("pool", "task", "round"),
    TaskSettled: ("pool", "task", "round"),
    TaskBlocked: ("pool", "task", "round"),
    SkillDrifted: ("pool", "annotator", "skill", "round", "judgments"),
    RoundCompleted: ("partition", "round"),
}

#: Inputs that are part of the contract but whose effect another release brings: dead-lettered until then.
NOT_SUPPORTED_YET = (
    TaskReopened, AssignmentPinned, PairForbidden, PairReleased,
)  # fmt: skip

#: Of people's work and presence: a field with a default that holds something else counts as left out.
FORGIVING = (
    AnnotatorOnline, AnnotatorPaused, AnnotatorResumed, AnnotatorOffline, WorkRequested, AssignmentAccepted,
    AssignmentExtended, AssignmentDeclined, JudgmentSubmitted, JudgmentCorrected, JudgmentRetracted, JudgmentScored,
)  # fmt: skip
#: Likewise in every event: what no rule looks at.
SIDE_FIELDS = ("event_id", "ref", "note")

_decode = msgspec.json.Decoder(Input).decode
_decode_result = msgspec.json.Decoder(Result).decode
encode = msgspec.json.Encoder().encode


def is_forgiving(event: type, field: Any) -> bool:
    """Whether a field (of `msgspec.inspect`) counts as left out when it holds nothing of its type."""
    return field.encode_name in SIDE_FIELDS or (event in FORGIVING and not field.required)


_second = SecondReading(
    get_args(Input), is_forgiving, [str(one.__struct_config__.tag) for one in get_args(Result)]
)


def exact(value: bytes) -> Input:
    """Return the event that an input record's value holds, if it is written as the contract has it.

    Raises
    ------
    MsgspecError, UnicodeDecodeError, RecursionError, TypeError
        It isn't: `read` is more patient.
    """
    event: Input = _decode(value)
    if not value.isascii():
        value.decode()  # msgspec does not look into fields that it ignores
    if len(value) > REF_BYTES:  # else no text in it can be too long
        for name, most in (("ref", REF_BYTES), ("note", NOTE_BYTES)):
            text = getattr(event, name, None)
            if isinstance(text, str) and len(text.encode()) > most:
                raise msgspec.ValidationError(f"too long: {name}")
    return event


def reread(value: bytes | None) -> tuple[Input, tuple[str, ...]]:
    """Return the event of a value that is not `exact`, and what counts as left out in it, as ``type.field``.

    Raises
    ------
    msgspec.ValidationError
        It holds none; the message is for its sender.
    """
    event, odd = _second.read(value)
    return event, odd


def read(value: bytes | None) -> tuple[Input, tuple[str, ...]]:
    """Return the event that an input record's value holds, and what counts as left out in it; raises as `reread`."""
    try:
        return exact(value), ()  # type: ignore[arg-type]
    except (msgspec.MsgspecError, RecursionError, TypeError, ValueError, AttributeError):
        return reread(value)


def decode(value: bytes | None) -> Input:
    """Return the event that an input record's value holds; raises as `reread`."""
    return read(value)[0]


def event_of(given: Any) -> tuple[Input, tuple[str, ...]]:
    """Likewise of a JSON value that has been parsed (`stream.second_reading.parse`)."""
    event, odd = _second.of(given)
    return event, odd


def forgiving_fields() -> list[str]:
    """All fields of input events that may hold anything, as ``type.field``."""
    return _second.names()


def wanted(tag: str, field: str) -> str:
    """What a field of an input event may hold, in words for its sender."""
    return _second.wanted(tag, field)


def decode_result(value: bytes) -> Result:
    """Return the event that an output record's value holds.

    Raises
    ------
    MsgspecError, UnicodeDecodeError, RecursionError
        It holds none.
    """
    event: Result = _decode_result(value)
    if not value.isascii():
        value.decode()
    return event
