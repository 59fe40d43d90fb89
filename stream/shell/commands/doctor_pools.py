"""What newcomers suffer from, found in the committed state: work that nobody can be offered, and why.

    tasks of a skill that nobody has            people without a skill            nobody there
    names that differ only in capitals          `min_skill` that nobody can prove  paused with work left
    dead letters that are still open, by reason, with the command that shows them

A pool gets one finding a cause, with counts and the command that helps. The state of all pools is read for it, so a
large deployment is only looked at when it is asked for.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator

import numpy as np
from aiokafka.errors import TopicAuthorizationFailedError

from kernels.lifecycle.codes import GOLD, OPEN, WORK
from stream.core.state.fits import meets
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState
from stream.core.state.skills import reports
from stream.files.classes import alike
from stream.files.complaints import as_word, joined, plural
from stream.settings import Settings
from stream.shell.commands.doctor_senders import check_senders
from stream.shell.commands.finding import Finding
from stream.shell.commands.state import STATES, Known, read_state
from stream.shell.commands.telling import printable
from stream.shell.commands.topic_reader import TopicReader, letter_at
from stream.topics import INPUTS, REPLAYED, TABLES, changelog, dead_letters, is_mark

MOST_ROWS = 1_000_000
NAMED = 4


async def examine(settings: Settings, now: float, whole: bool) -> list[Finding]:
    """Look at every pool and at the dead letters.

    Parameters
    ----------
    settings : Settings
    now : float
        Unix time, for who is present.
    whole : bool
        Also when the state is large.
    """
    async with TopicReader(settings) as reader:
        findings = [finding async for finding in _letters(reader)]
        findings += [finding async for finding in check_senders(reader)]
        places = reader.places([changelog(settings, table) for table in TABLES])
        rows = sum(end - begin for begin, end in (await reader.spans(places)).values())
        if rows > MOST_ROWS and not whole:
            found = f"not looked at: the changelogs hold up to {rows:,} rows"
            return [*findings, Finding(check="pools", verdict="look", found=found, remedy="allocator doctor --pools")]
        try:
            known = await read_state(reader, range(settings.partitions))
        except TopicAuthorizationFailedError:
            found = f"not looked at: the user {settings.kafka_username!r} may not read the changelogs"
            remedy = "ask as a user with Read on them: docs/security.md, Access lists"
            return [*findings, Finding(check="pools", verdict="look", found=found, remedy=remedy)]
    pools = known.pools()
    if not pools:
        return [*findings, Finding(check="pools", verdict="fine", found="none yet: nothing has been imported")]
    findings += check_names("pools", pools)
    for name in sorted(pools):
        findings += notes(known, name)
        findings += check_pool(known, name, now) or [
            Finding(check=f"pool {name}", verdict="fine", found=f"{known.open_tasks(name):,} open tasks")
        ]
    return findings


def notes(known: Known, name: str) -> Iterator[Finding]:
    """What people should know of a pool and its projects, as somebody has said it."""
    state = known.pool(name)
    assert state is not None
    if state.note:
        yield Finding(check=f"pool {name}", verdict="fine", found=f"note: {printable(state.note)}")
    for project, slot in sorted(state.projects.slots.items()):
        if slot in state.notes:
            found = f"note of the project {project}: {printable(state.notes[slot])}"
            yield Finding(check=f"pool {name}", verdict="fine", found=found)


async def _letters(reader: TopicReader) -> AsyncIterator[Finding]:
    """Dead letters that nobody has put back, by reason."""
    spans = await reader.spans(reader.places(list(map(dead_letters, INPUTS))))
    open_letters: dict[tuple[str, int, int], str] = {}
    async for place, records in reader.read(spans):
        for record in records:
            if is_mark(record.headers):
                for header, value in record.headers:
                    if header == REPLAYED and value is not None and value.isdigit():
                        open_letters.pop((*place, int(value)), None)
            else:
                open_letters[(*place, record.offset)] = letter_at(place, record).reason
    reasons = Counter(open_letters.values())
    if not reasons:
        yield Finding(check="dead letters", verdict="fine", found="none is open")
    for reason, count in reasons.most_common():
        yield Finding(
            check="dead letters",
            verdict="look",
            found=f"{plural(count, 'record')} could not be used: {reason}",
            remedy=f"allocator dlt list --reason {reason} shows them; docs/operations.md, {reason}, says what to do",
        )


def check_pool(known: Known, name: str, now: float) -> list[Finding]:
    """Everything that keeps work of a pool from people."""
    state = known.pool(name)
    assert state is not None
    tasks = state.columns.tasks.records[: state.tasks.used]
    waiting = tasks[(tasks["state"] == OPEN) & (tasks["purpose"] == WORK)]
    return [
        *check_names(f"pool {name}: skills", {*_skills_of_tasks(state, tasks), *_skills_of_people(state)}),
        *check_names(f"pool {name}: projects", known.projects(name)),
        *check_skills(state, waiting),
        *check_people(state),
        *check_least_skill(state, tasks, waiting),
        *check_paused(state, waiting),
        *check_presence(known, state, waiting, now),
    ]


def check_names(what: str, names: Iterable[str]) -> Iterator[Finding]:
    """Find names that differ only in capitals, spaces or hyphens."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault(alike(name), []).append(name)
    for group in groups.values():
        if len(group) > 1:
            yield Finding(
                check=what,
                verdict="look",
                found=f"{' and '.join(group)} differ only in capitals, spaces or hyphens, and are different",
                remedy="if one of them is a slip, import its rows again with the other name",
            )


def _profiles(state: PoolState) -> Array:
    slots = np.array(sorted(state.annotators.slots.values()), np.int64)
    found: Array = state.columns.annotators.records["profile"][slots]
    return found


def _skills_of_people(state: PoolState) -> set[str]:
    used = set(_profiles(state).tolist())
    return {skill for number in used for skill in state.fits.profiles[number].skills if skill != "*"}


def _skills_of_tasks(state: PoolState, tasks: Array) -> set[str]:
    return {state.fits.demands[number].skill for number in set(tasks[tasks["state"] == OPEN]["demand"].tolist())}


def check_skills(state: PoolState, waiting: Array) -> Iterator[Finding]:
    """Find open tasks that nobody's profile meets."""
    people = [state.fits.profiles[number] for number in set(_profiles(state).tolist())]
    counts = Counter(waiting["demand"].tolist())
    for number, count in counts.most_common():
        demand = state.fits.demands[number]
        if any(meets(demand, one) for one in people):
            continue
        if any(meets(demand._replace(requires=frozenset()), one) for one in people):
            what = f"the skill {demand.skill} and the attributes {joined(sorted(demand.requires))} together"
        else:
            what = f"the skill {demand.skill}"
        same = alike(demand.skill)
        close = [skill for skill in sorted(_skills_of_people(state) - {demand.skill}) if alike(skill) == same]
        hint = f"; people have {joined(close)}: one of both is perhaps a slip" if close else ""
        yield Finding(
            check=f"pool {state.name}",
            verdict="wrong",
            found=f"{plural(count, 'open task needs', 'open tasks need')} {what}, which nobody has{hint}",
            remedy=f"give it to people: allocator import people.csv --pool {as_word(state.name)} --skill "
            f"{as_word(demand.skill)}",
        )


def check_people(state: PoolState) -> Iterator[Finding]:
    """Find people whose profile has no skill."""
    without = [
        name
        for name, slot in sorted(state.annotators.slots.items())
        if not state.fits.profiles[int(state.columns.annotators.records["profile"][slot])].skills
    ]
    if without:
        yield Finding(
            check=f"pool {state.name}",
            verdict="look",
            found=f"{plural(len(without), 'person has', 'people have')} no skill, so they get no offers: "
            f"{joined(without, NAMED)}",
            remedy=f"allocator import people.csv --pool {as_word(state.name)} --skill NAME (`*` is every skill)",
        )


def check_least_skill(state: PoolState, tasks: Array, waiting: Array) -> Iterator[Finding]:
    """Find tasks that ask for a proven skill which nobody has proven or can prove."""
    asking = waiting[~np.isnan(waiting["min_skill"])]
    gold = {int(demand) for demand in tasks[(tasks["state"] == OPEN) & (tasks["purpose"] == GOLD)]["demand"]}
    gold_skills = {state.fits.demands[demand].skill for demand in gold}
    granted = {skill for number in _profiles(state).tolist() for skill in state.fits.profiles[number].grants}
    proven: dict[str, float] = {}
    for report in reports(state):
        proven[report.skill] = max(proven.get(report.skill, 0.0), report.low)
    for demand in sorted(set(asking["demand"].tolist())):
        skill = state.fits.demands[demand].skill
        least = asking["min_skill"][asking["demand"] == demand]
        if skill in granted or skill in gold_skills or proven.get(skill, 0.0) >= least.min():
            continue
        yield Finding(
            check=f"pool {state.name}",
            verdict="wrong",
            found=f"{plural(len(least), 'open task asks', 'open tasks ask')} for a proven accuracy of "
            f"{least.min():g} in {skill}, and nobody can prove it: there is no gold and nobody is granted it",
            remedy=f"import gold tasks of it (purpose gold, label), or grant it (people, column grants: {skill})",
        )


def check_paused(state: PoolState, waiting: Array) -> Iterator[Finding]:
    """Find work that waits because somebody has paused its pool or project."""
    if state.paused and len(waiting):
        yield Finding(
            check=f"pool {state.name}",
            verdict="look",
            found=f"paused, with {plural(len(waiting), 'open task')}",
            remedy=f"allocator pool resume {as_word(state.name)}",
        )
    for slot, count in Counter(waiting["project"].tolist()).items():
        if STATES[int(state.columns.projects.records["state"][slot])] == "paused":
            name = state.projects.ids[slot] or ""
            yield Finding(
                check=f"pool {state.name}",
                verdict="look",
                found=f"the project {name} is paused, with {plural(count, 'open task')}",
                remedy=f"allocator project resume {as_word(state.name)} {as_word(name)}",
            )


def check_presence(known: Known, state: PoolState, waiting: Array, now: float) -> Iterator[Finding]:
    """Find work with nobody there to be offered it."""
    people = len(known.people(state.name))
    if not len(waiting) or known.present(state.name, now):
        return
    if not people:
        found = f"{plural(len(waiting), 'open task')} and nobody to do them"
        remedy = f"allocator import people.csv --pool {as_word(state.name)} --skill NAME --present 8h"
    else:
        found = f"{plural(len(waiting), 'open task')}, {plural(people, 'person', 'people')}, none of them present"
        remedy = f"allocator annotator present {as_word(state.name)} --all"
    yield Finding(check=f"pool {state.name}", verdict="look", found=found, remedy=remedy)
