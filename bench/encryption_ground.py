"""What the benches of encryption stand on: a project of its own, and tables for its models."""

from __future__ import annotations

import base64
import os
import sys
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

URL = os.environ.get("BENCH_DATABASE_URL") or os.environ.get("DATABASE_URL", "")


def fresh_key(key_id: str) -> str:
    return f"{key_id}:{base64.b64encode(os.urandom(32)).decode()}"


def database() -> dict[str, Any]:
    """PostgreSQL where BENCH_DATABASE_URL or DATABASE_URL names one, a SQLite file otherwise."""
    if URL.startswith("postgres"):
        import dj_database_url

        return dict(dj_database_url.parse(URL))
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(Path(os.environ.get("TMPDIR", "/var/tmp")) / f"bench-{os.getpid()}.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30},
    }


def set_up(keys: list[str]) -> None:
    """Configure Django; the bench's models may be made after it."""
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="the secret key of the benches, and of nothing else",
        INSTALLED_APPS=["garrison", "encryption"],
        DATABASES={"default": database()},
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


def fresh_tables(*classes: Any) -> None:
    """Make the tables anew, the app's own too, in a database that is there for benches."""
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", "encryption", verbosity=0)
    with connection.schema_editor() as editor:
        for model in classes:
            if model._meta.db_table in connection.introspection.table_names():
                editor.delete_model(model)
            editor.create_model(model)


def drop_tables(*classes: Any) -> None:
    """Leave nothing behind."""
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.recorder import MigrationRecorder

    with connection.schema_editor() as editor:
        for model in classes:
            editor.delete_model(model)
    call_command("migrate", "encryption", "zero", verbosity=0)
    if not MigrationRecorder(connection).applied_migrations():
        with connection.schema_editor() as editor:
            editor.delete_model(MigrationRecorder.Migration)
