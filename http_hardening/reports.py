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
    directive = _first(report, "effective-directive", "effectiveDirective", "violated-directive")
    name = directive.split(" ")[0]
    blocked = _source(_first(report, "blocked-uri", "blockedURL"))
    page = _address(_first(report, "document-uri", "documentURL"))
    if not DIRECTIVE.fullmatch(name) or blocked.startswith(EXTENSIONS):
        return None
    disposition = _first(report, "disposition")
    return Violation(name, blocked, page, "report" if disposition == "report" else "enforce")


def _first(report: dict[str, Any], *names: str) -> str:
    for name in names:
        value = report.get(name)
        if isinstance(value, str) and value:
            return _printable(value)
    return ""


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text[:2000]))


def _source(uri: str) -> str:
    """Get the origin of what was blocked, or the keyword a browser writes for it (``inline``)."""
    parts = _split(uri)
    if parts is None:
        return "invalid"
    if parts.scheme and parts.netloc:
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"[:LONGEST_TEXT]
    return (parts.scheme or parts.path)[:LONGEST_TEXT]


def _address(uri: str) -> str:
    """Return the page's path: its query may hold what was mailed to somebody."""
    parts = _split(uri)
    return parts.path[:LONGEST_TEXT] if parts else ""


def _split(uri: str) -> SplitResult | None:
    try:
        return urlsplit(uri)
    except ValueError:
        return None


def record(violations: list[Violation]) -> int:
    """Report what has not been said in this hour; gives how many were.

    While the cache is down nothing is said: a report is worth no database row that is not counted.
    """
    return sum(_record(violation) for violation in violations)


def _record(violation: Violation) -> bool:
    try:
        if not _is_new(violation):
            return False
    except Exception:  # noqa: BLE001 - whichever cache the host has
        logger.warning("A report on the content security policy could not be counted.")
        return False
    security_events.emit(events.CSP_VIOLATED, data=asdict(violation))
    return True


def _is_new(violation: Violation) -> bool:
    digest = hashlib.sha256("\n".join(asdict(violation).values()).encode()).hexdigest()
    if not cache.add(f"csp-report:{digest}", 1, HOUR_SECONDS):
        return False
    cache.add("csp-reports", 0, HOUR_SECONDS)
    return cache.incr("csp-reports") <= settings.most_violations_an_hour
