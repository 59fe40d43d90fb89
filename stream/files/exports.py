"""Files that annotation tools write: Label Studio's JSON and JSON-MIN, CVAT's XML for images, JSON lists of records.

They become tables like any other; what is no class (boxes, text, several choices) is left out and counted. A skipped
task of Label Studio (`was_cancelled`) is no judgment, an annotation marked as ground truth is the task's truth. CVAT
writes no name beside a tag: the task's assignee gave it, and without one the tags are nobody's judgments.

Rows are numbered as they come: these files have no lines that a person would look up.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import msgspec

from stream.files.complaints import FileProblem, plural
from stream.files.text import unreadable

#: columns that tell Label Studio's CSV and JSON-MIN from other tables; what else stands there is the task's data
LABEL_STUDIO = {"annotation_id", "annotator"}
CHOICES = ("choices", "rating", "number", "taxonomy")


class Table(NamedTuple):
    """What an export holds as a table.

    `has_data` says that columns we don't know are the tool's own business, `is_ours` that the header has our names.
    """

    tool: str
    header: tuple[str, ...]
    cells: list[tuple[int, list[str]]]
    has_data: bool
    is_ours: bool = True

    def rows(self) -> Iterator[tuple[int, Sequence[str]]]:
        """Number and cells of each row."""
        return iter(self.cells)


def recognised(path: Path) -> Table | None:
    """The table of an export that is known by its content; None for everything else.

    Raises
    ------
    FileProblem
        It is JSON or XML and none of the known exports, or can't be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip()
            if head[:1] not in (b"[", b"{", b"<"):
                return None
            file.seek(0)
            data = file.read().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise unreadable(path, error) from None
    if head[:1] == b"<":
        return _cvat(path, data)
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = ". Events, one a line, are for `allocator send`" if head[:1] == b"{" else ""
        raise FileProblem(f"{path}: expected one JSON document, such as Label Studio's export; {error}{hint}") from None
    rows = document if isinstance(document, list) else [document]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise FileProblem(f"{path}: expected a JSON list of objects, such as Label Studio's export")
    if any("annotations" in row or "completions" in row for row in rows) or ("data" in rows[0] and "id" in rows[0]):
        return _label_studio(path, rows)
    return _records(path, rows)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else msgspec.json.encode(value).decode()


def _records(path: Path, rows: list[dict[str, Any]]) -> Table:
    header = list(dict.fromkeys(key for row in rows for key in row))
    tool = "Label Studio's JSON-MIN" if set(header) >= LABEL_STUDIO else "a JSON list of records"
    cells = [(n, [_text(row.get(key)) for key in header]) for n, row in enumerate(rows, 1)]
    return Table(tool, tuple(header), cells, tool.startswith("Label"), is_ours=False)


def _who(annotation: Mapping[str, Any]) -> str:
    by = annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email") or by.get("username") or by.get("id")
    return _text(by)


def _classes(annotation: Mapping[str, Any]) -> dict[str, str]:
    """The class that an annotation states, by the name of the control it was given with; several choices give none."""
    found: dict[str, str] = {}
    for result in annotation.get("result") or ():
        if not isinstance(result, dict) or result.get("type") not in CHOICES:
            continue
        value = (result.get("value") or {}).get(result["type"])
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        value = value[-1] if isinstance(value, list) and result["type"] == "taxonomy" and value else value
        if isinstance(value, str | int | float):
            found[_text(result.get("from_name") or "label")] = _text(value)
    return found


def _label_studio(path: Path, rows: list[dict[str, Any]]) -> Table:
    judged: list[tuple[int, str, str, dict[str, str], str, str]] = []
    truths: dict[str, dict[str, str]] = {}
    skipped = other = 0
    for n, row in enumerate(rows, 1):
        task = _text(row.get("id"))
        for annotation in row.get("annotations") or row.get("completions") or ():
            if annotation.get("was_cancelled"):
                skipped += 1
                continue
            said = _classes(annotation)
            if not said:
                other += 1
                continue
            if annotation.get("ground_truth"):
                truths[task] = said
                continue
            at, spent = _text(annotation.get("created_at")), _text(annotation.get("lead_time"))
            judged.append((n, task, _who(annotation), said, at, spent))
    if not judged and not truths:
        return _only_tasks(path, rows, skipped, other)
    given = [said for _, _, _, said, _, _ in judged] + list(truths.values())
    controls = sorted({control for said in given for control in said})
    labels = ["label"] if len(controls) == 1 else controls
    counts = ((skipped, "skipped task"), (other, "annotation without one class"))
    left = " and ".join(plural(count, what) for count, what in counts if count)
    tool = "Label Studio's JSON" + (f" ({left} left out)" if left else "")
    header = ("task", "annotator", *labels, "at", "duration_s", *(["truth"] if truths else []))
    cells = []
    for n, task, who, said, at, spent in judged:
        truth = [truths.get(task, {}).get(controls[0], "")] if truths else []
        cells.append((n, [task, who, *(said.get(control, "") for control in controls), at, spent, *truth]))
    if not judged:
        rows_of_truth = [(n, [task, said[controls[0]]]) for n, (task, said) in enumerate(truths.items(), 1)]
        return Table(tool, ("task", "truth"), rows_of_truth, True)
    return Table(tool, header, cells, True)


def _only_tasks(path: Path, rows: list[dict[str, Any]], skipped: int, other: int) -> Table:
    if other and not skipped and all("annotations" in row for row in rows) and other >= len(rows):
        raise FileProblem(
            f"{path}: {plural(other, 'annotation')} of Label Studio, none with one class (choices): boxes and text "
            "have no label to compare"
        )
    keys = list(dict.fromkeys(key for row in rows for key in (row.get("data") or {}) if key != "task"))
    cells = [
        (n, [_text(row.get("id")), *(_text((row.get("data") or {}).get(key)) for key in keys)])
        for n, row in enumerate(rows, 1)
    ]
    return Table("Label Studio's JSON (tasks without judgments)", ("task", *keys), cells, True)


def _cvat(path: Path, data: bytes) -> Table:
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise FileProblem(f"{path}: expected CVAT's XML (`CVAT for images 1.1`); {error}") from None
    images = root.findall("image")
    if root.tag != "annotations" or not images:
        raise FileProblem(
            f"{path}: expected CVAT's XML with images (`CVAT for images 1.1`), got <{root.tag}>"
            + (" with tracks: export the task as images" if root.findall("track") else "")
        )
    who = next((_text(e.text).strip() for e in root.iterfind("meta/*/assignee/username") if _text(e.text).strip()), "")
    tagged, several = [], 0
    for n, image in enumerate(images, 1):
        tags = [tag.get("label", "") for tag in image.findall("tag")]
        several += len(tags) > 1
        tagged.append((n, image.get("name") or image.get("id") or "", tags[0] if len(tags) == 1 else ""))
    tags_given = sum(bool(label) for _, _, label in tagged)
    if tags_given and who:
        left = f"; {plural(several, 'image')} with several tags left out" if several else ""
        cells = [(n, [task, who, label]) for n, task, label in tagged if label]
        return Table(f"CVAT's XML, tags by {who}{left}", ("task", "annotator", "label"), cells, True)
    note = " (nobody is its assignee, so its tags are nobody's judgments: left out)" if tags_given else ""
    return Table(f"CVAT's XML{note}", ("task",), [(n, [task]) for n, task, _ in tagged], True)
