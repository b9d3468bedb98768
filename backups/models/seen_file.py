"""What files looked like when they were last read."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


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
