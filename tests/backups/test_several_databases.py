"""Several databases in one run: of both engines, in one folder, each proven and put back."""

import json
import secrets
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from backups import checks, databases, manifest, services, verification
from backups.dumpers.connection import connect
from backups.errors import (
    BackupDamaged,
    BackupNotFound,
    EngineUnsupported,
    ProgramFailed,
    RestoreIncomplete,
)
from backups.models import Backup
from tests.backups.conftest import recreate, tree

NAMES = [f"database{dot}" for dot in ("", ".archive", ".reports")]


class Other:
    """A database more, which one test reads and writes outside of Django."""

    def __init__(self, alias, path=None):
        self.alias, self.path = alias, path
        fields = connections["default"].settings_dict | {"CONN_MAX_AGE": 0}
        if path:
            fields |= {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}, "NAME": str(path)}
        else:
            fields["NAME"] = f"bak_test_{secrets.token_hex(6)}"
            recreate(fields["NAME"])
        connections.databases[alias] = fields
        self.name = path.name if path else fields["NAME"]
        self.run("CREATE TABLE fact (id integer PRIMARY KEY, said text)")
        self.run(f"INSERT INTO fact VALUES (1, '{alias}'), (2, 'ß')")

    def run(self, statement):
        if self.path:
            with closing(sqlite3.connect(self.path)) as session, session:
                return session.execute(statement).fetchall()
        with connect(self.alias) as session:
            found = session.execute(statement)
            return found.fetchall() if found.description else []

    def facts(self):
        return self.run("SELECT id, said FROM fact ORDER BY id")

    def close(self):
        connections[self.alias].close()
        del connections[self.alias]
        del connections.databases[self.alias]
        if not self.path:
            with connect("default", database="postgres") as session:
                session.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


@pytest.fixture
def others(site, tmp_path):
    """One more of the engine under test, and one of SQLite, whatever that is."""
    path = tmp_path / "reports.sqlite3" if site.engine == "sqlite" else None
    made = [Other("reports", path), Other("archive", tmp_path / "archive.sqlite3")]
    site.settings.BACKUPS_DATABASES = ["source", "reports", "archive"]
    yield made
    for each in made:
        each.close()


def state(site, others):
    return site.execute("SELECT * FROM note ORDER BY id"), [each.facts() for each in others]


def restore(opened, **options):
    plan = services.plan(opened, **options)
    return services.restore(plan, confirm=plan.to_confirm, now=timezone.now())


def test_every_database_is_backed_up_verified_drilled_and_listed(site, others, capsys):
    backup = site.back_up()
    described = site.open(backup).manifest
    assert list(described.databases) == NAMES
    assert [each.alias for each in described.databases.values()] == ["source", "archive", "reports"]
    assert (described.rows, backup.rows) == (7, 7)
    assert sorted(part["what"] for part in backup.parts) == [*NAMES, "files"]
    for part in NAMES:
        assert list(site.target.glob(f"{backup.folder}/{part}.*.gz.age"))
    assert verification.verify_opened(site.open(backup)).parts == 4
    drilled = services.drill_now(now=timezone.now())
    assert drilled.state == "good", drilled.findings
    migrations = {each.replace("database", "migrations") for each in NAMES}
    assert {each["name"] for each in drilled.findings} == {*NAMES, *migrations, "files"}
    call_command("backup_list")
    assert "  all+reports+archive  " in capsys.readouterr().out
    call_command("backup_list", backup.folder, "--json")
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert {name.rpartition(".")[2].rpartition(":")[2] for name in tables} == {"note", "fact"}
    assert [name.partition(":")[0] for name in tables if ":" in name] == ["archive", "reports"]


def test_all_of_them_are_restored_by_one_command_and_the_safety_backup_has_all(
    site, others, capsys
):
    before = state(site, others)
    backup = site.back_up()
    site.execute("DELETE FROM note")
    for each in others:
        each.run("INSERT INTO fact VALUES (3, 'later')")
    later = state(site, others)
    call_command("backup_restore", backup.folder)
    told = capsys.readouterr().out
    assert "a transaction of its own" in told
    confirmed = [
        f"--confirm-database={name}" for name in services.plan(site.open(backup)).to_confirm
    ]
    assert len(confirmed) == 3
    with pytest.raises(CommandError, match="holds data"):
        call_command("backup_restore", backup.folder, "--yes", confirmed[0])
    assert state(site, others) == later
    call_command("backup_restore", backup.folder, "--yes", *confirmed)
    assert "Restored 7 rows" in capsys.readouterr().out
    assert state(site, others) == before
    safety = Backup.objects.get(kind="safety")
    restore(site.open(safety))
    assert state(site, others) == later


def test_one_of_them_is_restored_alone(site, others):
    backup = site.back_up()
    site.execute("DELETE FROM note")
    for each in others:
        each.run("DELETE FROM fact")
    site.write("one.txt", "later")
    files, (_, archive) = tree(site.media), others
    plan = services.plan(site.open(backup), database="archive")
    assert plan.to_confirm == ["archive.sqlite3"]
    assert any("Leave as it is" in line and "source, reports" in line for line in plan.lines)
    assert restore(site.open(backup), database="archive").rows == 2
    assert state(site, others) == ([], [[], [(1, "archive"), (2, "ß")]])
    assert tree(site.media) == files
    assert archive.facts()
    with pytest.raises(BackupNotFound, match="nowhere"):
        services.plan(site.open(backup), database="nowhere")


def test_one_table_of_another_database_comes_back(site, others):
    backup = site.back_up()
    for each in others:
        each.run("DELETE FROM fact")
        count = services.bring_table(
            site.open(backup), table="fact", schema="rescue", database=each.alias,
            now=timezone.now(),
        )  # fmt: skip
        side = "rescue_fact" if each.path else "rescue.fact"
        assert each.run(f"SELECT count(*) FROM {side}") == [(count,)] == [(2,)]
        assert each.facts() == []


@pytest.mark.parametrize("gone", ["reports", "archive"])
def test_a_database_out_of_reach_fails_the_run_and_nothing_of_it_stays(site, others, gone):
    good = site.back_up()
    kept = connections.databases[gone]
    connections.databases[gone] = kept | {"NAME": f"{kept['NAME']}-nowhere"}
    connections[gone].settings_dict = connections.databases[gone]
    with pytest.raises((ProgramFailed, EngineUnsupported), match=r"nowhere|'reports' cannot be"):
        site.back_up()
    assert Backup.objects.get(state="failed").failure
    assert [path.name for path in site.target.glob("2*")] == [good.folder]
    connections.databases[gone] = connections[gone].settings_dict = kept
    assert site.back_up().state == "good"


def test_a_failure_after_the_first_names_what_is_restored(site, others):
    """What a dump brings is compared before its commit; those committed before it stand."""
    reports, archive = others
    backup = site.back_up()
    before = state(site, others)
    archive.run("DELETE FROM fact")
    opened = site.open(backup)
    tables = opened.manifest.databases["database.reports"].tables
    tables[:] = [manifest.Table(each.name, 99, each.checksum) for each in tables]
    with pytest.raises(RestoreIncomplete, match=r"'reports'.*Restored before it: archive\."):
        restore(opened)
    assert state(site, others) == before
    assert reports.facts()


def test_a_damaged_dump_of_one_is_found_before_any_is_touched(site, others):
    backup = site.back_up()
    (path,) = site.target.glob("*/database.archive.*")
    path.write_bytes(path.read_bytes()[:-1])
    for each in others:
        each.run("DELETE FROM fact")
    before = state(site, others)
    with pytest.raises(BackupDamaged):
        restore(site.open(backup))
    assert state(site, others) == before
    drilled = services.drill_now(now=timezone.now())
    broken = [each["name"] for each in drilled.findings if not each["is_whole"]]
    assert broken == ["database.archive"]
    with pytest.raises(BackupDamaged):
        services.verify(now=timezone.now())


def test_a_backup_of_one_database_is_restored_where_there_are_several(site, others):
    """Also one of version 2, which knew of no alias: it goes into the main one."""
    site.settings.BACKUPS_DATABASES = ["source"]
    backup = site.back_up()
    opened = site.open(backup)
    old = replace(opened.manifest.databases["database"], alias="")
    opened.manifest.databases["database"] = old
    body = json.loads(opened.manifest.body()) | {"version": 2}
    body["database"] = body.pop("databases")["database"]
    del body["database"]["alias"]
    read = manifest._build(json.loads(json.dumps(body)))
    assert read == opened.manifest
    site.settings.BACKUPS_DATABASES = ["source", "reports", "archive"]
    before = state(site, others)
    site.execute("DELETE FROM note")
    restore(replace(opened, manifest=read))
    assert state(site, others) == before


def test_a_database_that_is_not_named_here_is_refused_and_the_others_come_alone(site, others):
    backup = site.back_up()
    site.settings.BACKUPS_DATABASES = ["source", "archive"]
    with pytest.raises(BackupDamaged, match="'reports', which BACKUPS_DATABASES does not name"):
        services.plan(site.open(backup))
    assert restore(site.open(backup), database="archive").rows == 2


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ([], "names no database"),
        (["source", "nowhere"], "'nowhere', which is not in DATABASES"),
        (["source", "source"], "twice, as 'source' and as 'source'"),
        (["source", "same"], "twice, as 'source' and as 'same'"),
        (["source", "mirror"], "'source' and its mirror 'mirror'"),
        (["source", "odd/alias"], "cannot be part of a file's name"),
    ],
)
def test_a_list_that_cannot_be_right_is_an_error_of_the_check_and_of_the_run(site, named, why):
    known = connections.databases
    test = known["source"]["TEST"] | {"MIRROR": "source"}
    known["same"] = dict(known["source"])
    known["mirror"] = known["source"] | {"TEST": test, "NAME": f"{known['source']['NAME']}2"}
    known["odd/alias"] = known["source"] | {"NAME": f"{known['source']['NAME']}3"}
    site.settings.BACKUPS_DATABASES = named
    try:
        (found,) = checks.check_databases(None)
        with pytest.raises(EngineUnsupported, match=why):
            site.back_up()
    finally:
        for alias in ("same", "mirror", "odd/alias"):
            del known[alias]
    assert (found.id, why in found.msg) == ("backups.E012", True)
    assert list(databases.problems())
