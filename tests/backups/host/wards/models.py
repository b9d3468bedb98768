"""Beds with a note, as the newest migration leaves them."""

from __future__ import annotations

import uuid

from django.db import models

from encryption.fields import Encrypted


class Bed(models.Model):  # noqa: DJ008
    """One row; its note follows from its number, so that a wrong one is seen."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    number = models.IntegerField(unique=True)
    note = Encrypted(models.TextField())
