"""One row for each thing of which there may be only one at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from django.db import models

if TYPE_CHECKING:
    import uuid
    from datetime import datetime


def _misdated(until: datetime) -> models.Q:
    """Match what a clock that ran ahead has stamped: nobody may hold anything for so long."""
    return models.Q(expires_at__gt=until + timedelta(days=1))


class LeaseManager(models.Manager["Lease"]):
    """Decides who holds a lease; each decision is one conditional UPDATE."""

    def acquire(self, name: str, *, owner: uuid.UUID, seconds: float, now: datetime) -> int | None:
        """Take the lease if it is free or expired; returns the fencing number, else ``None``.

        The number grows with each holder, so a holder that was declared dead can be told from its
        successor for ever.
        """
        self.get_or_create(name=name)
        until = now + timedelta(seconds=seconds)
        free = models.Q(owner=None) | models.Q(expires_at__lt=now) | _misdated(until)
        taken = self.filter(free, name=name).update(
            owner=owner, fence=models.F("fence") + 1, expires_at=until
        )
        return self.get(name=name, owner=owner).fence if taken else None

    def renew(self, name: str, *, owner: uuid.UUID, seconds: float, now: datetime) -> bool:
        """Prolong a lease that is still held; ``False`` when it was lost.

        A lease that expired and that nobody took is still ours: what counts is the successor.
        """
        mine = self.filter(name=name, owner=owner)
        return bool(mine.update(expires_at=now + timedelta(seconds=seconds)))

    def release(self, name: str, *, owner: uuid.UUID) -> bool:
        """Return it back, if it is still held."""
        return bool(self.filter(name=name, owner=owner).update(owner=None, expires_at=None))

    def release_restored(self) -> None:
        """Free the leases that came out of a backup: whoever held them then is long gone."""
        self.exclude(owner=None).update(owner=None, expires_at=None)

    def claim_notice(self, name: str, *, hours: float, now: datetime) -> bool:
        """Return whether this is the first call in so many hours, over all processes."""
        self.get_or_create(name=name)
        until = now + timedelta(hours=hours)
        quiet = models.Q(expires_at=None) | models.Q(expires_at__lte=now) | _misdated(until)
        return bool(self.filter(quiet, name=name).update(expires_at=until))

    def has_notice(self, name: str) -> bool:
        """Return whether a notice was claimed and has not ended."""
        return self.filter(name=name).exclude(expires_at=None).exists()

    def end_notice(self, name: str) -> bool:
        """Return whether there was a notice to end; the next claim is the first one again."""
        return bool(self.filter(name=name).exclude(expires_at=None).update(expires_at=None))


class Lease(models.Model):
    """Who may work on something, and until when without a sign of life."""

    name = models.CharField(max_length=64, primary_key=True)
    owner = models.UUIDField(null=True, default=None)
    fence = models.PositiveBigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, default=None)

    objects: ClassVar[LeaseManager] = LeaseManager()

    class Meta:
        """Not shown anywhere."""

        default_permissions = ()

    def __str__(self) -> str:
        """Name the lease."""
        return self.name
