"""Whose keys the values of a row are under, and whose the row is."""

from __future__ import annotations

import uuid

from django.db import connection

from encryption.models import SubjectKey
from tests.encryption.test_fields import stored

IBAN = "DE02120300000000202051"


def people_of(model, pk, *columns):
    """Whose keys the values of a row are under, as the database holds them."""
    envelopes = [stored(model, column, pk) for column in columns]
    keys = [uuid.UUID(bytes=e[1:17]) for e in envelopes if e is not None and e[:1] == b"\x02"]
    assert len(keys) == sum(e is not None for e in envelopes), "a value is under nobody's key"
    return {SubjectKey.objects.get(pk=key).subject for key in keys}


def owner_of(pk):
    with connection.cursor() as cursor:
        cursor.execute("SELECT held_by FROM clinic_record WHERE id = %s", [pk])
        return cursor.fetchone()[0]


def changed(row, **values):
    for name, value in values.items():
        setattr(row, name, value)
    return row
