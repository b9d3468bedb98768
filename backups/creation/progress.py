"""How far a run has come: reported to whoever watches, and kept in its row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from backups.errors import LeaseLost
from backups.models import Backup

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backups.leases import HeldLease


@dataclass
class Progress:
    """The row of a run, changed only while the run holds its lease."""

    backup: Backup
    held: HeldLease
    on_progress: Callable[[str, int, int], None]
    stage: str = ""
    done: int = 0
    expected: int = 0

    def begin(self, stage: str) -> None:
        """Enter the next stage."""
        self.held.require()
        self.stage, self.done = stage, 0
        self.change(stage=stage)
        self.on_progress(stage, 0, self.expected)

    def step_to(self, done: int) -> None:
        """Have so many bytes of the stage done; raises once the lease is lost."""
        self.held.require()
        self.done = done
        self.on_progress(self.stage, done, self.expected)

    def step_by(self, size: int) -> None:
        """Have so many more bytes done."""
        self.step_to(self.done + size)

    def beat(self) -> None:
        """Leave a sign of life in the row."""
        self.change(heartbeat_at=timezone.now(), bytes_done=self.done, bytes_expected=self.expected)

    def change(self, **fields: Any) -> None:
        """Change the row, if it is still ours."""
        owner = self.held.owner
        if not Backup.objects.change(self.backup.pk, owner=owner, **fields):
            raise LeaseLost("The backup's row was taken over by another run.")

    def remember_snapshot(self, at: datetime) -> None:
        """Keep what instant the backup is of."""
        self.backup.snapshot_at = at
        self.change(snapshot_at=at)
