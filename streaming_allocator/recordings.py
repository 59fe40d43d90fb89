"""Label files and what the model makes of them: what `allocator evaluate` does, as functions."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from stream.files.recording import Recording
from stream.files.recording import read as read_recording
from stream.files.sheet import Reading
from stream.study.comparison import Report, compare
from stream.study.evaluation import Labels

Place = str | PathLike[str]


def read(
    path: Place,
    truth: Place | None = None,
    *,
    header: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    ignore_extra: bool = False,
    encoding: str | None = None,
) -> Recording:
    """Read a file of judgments, or a folder with ``labels.csv`` and ``truth.csv``.

    Parameters
    ----------
    path, truth : path
        `truth` has task and truth.
    header : sequence of str
        Our names of the columns of a file without a header.
    columns : mapping
        Our name of a column to the file's, such as ``{"label": "sentiment"}``.
    ignore_extra : bool
        Leave out columns that have no meaning here.
    encoding : str, optional
        Found out otherwise.

    Returns
    -------
    Recording
        Arrays and the names behind their numbers; ``notes`` says what was assumed.

    Raises
    ------
    FileProblem
        With line, column, value and a right example, once a kind of fault.
    """
    said = Reading(
        header=tuple(header), columns=dict(columns or {}), ignore_extra=ignore_extra, encoding=encoding
    )
    return read_recording(Path(path), None if truth is None else Path(truth), said)


def labels_of(recording: Recording) -> Labels:
    """The arrays of a recording, as the model takes them."""
    judged = recording.task, recording.annotator, recording.label, recording.at
    return Labels(*judged, recording.truth, max(len(recording.classes), 2))


def evaluate(
    recording: Recording,
    *,
    seeds: int = 10,
    gold: int = 0,
    order: str = "random",
    allocate: bool = False,
    stop: float = 0.95,
    busy: int = 0,
) -> Report:
    """Measure labels and people against the recording's known answers.

    Parameters
    ----------
    recording : Recording
    seeds : int
        Runs to average over.
    gold : int
        Tasks whose truth the model is told; they are not scored.
    order : {"random", "file"}
    allocate : bool
        Also replay the recording as a market of arriving annotators.
    stop : float
        Close tasks of the market at this probability.
    busy : int
        Answers under way at any time in the market.

    Returns
    -------
    Report
    """
    if allocate and not (recording.truth >= 0).any():
        raise ValueError("allocate=True needs known answers to score with, and the recording has none")
    return compare(labels_of(recording), seeds, gold, order, allocate, stop, busy)


def plot(report: Report, path: Place) -> None:
    """Draw a report into a file whose suffix chooses the format; needs matplotlib and known answers."""
    if not report.reliability:
        raise ValueError("there is nothing to draw without known answers")
    from stream.study.evaluation_plot import plot as draw  # noqa: PLC0415  matplotlib is optional

    draw(report, Path(path))
