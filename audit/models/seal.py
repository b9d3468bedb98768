"""What makes a change to the evidence visible: a chain of seals, signed heads, who has read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

from audit.models.event import LONGEST_STREAM, MAIN_STREAM, SecurityEvent
from audit.models.evidence import Evidence, EvidenceQuerySet

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

LONGEST_KEY_ID = 32  # 23 characters of the operator's choice, a dot, eight of the fingerprint
LONGEST_NAME = 200  # of a file in a storage


class EventSealQuerySet(EvidenceQuerySet["EventSeal"]):
    """The questions asked of the chain."""

    def last_of(self, stream: str) -> EventSeal | None:
        """Return the newest seal of a stream."""
        return self.filter(stream=stream).order_by("-seq").first()

    def first_from(self, stream: str, holds: Callable[[EventSeal], bool]) -> EventSeal | None:
        """Return the first seal of a stream from which on something holds, by halving."""
        found: EventSeal | None = None
        seals = self.filter(stream=stream)
        ends = seals.aggregate(first=models.Min("seq"), last=models.Max("seq"))
        low, high = ends["first"] or 0, ends["last"] or 0
        while low <= high:
            middle = (low + high) // 2
            seal = seals.filter(seq__gte=middle).order_by("seq").first()
            if seal is None or holds(seal):
                found, high = seal or found, middle - 1
            else:
                low = seal.seq + 1
        return found

    def streams(self) -> list[str]:
        """Name the streams that have seals: one look into the index for each."""
        found: list[str] = []
        seals: models.QuerySet[EventSeal] = self
        while (following := seals.aggregate(first=models.Min("stream"))["first"]) is not None:
            found.append(following)
            seals = self.filter(stream__gt=following)
        return found


class EventSeal(Evidence):
    """The place of one event in the chain of its stream, and a MAC over both.

    The event's own row stays as it was inserted. ``seq`` counts from 1 without a gap, ``prev`` is
    the MAC before; what the MAC covers is in :mod:`audit.sealing.encoding`. There is no constraint
    between the tables, so that a seal outlives an event that somebody removes, and tells.
    """

    event = models.OneToOneField(
        SecurityEvent,
        models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="seal",
    )
    stream = models.CharField(max_length=LONGEST_STREAM)
    seq = models.BigIntegerField()
    version = models.PositiveSmallIntegerField()
    key_id = models.CharField(max_length=LONGEST_KEY_ID)
    prev = models.BinaryField(max_length=32)
    mac = models.BinaryField(max_length=32)
    sealed_at = models.DateTimeField()

    objects = EventSealQuerySet.as_manager()

    class Meta:
        """One event for each number; the index of the constraint is the way along the chain."""

        constraints = (
            models.UniqueConstraint(fields=["stream", "seq"], name="audit_one_seal_each"),
            models.CheckConstraint(condition=models.Q(seq__gte=1), name="audit_seals_from_one"),
        )

    def __str__(self) -> str:
        """Report which one it is."""
        return f"{self.stream} {self.seq}"


class SealedUntil(models.Model):
    """How far sealing has come: one row, and the lock under which one sealer works.

    Everything that happened before ``settled_at`` is sealed, and no open transaction can still add
    to it. ``waiting_for`` is the transaction number that decides when ``waiting_at`` becomes
    settled; see :mod:`audit.sealing.horizon`.
    """

    THE_ONE = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=THE_ONE, editable=False)
    settled_at = models.DateTimeField(null=True)
    waiting_at = models.DateTimeField(null=True)
    waiting_for = models.BigIntegerField(null=True)

    class Meta:
        """There is one row."""

        constraints = (
            models.CheckConstraint(condition=models.Q(id=1), name="audit_one_sealing_mark"),
        )

    def __str__(self) -> str:
        """Name the moment."""
        at: datetime | None = self.settled_at
        return f"sealed until {at:%Y-%m-%d %H:%M:%S}" if at else "nothing sealed"


class CheckpointQuerySet(EvidenceQuerySet["Checkpoint"]):
    """The questions asked of what was signed."""

    def last_anchor(self, stream: str) -> Checkpoint | None:
        """Return the anchor behind which a stream begins, where retention has removed some."""
        return self.filter(stream=stream, purpose=Checkpoint.ANCHOR).order_by("-seq").first()

    def removed_up_to(self, stream: str) -> int:
        """Return the number up to which retention has removed a stream, or zero."""
        anchor = self.last_anchor(stream)
        return anchor.seq if anchor else 0


class Checkpoint(Evidence):
    """The head of a stream at one time, signed: what came before it cannot be changed unseen.

    ``purpose`` is ``head``, or ``anchor`` where retention has removed everything up to ``seq``
    (the chain then begins behind it), or ``restored`` where a backup was restored at ``at`` (later
    heads than ``seq`` that were signed before it are void). ``stored_as`` names the copy outside
    the database.
    """

    HEAD = "head"
    ANCHOR = "anchor"
    RESTORED = "restored"
    PURPOSES = ((HEAD, "Head"), (ANCHOR, "Anchor"), (RESTORED, "Restored"))

    purpose = models.CharField(max_length=8, choices=PURPOSES, default=HEAD)
    stream = models.CharField(max_length=LONGEST_STREAM)
    seq = models.BigIntegerField()
    mac = models.BinaryField(max_length=32)
    count = models.BigIntegerField()
    at = models.DateTimeField()
    key_id = models.CharField(max_length=LONGEST_KEY_ID)
    signature = models.BinaryField(max_length=64)
    stored_as = models.CharField(max_length=LONGEST_NAME, blank=True)

    objects = CheckpointQuerySet.as_manager()

    class Meta:
        """Asked for by stream, newest first, and by number."""

        ordering = ("-id",)
        indexes = (models.Index(fields=["stream", "seq"], name="audit_checkpoint_at"),)

    def __str__(self) -> str:
        """Report what was signed, and when."""
        return f"{self.stream} {self.seq} at {self.at:%Y-%m-%d %H:%M:%S}"


class ChainVerification(models.Model):
    """That the chain was verified, and what came of it; the health report asks for the newest."""

    ended_at = models.DateTimeField()
    is_whole = models.BooleanField(null=True)  # NULL: nothing is wrong, and that is not enough
    is_complete = models.BooleanField(default=True)
    looked_at = models.BigIntegerField()
    seconds = models.FloatField()
    detail = models.TextField()

    class Meta:
        """Newest first."""

        ordering = ("-id",)

    def __str__(self) -> str:
        """Name the moment and the result."""
        words = {True: "whole", False: "broken", None: "indeterminate"}
        return f"{self.ended_at:%Y-%m-%d %H:%M:%S} {words[self.is_whole]}"


class EventReader(models.Model):
    """How far one reader has come along a stream: behind number ``seq``, sealed with that MAC."""

    name = models.CharField(max_length=100, primary_key=True)
    stream = models.CharField(max_length=LONGEST_STREAM, default=MAIN_STREAM)
    seq = models.BigIntegerField(default=0)
    mac = models.BinaryField(max_length=32, default=bytes)
    moved_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        """Report who has come how far."""
        return f"{self.name} behind {self.stream} {self.seq}"
