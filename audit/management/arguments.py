"""Times as operators write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

if TYPE_CHECKING:
    from datetime import datetime


def instant(text: str) -> datetime:
    """Read ISO 8601; a time without a zone is in the site's own."""
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    if at is None:
        raise CommandError(f"{text!r} is no time. Write it as 2026-11-24T00:00Z.", returncode=2)
    return at if timezone.is_aware(at) else timezone.make_aware(at)
