"""Reports of browsers about the content security policy, read from both of their formats.

Whoever likes can send them, so nothing in them is believed: texts are cut and made printable,
addresses lose their query (it may hold a token), and the sample of the page's own text is dropped.
Equal reports become one event an hour, and different ones at most
``HTTP_HARDENING_MOST_VIOLATIONS_AN_HOUR``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from django.core.cache import cache

from garrison import events as security_events
from http_hardening import events
from http_hardening.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("garrison.http_hardening")

LONGEST_BODY_BYTES = 16 * 1024
MOST_REPORTS = 20  # in one body
LONGEST_TEXT = 200  # characters
HOUR_SECONDS = 3600
DIRECTIVE = re.compile(r"[a-z-]{1,40}", re.ASCII)
# A browser's own extensions break policies too, and no site can do anything about it.
EXTENSIONS = ("chrome-extension", "moz-extension", "safari-web-extension", "ms-browser-extension")


@dataclass(frozen=True, slots=True)
class Violation:
    """What was kept from loading: by which directive, from where, on which page."""

    directive: str
    blocked: str
    page: str
    disposition: str


def read(body: bytes) -> list[Violation]:
    """Read a body of either format; whatever is no report is left out, and nothing is raised."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return []
    found = (_violation(report) for report in list(_reports(value))[:MOST_REPORTS])
    return [violation for violation in found if violation is not None]


def _reports(value: Any) -> Iterator[dict[str, Any]]:
    """Return those of ``application/csp-report`` (one) or ``application/reports+json`` (many)."""
    if isinstance(value, dict) and isinstance(value.get("csp-report"), dict):
        yield value["csp-report"]
    for report in value if isinstance(value, list) else ():
        if isinstance(report, dict) and report.get("type") == "csp-violation":
            inner = report.get("body")
            if isinstance(inner, dict):
                yield inner


def _violation(report: dict[str, Any]) -> Violation | None:
    name = _first(report, "effective-directive", "effectiveDirective", "violated-directive")
    name = name.split(" ")[0]
    blocked = _source(_first(report, "blocked-uri", "blockedURL"))
    # The page's path alone: its query may hold what was mailed to somebody.
    page = _split(_first(report, "document-uri", "documentURL")).path
    if not DIRECTIVE.fullmatch(name) or blocked.startswith(EXTENSIONS):
        return None
    disposition = "report" if report.get("disposition") == "report" else "enforce"
    return Violation(name, blocked[:LONGEST_TEXT], page[:LONGEST_TEXT], disposition)


def _first(report: dict[str, Any], *names: str) -> str:
    """Return the first text there is under one of the names, with what can be printed of it."""
    texts = [value for name in names if isinstance(value := report.get(name), str) and value]
    return "".join(filter(str.isprintable, texts[0][:2000])) if texts else ""


def _source(uri: str) -> str:
    """Return the origin of what was blocked, or the keyword a browser writes (``inline``)."""
    parts = _split(uri)
    if parts.scheme and parts.netloc:
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return parts.scheme or parts.path


def _split(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError:
        return urlsplit("invalid")


def record(violations: list[Violation]) -> None:
    """Emit what has not been said in this hour.

    While the cache is down nothing is said: a report is worth no database row that is not counted.
    """
    for violation in violations:
        try:
            is_new = _is_new(violation)
        except Exception:  # noqa: BLE001 - whichever cache the host has
            logger.warning("A report on the content security policy could not be counted.")
            return
        if is_new:
            security_events.emit(events.CSP_VIOLATED, data=asdict(violation))


def _is_new(violation: Violation) -> bool:
    digest = hashlib.sha256("\n".join(asdict(violation).values()).encode()).hexdigest()
    if not cache.add(f"csp-report:{digest}", 1, HOUR_SECONDS):
        return False
    cache.add("csp-reports", 0, HOUR_SECONDS)
    return cache.incr("csp-reports") <= settings.most_violations_an_hour
