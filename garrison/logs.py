"""One line a record, as JSON or as text, with the ids of the request or task that caused it.

A host writes, in its settings::

    from garrison import logs

    LOGGING = logs.configuration(form="json", level="INFO")

or names :class:`JSONFormatter` or :class:`TextFormatter` in a ``LOGGING`` of its own. Both format
the records of every library that logs with the standard library or with structlog, and no value
can begin a line of its own or drive a terminal (OWASP ASVS 5.0 V16.2.1, V16.4.1).
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from structlog.processors import format_exc_info
from structlog.stdlib import ProcessorFormatter

from garrison import context
from garrison.errors import ConfigurationError

if TYPE_CHECKING:
    from structlog.typing import EventDict

# How PostgreSQL ends the error of a row that broke a constraint: with the row, hashes in it.
_ROW = re.compile(r"(Failing row contains )\(.*?\)\.(?=$|\\n|[\"'])", re.DOTALL | re.MULTILINE)
CARRIED = ("request_id", "trace_id", "ip", "actor_id", "session_id")


def describe(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Complete a line: when, how bad, whose, the context, and the ``fields`` that the caller gave.

    A structlog processor. ``fields`` are an ``extra={"fields": {…}}`` of the logging call; what a
    caller says of itself wins over the context.
    """
    record = line["_record"]
    known = context.current()
    if not known.request_id:
        # Django reports a status once more when all middleware has ended.
        known = getattr(getattr(record, "request", None), "request_context", known)
    described = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": line.pop("event"),
    }
    for name in CARRIED:
        if value := getattr(known, name):
            described[name] = value
    return {**described, **line, **(getattr(record, "fields", None) or {})}


def _without_rows(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Leave out the row that an error of PostgreSQL quotes."""
    return {
        name: _ROW.sub(r"\1(left out).", value) if isinstance(value, str) else value
        for name, value in line.items()
    }


_encoded = json.JSONEncoder(default=str).encode  # made once: json.dumps would make one each time


def _as_json(_logger: Any, _method: str, line: EventDict) -> str:
    return _encoded(line).replace("\x7f", "\\u007f")  # DEL is what JSON does not escape


def _as_text(_logger: Any, _method: str, line: EventDict) -> str:
    """Lay a line out for a person; each line of a traceback begins with the request's id."""
    quoted = "\n".join(filter(None, (line.pop("exception", ""), line.pop("stack_info", ""))))
    stamp, level, logger, event = (
        line.pop(name) for name in ("timestamp", "level", "logger", "event")
    )
    rest = "".join(f" {name}={_word(value)}" for name, value in line.items() if value or value == 0)
    words = json.dumps(event, ensure_ascii=False) if "=" in event else event  # no field of theirs
    head = _printable(f"{stamp} {level.upper():<8} {logger}: {words}{rest}")
    mark = line.get("request_id") or ""
    return "\n".join((head, *(f"{mark} | {_printable(row)}" for row in quoted.splitlines())))


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    is_plain = not isinstance(value, str) or not set(text) & set(' "=')
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


class _Formatter(ProcessorFormatter):
    """Formats any record of the standard library by structlog's processors."""

    def __init__(self, render: Any) -> None:
        """Choose how a line is laid out."""
        clean = ProcessorFormatter.remove_processors_meta
        super().__init__(processors=[describe, format_exc_info, _without_rows, clean, render])


class JSONFormatter(_Formatter):
    """One JSON object a line, ASCII only: for collectors."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take no format."""
        super().__init__(_as_json)


class TextFormatter(_Formatter):
    """One readable line, and a traceback below it: for terminals."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take no format."""
        super().__init__(_as_text)


FORMS = {"json": JSONFormatter, "text": TextFormatter}


def configuration(*, form: str = "json", level: str = "INFO") -> dict[str, Any]:
    """Return a ``LOGGING`` that writes every record to stderr, as ``json`` or ``text``.

    Each request is one line of ``garrison.requests``; so Django's own for 4xx answers is left out,
    and so are runserver's (which show query strings) and Celery's that a task has arrived.
    """
    if form not in FORMS:
        raise ConfigurationError(f"The form of the log is {form!r}; write json or text.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": FORMS[form]}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {},  # without Django's own handlers, which would write each record twice
            "django.request": {"level": "ERROR"},
            "django.server": {"level": "CRITICAL"},
            "celery.worker.strategy": {"level": "WARNING"},
        },
    }
