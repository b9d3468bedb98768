"""What every leased run has: a state, an owner, a slot; and who may change it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.db import models

from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from garrison.events import EventKind

LONGEST_FAILURE = 1000  # characters of a sentence; programs can be talkative


class State(models.TextChoices):
    """The life of a run."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    GOOD = "good", "good"
    FAILED = "failed", "failed"
    PRUNED = "pruned", "pruned"


R = TypeVar("R", bound="Run")


class RunQuerySet(models.QuerySet[R]):
    """Questions about runs, and their conditional changes."""

    def good(self) -> RunQuerySet[R]:
        """Return the runs that ended well and whose result still exists."""
        return self.filter(state=State.GOOD)

    def live(self) -> RunQuerySet[R]:
        """Return the runs that have a worker, or had one."""
        return self.filter(state=State.RUNNING)

    def claim(self, pk: uuid.UUID, *, owner: uuid.UUID, fence: int, now: datetime) -> bool:
        """Turn one queued run into our running one; ``False`` if somebody was faster."""
        queued = self.filter(pk=pk, state=State.QUEUED)
        return bool(
            queued.update(
                state=State.RUNNING,
                owner=owner,
                fence=fence,
                started_at=now,
                heartbeat_at=now,
                attempts=models.F("attempts") + 1,
                failure="",
            )
        )

    def change(self, pk: uuid.UUID, *, owner: uuid.UUID, **fields: Any) -> bool:
        """Change a run that is still running and still ours; ``False`` when it is not."""
        mine = self.filter(pk=pk, owner=owner, state=State.RUNNING)
        return bool(mine.update(**fields))

    def declare_dead(self, *, now: datetime, except_owner: uuid.UUID) -> list[R]:
        """Fail every running run of another owner; only the holder of the lease may call this."""
        dead = []
        for run in self.live().exclude(owner=except_owner):
            failure = "The run stopped answering and its lease expired."
            if self.change(
                run.pk,
                owner=run.owner,  # type: ignore[arg-type]  # a running run has an owner
                state=State.FAILED,
                ended_at=now,
                failure=failure,
            ):
                dead.append(run)
        return dead


class Run(models.Model):
    """A unit of work that one process does under a lease."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    slot = models.DateTimeField(
        null=True, blank=True, help_text="The scheduled time this run is for; empty when asked for."
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    owner = models.UUIDField(null=True, editable=False)
    fence = models.PositiveBigIntegerField(default=0, editable=False)
    queued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=LONGEST_FAILURE, blank=True)

    class Meta:
        """Shared by backups and drills."""

        abstract = True

    @property
    def seconds(self) -> float | None:
        """How long the run took."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    def emit(
        self, kind: EventKind, /, *, actor: Any = None, now: datetime | None = None, **data: Any
    ) -> None:
        """Emit an event about this run."""
        target = f"{self._meta.model_name}:{self.pk}"
        emit(kind, actor=actor, target=target, data=data, now=now)
