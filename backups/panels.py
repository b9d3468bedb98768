"""What backups show on the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone

from backups import point_in_time
from backups.models import Backup, Drill, State
from backups.services import status
from backups.times import duration
from garrison import panels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

VIEW = "backups.view_backup"
LIST = "admin:backups_backup_changelist"
SHOWN = 5  # rows
DRAWN = 30  # drills


@panels.figure(
    "failed_backups", label="Failed backups", permission=VIEW, link=LIST, tone="critical", order=80
)
def failed_backups(window: panels.Window) -> int:
    """Backups that failed inside the window."""
    failed = Backup.objects.filter(state=State.FAILED)
    return failed.filter(queued_at__gte=window.start, queued_at__lt=window.end).count()


@panels.register
class BackupsAndDrills(panels.Panel):
    """The newest backups, what proves them, and how long a restore would take."""

    slug = "backups"
    title = "Backups and drills"
    template = "backups/panels/backups.html"
    permission = VIEW
    width = 6
    order = 80

    def context(self, *, request: HttpRequest, window: panels.Window) -> Mapping[str, Any]:  # noqa: ARG002
        """Look at the newest rows only: nine queries, each of few rows."""
        drills = list(Drill.objects.exclude(rto_seconds=None).order_by("-queued_at")[:DRAWN])[::-1]
        last = drills[-1] if drills else None
        return {
            "status": status(now=timezone.now()),
            "rows": Backup.objects.exclude(state=State.PRUNED)[:SHOWN],
            "rto": duration(last.rto_seconds) if last else "",
            "rpo": duration(last.rpo_seconds) if last else "",
            "rtos": [round(drill.rto_seconds or 0) for drill in drills],
            "rpos": [round(drill.rpo_seconds or 0) for drill in drills],
            "last_drill": last,
            "point_in_time": point_in_time.look(now=timezone.now()),
        }
