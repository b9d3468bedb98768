"""The whole project's own database: every app's tables, and every app's own drill."""

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.utils import timezone

from backups import events, services
from backups.dumpers import dumper
from garrison import drills as registry
from garrison.events import emit

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.parametrize("engine", ["postgresql"], indirect=True),
]


BROUGHT_BY_APPS = dict(registry.DRILLS.items())


def test_every_app_finds_its_data_whole_in_the_restored_copy(site):
    for name, drill in BROUGHT_BY_APPS.items():
        registry.register(name)(drill)
    site.settings.BACKUPS_DATABASES = ["default"]
    user_model = get_user_model()
    for number in range(20):
        name = {user_model.USERNAME_FIELD: f"person-{number}@example.org"}
        user = user_model(**name)
        user.set_unusable_password()
        user.save()
        emit(events.KEY_GENERATED, actor=user, target=f"user:{user.pk}", data={"n": number})
    site.back_up()

    done = services.drill_now(now=timezone.now())

    found = {each["name"]: each["is_whole"] for each in done.findings}
    assert set(found) == {"database", "migrations", "files", *BROUGHT_BY_APPS}
    assert all(found.values()), done.findings
    assert done.state == "good"


def test_the_backup_holds_every_table_of_every_app(site):
    site.settings.BACKUPS_DATABASES = ["default"]
    with dumper("default") as dump:
        held = {table.name.partition(".")[2] for table in dump.describe().tables}
    models = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    managed = {m._meta.db_table for m in apps.get_models() if not m._meta.managed or m._meta.proxy}
    assert models - managed <= held
