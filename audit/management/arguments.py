"""Times and streams as operators write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


YEARS = range(1970, 9999)  # at the edges, another zone is out of range


def instant(text: str) -> datetime:
    """Read ISO 8601 of the years 1970 to 9998; a time without a zone is in the site's own."""
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    if at is None or at.year not in YEARS:
        raise CommandError(f"{text!r} is no time. Write it as 2026-11-24T00:00Z.", returncode=2)
    return at if timezone.is_aware(at) else timezone.make_aware(at)


def no_stream(name: str, known: Iterable[str]) -> str:
    """Return the sentence about a stream that has no seal."""
    return f"There is no stream {name!r}. There are: {', '.join(sorted(known)) or 'none yet'}."
