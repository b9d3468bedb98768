"""What the benches of encryption run in: a project of its own, and tables for its models."""

from __future__ import annotations

import os
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import servers

if TYPE_CHECKING:
    from collections.abc import Iterator


def set_up(keys: list[str]) -> None:
    """Configure Django; the bench's models may be made after it."""
    import dj_database_url
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="the secret key of the benches, and of nothing else",
        INSTALLED_APPS=["garrison", "encryption"],
        DATABASES={
            "default": dj_database_url.parse(os.environ.get("DATABASE_URL", "sqlite://:memory:"))
        },
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        ENCRYPTION_KEYS=keys,
        LOGGING_CONFIG=None,
    )
    django.setup()


def models() -> tuple[Any, Any]:
    """A person in clear and the same person with two encrypted columns."""
    from django.db import models as db

    from encryption.fields import Encrypted

    class Person(db.Model):
        id = db.UUIDField(primary_key=True, default=uuid.uuid4)
        created_at = db.DateTimeField(auto_now_add=True)
        updated_at = db.DateTimeField(auto_now=True)
        given_name = db.CharField(max_length=50, default="Given")
        family_name = db.CharField(max_length=50, default="Family")
        is_active = db.BooleanField(default=True)
        visits = db.IntegerField(default=0)

        class Meta:
            abstract = True
            app_label = "encryption"

    class BenchClear(Person):  # noqa: DJ008
        note = db.TextField()
        diary = db.TextField()

        class Meta(Person.Meta):
            abstract = False

    class BenchEncrypted(Person):  # noqa: DJ008
        note = Encrypted(db.TextField())
        diary = Encrypted(db.TextField())

        class Meta(Person.Meta):
            abstract = False

    return BenchClear, BenchEncrypted


@contextmanager
def fresh_tables(keys: list[str]) -> Iterator[tuple[Any, Any]]:
    """Give the two models, with their tables and the app's own in a fresh database."""
    with tempfile.TemporaryDirectory() as scratch, servers.fresh_servers(Path(scratch)):
        set_up(keys)
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", "encryption", verbosity=0)
        both = models()
        with connection.schema_editor() as editor:
            for model in both:
                editor.create_model(model)
        yield both
