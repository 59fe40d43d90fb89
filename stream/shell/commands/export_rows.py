"""Rows as people take them away: CSV, JSON lines, or Parquet where pyarrow is installed; to a file or to the terminal.

A file appears whole or not at all. `--excel` writes the CSV that Excel opens by a double click: semicolons, and a byte
order mark before the UTF-8. Cells that a spreadsheet would take for a formula are written as they are: they are data.
"""

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TextIO

import click
import msgspec

from stream.shell.commands.failures import NotRight

Format = Literal["csv", "excel", "jsonl", "parquet"]


def format_options(command: Any) -> Any:
    """Add the options that say what the rows become: `formats` and `out`."""
    for option in (
        click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write this file."),
        click.option("--parquet", "formats", flag_value="parquet", multiple=True, help="To --out; needs pyarrow."),
        click.option("--jsonl", "formats", flag_value="jsonl", multiple=True, help="One JSON object a line."),
        click.option("--excel", "formats", flag_value="excel", multiple=True, help="A CSV that Excel opens."),
        click.option("--csv", "formats", flag_value="csv", multiple=True, help="A table with a header (the default)."),
    ):
        command = option(command)
    return command


def chosen(formats: tuple[Format, ...], out: Path | None) -> Format:
    """The format that the options name.

    Raises
    ------
    NotRight
        Several are named, or Parquet without a file or without pyarrow.
    """
    if len(set(formats)) > 1:
        raise NotRight(f"expected one format, got --{' and --'.join(sorted(set(formats)))}")
    if "parquet" in formats:
        if out is None:
            raise NotRight("--parquet is no text: say where it goes: --out labels.parquet")
        try:
            import pyarrow  # noqa: F401, PLC0415  an optional package
        except ModuleNotFoundError:
            raise NotRight(
                "--parquet needs pyarrow, which is not installed: uv pip install pyarrow (or pip install pyarrow) into "
                f"{sys.prefix}; --csv and --jsonl need nothing"
            ) from None
    return formats[0] if formats else "csv"


class Lines:
    """Makes text of rows.

    Parameters
    ----------
    columns : sequence of str
    kind : {"csv", "excel", "jsonl"}
    """

    def __init__(self, columns: Sequence[str], kind: Format) -> None:
        self.columns, self.kind = list(columns), kind

    def head(self) -> str:
        """What stands before the first row."""
        mark = "\ufeff" if self.kind == "excel" else ""
        return "" if self.kind == "jsonl" else mark + self.text([self.columns])

    def text(self, rows: Iterable[Sequence[Any]]) -> str:
        """The rows as text; what is None is an empty cell or null."""
        if self.kind != "jsonl":
            buffer = io.StringIO()
            separator = ";" if self.kind == "excel" else ","
            csv.writer(buffer, delimiter=separator, lineterminator="\n").writerows(rows)
            return buffer.getvalue()
        encode = msgspec.json.encode
        return "".join(encode(dict(zip(self.columns, row, strict=True))).decode() + "\n" for row in rows)


def write_all(rows: Iterable[Sequence[Any]], columns: Sequence[str], kind: Format, out: Path | None) -> int:
    """Write all rows to a file or to standard output; returns how many."""
    if kind == "parquet":
        assert out is not None
        return _parquet(rows, columns, out)
    lines = Lines(columns, kind)
    if out is None:
        return _written(lines, rows, sys.stdout)
    fresh = out.with_name(out.name + ".part")
    with fresh.open("w", encoding="utf-8", newline="") as file:
        count = _written(lines, rows, file)
    fresh.replace(out)
    return count


def _written(lines: Lines, rows: Iterable[Sequence[Any]], file: TextIO) -> int:
    file.write(lines.head())
    count = 0
    batch: list[Sequence[Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == 1000:
            file.write(lines.text(batch))
            count += len(batch)
            batch.clear()
    file.write(lines.text(batch))
    return count + len(batch)


def _parquet(rows: Iterable[Sequence[Any]], columns: Sequence[str], out: Path) -> int:
    import pyarrow as pa  # noqa: PLC0415  an optional package
    import pyarrow.parquet as pq  # noqa: PLC0415

    fresh = out.with_name(out.name + ".part")
    writer: Any = None
    count = 0
    batch: list[Sequence[Any]] = []

    def flush() -> None:
        nonlocal writer
        found = {name: [row[i] for row in batch] for i, name in enumerate(columns)}
        table = pa.table(found, schema=writer.schema if writer else None)
        if writer is None:
            # a column whose first rows are all empty is text
            fields = [pa.field(f.name, pa.string() if pa.types.is_null(f.type) else f.type) for f in table.schema]
            table = table.cast(pa.schema(fields))
            writer = pq.ParquetWriter(fresh, table.schema)
        writer.write_table(table)
        batch.clear()

    for row in rows:
        batch.append(row)
        count += 1
        if len(batch) == 50_000:
            flush()
    if batch or writer is None:
        flush()
    writer.close()
    fresh.replace(out)
    return count
