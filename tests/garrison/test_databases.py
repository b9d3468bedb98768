"""Which databases the apps accept, and where their tables may live."""

import os
import re
import subprocess
import sys

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from config import environment
from garrison import checks, databases
from garrison.errors import ConfigurationError
from tests.architecture.house import APPS, ROOT

REPLICA = "tests.projects.replicated.EverythingFromTheReplica"
PRIMARY = "garrison.databases.PrimaryRouter"
WITH_TABLES = sorted({model._meta.app_label for model in databases.own_models()})


class Apart:
    """Send one app's tables to a database of their own."""

    label = ""

    def db_for_read(self, model, **hints):
        return "elsewhere" if model._meta.app_label == self.label else None

    db_for_write = db_for_read


class NotMigrated(Apart):
    """Write to ``default`` what is migrated elsewhere."""

    db_for_read = db_for_write = lambda *_, **__: "default"

    def allow_migrate(self, db, label, **hints):
        return label != self.label


def labels(refusal):
    return re.search(r": (.+?)[.;] ", refusal.msg)[1].split(", ")


def ids(found):
    return {message.id for message in found}


def test_every_app_with_tables_is_known_to_decide():
    with_models = {
        app
        for app in APPS
        if (ROOT / app / "models.py").exists() or (ROOT / app / "models").is_dir()
    }
    assert set(WITH_TABLES) == with_models


def test_the_project_has_nothing_to_say():
    assert checks.check_engine(None) == checks.check_routers(None) == []
    assert checks.check_database_log(None) == []


@pytest.mark.parametrize("app", WITH_TABLES)
@pytest.mark.parametrize("kind", [Apart, NotMigrated])
def test_an_apps_tables_on_another_alias_are_refused(settings, monkeypatch, app, kind):
    monkeypatch.setattr(Apart, "label", app)
    settings.DATABASE_ROUTERS = [f"{__name__}.{kind.__name__}"]
    (found,) = checks.check_routers(None)
    assert found.id == checks.E010
    assert all(label.startswith(f"{app}.") for label in labels(found))


def test_a_replica_is_refused_for_what_decides_and_accepted_behind_our_router(settings):
    settings.DATABASE_ROUTERS = [REPLICA]
    (refused,) = checks.check_routers(None)
    assert refused.id == checks.E011
    named = labels(refused)
    assert {"sessions_tracking.Session", "accounts.User", "auth.Permission"} <= {*named}
    assert len(named) == len({*named}), "each once"
    settings.DATABASE_ROUTERS = [PRIMARY, REPLICA]
    assert checks.check_routers(None) == []


def test_migrate_and_check_refuse_another_engine(tmp_path):
    for command in ("check", "migrate"):
        ran = subprocess.run(
            [sys.executable, "-m", "django", command],
            cwd=ROOT,
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "tests.projects.on_mariadb",
                "GARRISON_APP": "sessions_tracking",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode != 0
        assert "written for PostgreSQL and SQLite" in ran.stderr
        assert "Applying" not in ran.stdout


@pytest.mark.parametrize("engine", ["mysql", "oracle"])
def test_the_project_refuses_the_address_of_another_engine(engine):
    with pytest.raises(ConfigurationError, match=f"DATABASE_URL names django.*{engine}"):
        environment.require_engine(f"django.db.backends.{engine}")


def test_a_deployment_is_warned_of_values_in_the_log_of_postgresql(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    is_postgresql = connection.vendor == "postgresql"
    assert ids(checks.check_database_log(None)) == ({checks.W012} if is_postgresql else set())


def test_a_check_that_fails_stops_every_command(settings):
    settings.DATABASE_ROUTERS = [REPLICA]
    with pytest.raises(SystemCheckError, match="a replica that lags"):
        call_command("check", databases=[])
    assert django_settings.DATABASE_ROUTERS == [REPLICA]
