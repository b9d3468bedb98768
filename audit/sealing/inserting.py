"""Adding seals by the thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.models import EventSeal

if TYPE_CHECKING:
    from collections.abc import Sequence


def insert(seals: Sequence[EventSeal]) -> None:
    """Add the seals; refused where one of their events or numbers has one already."""
    EventSeal.objects.bulk_create(seals)
