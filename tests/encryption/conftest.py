"""The clinic app, installed for one test module at a time, and keys that tests may change."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db import connection, migrations, models
from django.db.migrations.state import ProjectState

from encryption.fields import Encrypted
from encryption.keyring import keyring
from encryption.operations import EncryptField
from tests.encryption.clinic.models import Person

CLINIC = "tests.encryption.clinic"


def fresh_key(key_id: str) -> str:
    """A new entry for ENCRYPTION_KEYS."""
    return f"{key_id}:{base64.b64encode(os.urandom(32)).decode()}"


@pytest.fixture(scope="module", autouse=True)
def _clinic(django_db_setup, django_db_blocker) -> Iterator[None]:
    """Install the app and make its tables; take both away again for the next module's tests."""
    apps.set_installed_apps([*django_settings.INSTALLED_APPS, CLINIC])
    models = list(apps.get_app_config("clinic").get_models())
    models = [model for model in models if not model._meta.proxy]
    with django_db_blocker.unblock():
        left = connection.introspection.table_names()  # by a run that was killed
        with connection.schema_editor() as editor:
            for model in reversed(models):
                if model._meta.db_table in left:
                    editor.delete_model(model)
            for model in models:
                editor.create_model(model)
        yield
        with connection.schema_editor() as editor:
            for model in reversed(models):
                editor.delete_model(model)
        connection.close()
    apps.unset_installed_apps()


@pytest.fixture
def keys(settings):
    """Set the keys by id: ``keys("k2", "k1")`` makes k2 active; a name means the same key always."""  # noqa: E501
    made: dict[str, str] = {}

    def use(*ids: str) -> None:
        for key_id in ids:
            made.setdefault(key_id, fresh_key(key_id))
        settings.ENCRYPTION_KEYS = [made[key_id] for key_id in ids]

    settings.ENCRYPTION_INDEX_KEY = "k1"
    use("k1")
    use.entries = made
    yield use
    keyring.cache_clear()


@pytest.fixture
def subject_keys(keys, settings, tmp_path):
    """The storage of people's keys, for one test alone."""
    folder = tmp_path / "subject_keys"
    alias = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(folder)},
    }
    settings.STORAGES = {**settings.STORAGES, "subject_keys": alias}
    keyring.cache_clear()
    yield folder
    keyring.cache_clear()


@pytest.fixture
def ann(keys):
    return Person.objects.create(name="Ann")


@pytest.fixture
def bob(keys):
    return Person.objects.create(name="Bob")


# --- models that migrations make and change ----------------------------------------------------


def create(name, key, **columns):
    return migrations.CreateModel(name, [("id", key), *columns.items()])


UUID_KEY = models.UUIDField(primary_key=True, default=uuid.uuid4)


class Migrated:
    """A model in a database, moved by operations as the migration executor would."""

    def __init__(self, *operations):
        self.state = ProjectState()
        self.apply(*operations)

    def apply(self, *operations, backwards=False):
        before = self.state
        for operation in operations:
            after = before.clone()
            operation.state_forwards("ward", after)
            with connection.schema_editor(atomic=False) as editor:
                operation.database_forwards("ward", editor, before, after)
            before = after
        self.previous, self.state = self.state, before

    def unapply(self, operation):
        with connection.schema_editor(atomic=False) as editor:
            operation.database_backwards("ward", editor, self.state, self.previous)
        self.state = self.previous

    def model(self, name="bed"):
        return self.state.apps.get_model("ward", name)


@pytest.fixture
def migrated():
    made = []

    def make(*operations):
        made.append(Migrated(*operations))
        return made[-1]

    yield make
    for one in made:
        with connection.schema_editor() as editor:
            for model in one.state.apps.get_models():
                editor.delete_model(model)


def columns(table):
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, table)
    return {column.name: column for column in described}


ENCRYPT = EncryptField("bed", "note", Encrypted(models.TextField(default="")), rows_per_batch=10)
