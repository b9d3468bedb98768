"""Files that the targets hold already, what files looked like, and deletions that wait."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Max

from backups.models.backup import Backup

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

BATCH = 500
IN_USE = datetime(9000, 1, 1, tzinfo=UTC)  # the year 9999 ends too early east of Greenwich


class StoredFileManager(models.Manager["StoredFile"]):
    """Changes to what is known of the encrypted files."""

    def lose(self, names: Iterable[str], *, target: str) -> None:
        """Count on these files on a target no more: the next backup sends or copies them again."""
        for row in self.filter(name__in=names):
            row.lose([target])

    def hold_again(self, names: Container[str], *, target: str) -> None:
        """Record that what was lost on a target is whole there again: its bytes were read."""
        for row in self.lost_on(target):
            if row.name in names:
                row.hold([target])

    def lost_on(self, target: str) -> list[StoredFile]:
        """Return the files that were found missing or damaged on a target."""
        return [row for row in self.exclude(lost=[]) if target in row.lost]

    def end_use(self, used: Iterable[int], *, at: datetime) -> None:
        """End the use of all files but those that the backup ``at`` has ``used`` (their keys).

        It ends with the newest snapshot of any other backup, in whatever order clocks run. Nothing
        is written for the files that stay in use, which are nearly all of them.
        """
        until = Backup.objects.exclude(snapshot_at=at).aggregate(at=Max("snapshot_at"))["at"] or at
        ordered = array("Q", sorted(used))
        keys = self.filter(last_used_at__gt=until).values_list("pk", flat=True)
        ended = [k for k in keys.iterator() if bisect_left(ordered, k) == bisect_right(ordered, k)]
        for start in range(0, len(ended), BATCH):
            batch = ended[start : start + BATCH]
            self.filter(pk__in=batch).update(last_used_at=until)


class StoredFile(models.Model):
    """One encrypted file, shared by all backups whose snapshot it was part of.

    ``digest`` is keyed, so neither the index nor a target tells which known file it is. The file
    is needed by every backup with ``first_used_at`` ≤ snapshot ≤ ``last_used_at``, which is
    ``IN_USE`` until a backup does without it; where a file was absent for a while in between, it is
    kept longer than needed, never shorter.
    """

    name = models.CharField(max_length=200, unique=True)
    digest = models.CharField(max_length=64, db_index=True)
    sealed_to = models.CharField(max_length=64, help_text="Hash of the recipients it is sealed to.")
    sha256 = models.CharField(max_length=64, help_text="Of the encrypted bytes.")
    size = models.PositiveBigIntegerField(help_text="Of the encrypted bytes.")
    targets = models.JSONField(default=list, help_text="Aliases of the targets that hold it.")
    lost = models.JSONField(
        default=list, help_text="Aliases of the targets that held it, until its bytes are read."
    )
    first_used_at = models.DateTimeField()
    last_used_at = models.DateTimeField(db_index=True)

    objects: ClassVar[StoredFileManager] = StoredFileManager()

    class Meta:
        """Not shown anywhere."""

        default_permissions = ()

    def __str__(self) -> str:
        """Name it as the targets do."""
        return self.name

    def hold(self, aliases: Iterable[str]) -> None:
        """Record that these targets hold it: its bytes were written or read there."""
        self.targets = list(dict.fromkeys([*self.targets, *aliases]))
        self.lost = [alias for alias in self.lost if alias not in self.targets]
        self.save(update_fields=["targets", "lost"])

    def lose(self, aliases: Iterable[str]) -> None:
        """Record that these targets held it and do not any more, or not whole.

        That stands until :meth:`hold`: backups of before need it there all the same.
        """
        gone = [alias for alias in aliases if alias in self.targets]
        self.targets = [alias for alias in self.targets if alias not in gone]
        self.lost = [*self.lost, *gone]
        self.save(update_fields=["targets", "lost"])

    def give_up(self, alias: str) -> None:
        """Record that nobody will look for it on this target any more."""
        if alias in self.targets or alias in self.lost:
            self.targets = [each for each in self.targets if each != alias]
            self.lost = [each for each in self.lost if each != alias]
            self.save(update_fields=["targets", "lost"])


class SeenFile(models.Model):
    """One file, in a form that only the site can read; see :mod:`backups.files.seen`."""

    place = models.CharField(
        max_length=64, primary_key=True, help_text="Keyed digest of its storage and name."
    )
    sealed = models.BinaryField(help_text="Its signature, hash and encrypted file, encrypted.")
    read_at = models.DateTimeField(db_index=True)

    objects: ClassVar[models.Manager[SeenFile]] = models.Manager()

    class Meta:
        """Not shown anywhere."""

        default_permissions = ()

    def __str__(self) -> str:
        """Name its place."""
        return self.place


class WaitingDeletion(models.Model):
    """A file whose deletion was asked for while a backup still needed it."""

    storage = models.CharField(max_length=64)
    name = models.CharField(max_length=500)
    asked_at = models.DateTimeField()

    objects: ClassVar[models.Manager[WaitingDeletion]] = models.Manager()

    class Meta:
        """Not shown anywhere."""

        default_permissions = ()

    def __str__(self) -> str:
        """Name the file."""
        return f"{self.storage}:{self.name}"
