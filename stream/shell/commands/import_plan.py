"""Looking at files before anything is sent: what each row says, with what the deployment knows, and what is missing."""

import time
from pathlib import Path

import msgspec

from stream.events import ProjectSet, TaskDefaults
from stream.files.classes import Classes
from stream.files.column_names import Kind
from stream.files.complaints import joined
from stream.files.file_events import Checked, EventFile, Given
from stream.files.sheet import Reading
from stream.settings import Settings
from stream.shell.commands.failures import NotRight
from stream.shell.commands.state import Known

#: files go in this order: what is spoken of comes before what speaks of it
ORDER: dict[Kind, int] = {"tasks": 0, "judgments": 1, "truth": 2, "people": 3}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for; see the command's options."""

    paths: list[Path]
    kind: Kind | None = None
    pool: str | None = None
    project: str | None = None
    skill: str | None = None
    labels: tuple[str, ...] = ()
    overlap: int | None = None
    update: bool = False
    present_s: float | None = None
    capacity: int = 1
    max_lag: int = 50_000
    restart: bool = False
    wait: bool = True
    reading: Reading = Reading()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Files that have been looked at, the classes their labels are numbers of, and projects to be sent first."""

    files: list[EventFile]
    checks: list[Checked]
    classes: Classes | None
    projects: list[ProjectSet]

    @property
    def faults(self) -> list[str]:
        """What is wrong with the files, a line a kind of fault."""
        checked = zip(self.files, self.checks, strict=True)
        return [line for file, check in checked for line in check.complaints.words(file.path)]


def opened(request: Request, settings: Settings, at: float) -> list[EventFile]:
    """Open the files, in the order in which they have to be sent.

    Raises
    ------
    FileProblem
        One can't be read at all.
    NotRight
        Something that every row needs is said nowhere.
    """
    given = Given(
        at=at,
        latest=time.time() + settings.market.clock_ahead_s,
        most_bytes=settings.input_bytes,
        pool=request.pool,
        project=request.project,
        skill=request.skill,
        overlap=request.overlap,
        update=request.update,
    )
    files = [EventFile(path, request.reading, given, request.kind) for path in request.paths]
    missing = [sentence for file in files for sentence in file.missing()]
    if missing:
        raise NotRight("\n".join(missing))
    ref = request.reading.ref
    if ref is not None and not any("ref" in file.sheet.columns for file in files if file.kind == "tasks"):
        raise NotRight(f"--ref names the column {ref}: no file of tasks has it")
    if request.present_s and not any(file.kind == "people" for file in files):
        raise NotRight("--present says how long people are there: it needs a file of people")
    return sorted(files, key=lambda file: ORDER[file.kind])


def plan(request: Request, files: list[EventFile], known: Known | None, at: float) -> Plan:
    """Look at every row of every file.

    Raises
    ------
    NotRight
        The classes are not clear, or not those of the project.
    """
    classes = classes_of(request, files, known)
    fresh: dict[int, int] = {}
    checks = [file.check(classes, known, fresh) for file in files]
    named = {place for check in checks for place in check.projects}
    if request.labels and request.pool and request.project:
        named.add((request.pool, request.project))
    projects = []
    if request.labels and known is not None:
        projects = [one for place in sorted(named) if (one := named_project(request, known, *place, at))]
    return Plan(files=files, checks=checks, classes=classes, projects=projects)


def classes_of(request: Request, files: list[EventFile], known: Known | None) -> Classes | None:
    """The classes of the labels in these files; None when nobody has said.

    Raises
    ------
    NotRight
        Several projects with different classes come into question.
    """
    if request.labels:
        names = Classes(request.labels).names
        if len(set(names)) != len(names) or len(names) < 2:
            raise NotRight(f"--labels: expected two or more different classes, such as cat,dog; got {joined(names)}")
        return Classes(names)
    if known is None or not any({"label", "truth"} & set(file.sheet.columns) for file in files):
        return None
    pools = [request.pool] if request.pool else sorted(known.pools())
    named: dict[tuple[str, ...], str] = {}
    for pool in pools:
        for project in [request.project] if request.project else known.projects(pool):
            labels = known.labels(pool, project)
            classes = known.defaults(pool, project).classes
            if labels or isinstance(classes, int):
                named.setdefault(labels or tuple(map(str, range(classes))), project)  # type: ignore[arg-type]
    if len(named) > 1:
        ours = "; ".join(f"{project}: {joined(names)}" for names, project in named.items())
        raise NotRight(f"the projects of this pool have different classes ({ours}): say which is meant: --project NAME")
    return Classes(next(iter(named))) if named else None


def named_project(request: Request, known: Known, pool: str, name: str, at: float) -> ProjectSet | None:
    """The event that gives a project the classes that were said; None when it has them.

    Raises
    ------
    NotRight
        It has others.
    """
    names = Classes(request.labels).names
    project = known.project(pool, name, at)
    if project is None:
        skill = msgspec.UNSET if request.skill is None else request.skill
        overlap = msgspec.UNSET if request.overlap is None else request.overlap
        defaults = TaskDefaults(skill=skill, classes=len(names), overlap=overlap)
        return ProjectSet(pool=pool, at=at, project=name, defaults=defaults, labels=names)
    if project.labels == names:
        return None
    if project.labels:
        raise NotRight(
            f"the project {name} has the classes {joined(project.labels)} in this order, --labels says "
            f"{joined(names)}: leave --labels out, or give the project another name"
        )
    return msgspec.structs.replace(project, labels=names)
