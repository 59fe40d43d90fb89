"""Logs: one snake_case event name and key/values; ids only, never what a record contains.

JSON, one object a line, where a machine reads (containers); aligned text on a terminal. Libraries log through
the same handler: their message becomes the field ``message`` of an event named ``library``. While a broker is away
clients say the same hundreds of times a second; what a library repeats passes once in `REPEAT_S` seconds, with
the number of times it was withheld.
"""

import json
import logging
import sys
import time
from typing import Any, TextIO

REPEAT_S = 5.0
REMEMBERED = 1000

LEVELS = {
    # their INFO is for their own developers; our subclasses of Faust services log under their module
    "stream.shell": logging.WARNING,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "aiokafka": logging.WARNING,
    "kafka": logging.WARNING,
    "asyncio": logging.WARNING,
    "aiohttp": logging.WARNING,
    "numba": logging.WARNING,
}


class Log:
    """A named source of log events.

    Examples
    --------
    >>> Log("allocator.runner").info("round_committed", partition=3, events=120)
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def _write(self, level: int, event: str, fields: dict[str, object]) -> None:
        self._logger.log(level, event, extra={"fields": fields})

    def debug(self, event: str, **fields: object) -> None:
        """Detail that only a developer wants."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Something an operator may want to know."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something unusual that the process deals with."""
        self._write(logging.WARNING, event, fields)

    def critical(self, event: str, **fields: object) -> None:
        """The process ends because of this."""
        self._write(logging.CRITICAL, event, fields)


def _fields(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    fields = getattr(record, "fields", None)
    if fields is not None:
        return record.getMessage(), fields
    withheld = getattr(record, "withheld", 0)
    return "library", {"message": record.getMessage()} | ({"withheld": withheld} if withheld else {})


class Repetitions(logging.Filter):
    """Withholds what a library has said a moment ago; our own events always pass."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, int, str], tuple[float, int]] = {}  # until when, withheld since

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the record; sets its ``withheld``."""
        if hasattr(record, "fields"):
            return True
        what = record.name, record.levelno, str(record.msg)
        until, withheld = self._passed.get(what, (0.0, 0))
        if record.created < until:
            self._passed[what] = until, withheld + 1
            return False
        if len(self._passed) >= REMEMBERED:
            self._passed.clear()
        self._passed[what] = record.created + REPEAT_S, 0
        record.withheld = withheld
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON; the traceback, if any, is the field ``traceback``."""
        event, fields = _fields(record)
        entry = {"at": round(record.created, 3), "level": record.levelname.lower(), "event": event}
        entry |= {"logger": record.name, **fields}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, event, key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of text; a traceback follows on lines of its own."""
        event, fields = _fields(record)
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        pairs = " ".join(f"{name}={value}" for name, value in fields.items())
        line = f"{clock}.{int(record.msecs):03d} {record.levelname:<8} {event:<24} {pairs}".rstrip()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def configure(style: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send all logging of this process to one handler.

    Parameters
    ----------
    style : {"auto", "json", "text"}
        ``auto`` is text on a terminal and JSON elsewhere.
    level : {"debug", "info", "warning", "error"}
    stream : default ``sys.stderr``
    """
    stream = stream or sys.stderr
    as_text = style == "text" or (style == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    handler.addFilter(Repetitions())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, floor in LEVELS.items():
        logging.getLogger(name).setLevel(max(floor, root.level))
