"""What Label Studio and CVAT write is recognised and becomes judgments, tasks and truths."""

import json
from pathlib import Path
from typing import Any

import pytest

from stream.files.complaints import Complaints, FileProblem
from stream.files.recording import read
from stream.files.sheet import Reading, Sheet


def annotation(who: Any, choice: str | list[str], **more: Any) -> dict[str, Any]:
    value = {"choices": [choice] if isinstance(choice, str) else choice}
    result = [{"from_name": "sentiment", "to_name": "text", "type": "choices", "value": value, "id": "x"}]
    return {
        "id": 1, "completed_by": who, "result": result, "was_cancelled": False, "ground_truth": False,
        "created_at": "2024-03-01T10:00:00.5Z", "lead_time": 4.25, **more,
    }  # fmt: skip


def label_studio(*annotations: list[dict[str, Any]]) -> str:
    return json.dumps(
        [{"id": n, "data": {"text": f"Text {n}"}, "annotations": given} for n, given in enumerate(annotations, 1)]
    )


def test_label_studios_json_holds_judgments_truths_and_skips(tmp_path: Path) -> None:
    path = tmp_path / "project-1.json"
    path.write_text(
        label_studio(
            [annotation(3, "Positive"), annotation({"email": "bo@x.org"}, "Negative")],
            [annotation(3, "Positive", was_cancelled=True), annotation(4, "Negative", ground_truth=True)],
            [annotation(3, ["Positive", "Negative"]), annotation(3, "Negative")],
        )
    )
    recording = read(path)
    rows = [
        (recording.tasks[t], recording.annotators[w], recording.classes[k])
        for t, w, k in zip(recording.task, recording.annotator, recording.label, strict=True)
    ]
    assert rows == [("1", "3", "Positive"), ("1", "bo@x.org", "Negative"), ("3", "3", "Negative")]
    assert recording.at[0] == 1709287200.5
    assert any(
        "Label Studio's JSON (1 skipped task and 1 annotation without one class left out)" in n for n in recording.notes
    )


def test_label_studios_csv_and_json_min_are_recognised(tmp_path: Path) -> None:
    table = tmp_path / "export.csv"
    table.write_text(
        "text,id,sentiment,annotator,annotation_id,created_at,updated_at,lead_time\n"
        "good,1,Positive,3,11,2024-03-01T10:00:00Z,2024-03-01T10:01:00Z,4.5\n"
        "bad,2,Negative,3,12,2024-03-01T10:00:00Z,2024-03-01T10:01:00Z,4.5\n"
    )
    small = tmp_path / "export.json"
    small.write_text(
        json.dumps(
            [
                {"text": "good", "id": 1, "sentiment": "Positive", "annotator": 3, "annotation_id": 11,
                 "created_at": "2024-03-01T10:00:00Z", "updated_at": "2024-03-01T10:01:00Z", "lead_time": 4.5},
                {"text": "bad", "id": 2, "sentiment": "Negative", "annotator": 3, "annotation_id": 12,
                 "created_at": "2024-03-01T10:00:00Z", "updated_at": "2024-03-01T10:01:00Z", "lead_time": 4.5},
            ]
        )
    )  # fmt: skip
    for path in (table, small):
        recording = read(path)
        assert (recording.tasks, recording.annotators) == (["1", "2"], ["3"])
        assert recording.classes == ["Negative", "Positive"]
        assert any("Label Studio" in note for note in recording.notes)


def test_a_label_studio_export_with_two_questions_asks_which_is_meant(tmp_path: Path) -> None:
    both = annotation(3, "Positive")
    both["result"].append({"from_name": "topic", "type": "choices", "value": {"choices": ["Sport"]}})
    path = tmp_path / "two.json"
    path.write_text(label_studio([both]))
    with pytest.raises(FileProblem, match="--column label=NAME"):
        Sheet(path, Reading(), "judgments")
    assert read(path, reading=Reading(columns={"label": "topic"})).classes == ["Sport"]


def test_tasks_without_judgments_are_tasks(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(label_studio([], []))
    sheet = Sheet(path, Reading())
    assert sheet.kind == "tasks"
    assert [row for _, row in sheet.rows(Complaints())] == [{"task": "1"}, {"task": "2"}]


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><id>7</id><name>birds</name>{assignee}
<labels><label><name>heron</name></label><label><name>gull</name></label></labels></task></meta>
<image id="0" name="a.jpg" width="6" height="4"><tag label="heron" source="manual"></tag></image>
<image id="1" name="b.jpg" width="6" height="4"><tag label="gull" source="manual"></tag></image>
<image id="2" name="c.jpg" width="6" height="4"></image>
<image id="3" name="d.jpg" width="6" height="4"><tag label="gull"/><tag label="heron"/></image>
</annotations>"""


def test_cvats_tags_are_their_assignees_judgments(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(CVAT.format(assignee="<assignee><username>ana</username><email/></assignee>"))
    recording = read(path)
    assert (recording.tasks, recording.annotators, recording.classes) == (
        ["a.jpg", "b.jpg"],
        ["ana"],
        ["gull", "heron"],
    )
    assert any("tags by ana; 1 image with several tags left out" in note for note in recording.notes)


def test_cvats_tags_without_an_assignee_are_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "annotations.xml"
    path.write_text(CVAT.format(assignee="<assignee></assignee>"))
    sheet = Sheet(path, Reading())
    assert sheet.kind == "tasks"
    assert len(list(sheet.rows(Complaints()))) == 4
    assert any("nobody is its assignee" in note for note in sheet.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "a JSON list of objects"),
        ('{"type": "pool_paused"}\n{"type": "pool_paused"}\n', "`allocator send`"),
        ("<html><body/></html>", "got <html>"),
        ("<annotations><track id='1'/></annotations>", "with tracks"),
        ("<annotations", "CVAT for images 1.1"),
    ],
)
def test_other_documents_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(FileProblem) as caught:
        Sheet(path, Reading())
    assert words in str(caught.value)
