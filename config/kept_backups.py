"""Where two apps of different concerns meet: which backups are kept, for the keys they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


def moments() -> Iterable[datetime]:
    """Return the moment of every backup that is kept (``ENCRYPTION_KEPT_BACKUPS``)."""
    from backups.models import Backup

    kept = Backup.objects.good().values_list("snapshot_at", flat=True)
    return [moment for moment in kept if moment is not None]
