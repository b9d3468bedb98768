"""The examples of docs/encryption.md, executed in their order as one module."""

from __future__ import annotations

import re
import sys
import types
import uuid
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import connection, migrations, models
from django.db.migrations.state import ProjectState

from encryption import key_users
from encryption.admin import MASK, MaskedFieldsMixin
from encryption.errors import SubjectErased
from tests.encryption.conftest import CLINIC
from tests.encryption.test_fields import stored

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("subject_keys")]

PAGE = Path(__file__).parents[2] / "docs" / "encryption.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def documented(settings):
    """Execute every block as a module of a site, whose models get tables."""
    module = types.ModuleType("documented")
    vars(module).update(
        __file__=str(PAGE),
        models=models,
        admin=admin,
        settings=django_settings,
        STORAGES={**settings.STORAGES},
        MaskedFieldsMixin=MaskedFieldsMixin,
    )
    sys.modules[module.__name__] = module
    apps.set_installed_apps([*django_settings.INSTALLED_APPS, CLINIC, module.__name__])
    with key_users.users.temporarily():
        for block in BLOCKS:
            exec(compile(block, str(PAGE), "exec"), vars(module))
        settings.STORAGES = module.STORAGES
        made = [module.Patient, module.Letter]
        with connection.schema_editor() as editor:
            for model in made:
                editor.create_model(model)
        yield module
        with connection.schema_editor() as editor:
            for model in reversed(made):
                editor.delete_model(model)
    admin.site.unregister(module.Patient)
    apps.all_models["documented"].clear()
    apps.unset_installed_apps()
    del sys.modules[module.__name__]


def test_the_examples_do_what_the_page_says(documented):
    Patient, Letter = documented.Patient, documented.Letter  # noqa: N806
    made = Patient.objects.create(email="Ann@Example.org")

    assert Patient.objects.get(email_index="ann@example.org").note == ""
    with pytest.raises(ValidationError):
        Patient(email="ANN@example.org").full_clean()
    [shown] = admin.site.get_model_admin(Patient).get_list_display(None)
    assert shown(made) == MASK
    assert "Box 7 was written under it." in key_users.reasons("k1")

    name = storages["papers"].save("paper.txt", ContentFile(b"clear words"))
    with storages["papers"].open(name) as paper, storages["default"].open(name) as kept:
        assert paper.read() == b"clear words"
        assert b"clear words" not in kept.read()
    storages["papers"].delete(name)

    ann, bob = (
        get_user_model().objects.create_user(email=f"{name}@example.org") for name in ("ann", "bob")
    )
    letter = Letter.objects.create(owner=ann, text="dear Ann")
    bob.letters.add(letter)
    call_command("encryption_erase_subject", f"accounts.user:{ann.pk}", "--yes", verbosity=0)
    assert Letter.objects.get().text == "dear Ann"
    call_command("encryption_erase_subject", f"accounts.user:{bob.pk}", "--yes", verbosity=0)
    with pytest.raises(SubjectErased):
        _ = Letter.objects.get().text


def test_the_migration_of_the_page_encrypts_a_clear_column(documented):
    before, key = ProjectState(), models.UUIDField(primary_key=True, default=uuid.uuid4)
    first = migrations.Migration("0001_initial", "ward")
    first.operations = [
        migrations.CreateModel("Patient", [("id", key), ("note", models.TextField())])
    ]
    with connection.schema_editor() as editor:
        state = first.apply(before, editor)
    state.apps.get_model("ward.Patient").objects.create(note="clear words")

    migration = documented.Migration("0002_encrypt", "ward")
    with connection.schema_editor(atomic=migration.atomic) as editor:
        state = migration.apply(state, editor)

    Patient = state.apps.get_model("ward.Patient")  # noqa: N806
    row = Patient.objects.get()
    assert row.note == "clear words"
    assert b"clear words" not in stored(Patient, "note", row.pk)
    with connection.schema_editor() as editor:
        editor.delete_model(Patient)
