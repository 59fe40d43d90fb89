"""The picture of `allocator evaluate --plot`: reliability, and accuracy against judgments spent."""

from pathlib import Path

from matplotlib.figure import Figure

from stream.study.comparison import Report


def plot(report: Report, path: Path) -> None:
    """Draw `report` into `path`; the suffix chooses the format."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    left.plot([b.claimed for b in report.reliability], [b.right for b in report.reliability], "o-")
    left.set(xlabel="probability of the most probable label", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    left.set_title("reliability")
    if report.allocation:
        curve = report.allocation.curve
        right.plot([x for x, _ in curve], [y for _, y in curve], label="allocator")
        for row in report.allocation.practices:
            right.plot([row.judgments], [row.accuracy], "s", label=f"{row.name}, majority vote")
    if report.model and report.majority is not None:
        each = report.judgments / report.tasks
        right.plot([each], [report.model.accuracy], "o", label="model, all judgments")
        right.plot([each], [report.majority], "x", label="majority vote, all judgments")
    right.set(xlabel="judgments per task", ylabel="accuracy")
    right.set_title("accuracy against judgments")
    right.legend()
    figure.savefig(path)
