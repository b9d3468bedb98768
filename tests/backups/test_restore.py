"""Restoring: refusals first, all or nothing, and never more than was asked for."""

import shutil
import threading

import pytest
from django.db import connection
from django.utils import timezone

from backups import manifest, services
from backups.dumpers.connection import connect
from backups.errors import (
    BackupBusy,
    BackupDamaged,
    BackupNotFound,
    DatabaseNotEmpty,
    ProgramFailed,
    RecipientMissing,
    RestoreMismatch,
)
from backups.leases import BACKUP, hold
from backups.models import Backup, Lease, StoredFile
from backups.processes import Program
from backups.restore import postgresql, sqlite
from backups.services import indexing
from garrison import events as garrison_events
from tests.backups.conftest import tree

postgresql_only = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
sqlite_only = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def said():
    kinds = []

    def receive(event, **_):
        kinds.append(str(event.kind))

    garrison_events.security_event.connect(receive, weak=False)
    yield kinds
    garrison_events.security_event.disconnect(receive)


def restore(site, backup, **options):
    plan = services.plan(site.open(backup), safety=options.pop("safety", True))
    confirm = options.pop("confirm", plan.to_confirm)
    return services.restore(plan, confirm=confirm, now=timezone.now(), **options)


def rows(site):
    return site.execute("SELECT * FROM note ORDER BY id")


def test_a_database_with_data_is_replaced_only_when_its_name_is_typed(site, said):
    backup = site.back_up()
    site.execute("INSERT INTO note VALUES (4, 'new')")
    before, files = rows(site), tree(site.media)
    for typed in ("", "yes", "NOTE"):
        with pytest.raises(DatabaseNotEmpty, match="--confirm-database"):
            restore(site, backup, confirm=[typed])
    assert rows(site) == before
    assert tree(site.media) == files
    assert "backups.restore.refused" in said
    assert "backups.restore.started" not in said
    assert not Backup.objects.filter(kind="safety").exists()


def test_what_was_there_before_is_in_the_safety_backup(site, said):
    backup = site.back_up()
    site.execute("INSERT INTO note VALUES (4, 'new')")
    done = restore(site, backup)
    assert len(rows(site)) == 3
    safety = Backup.objects.get(kind="safety")
    assert done.safety_backup == safety.folder
    restore(site, safety, safety=False)
    assert len(rows(site)) == 4
    assert said.count("backups.restore.completed") == 2


def test_without_a_safety_backup_nothing_is_replaced(site):
    backup = site.back_up()
    site.settings.BACKUPS_RECIPIENTS = []
    with pytest.raises(RecipientMissing):
        restore(site, backup)
    assert len(rows(site)) == 3


def test_the_plan_says_everything_and_changes_nothing(site):
    backup = site.back_up()
    before, stored, files = rows(site), tree(site.target), tree(site.media)
    plan = services.plan(site.open(backup))
    text = "\n".join(plan.lines)
    assert "REPLACE ALL DATA" in text
    assert plan.to_confirm[0] in text
    assert "safety backup" in text
    assert "2 files" in text
    assert (rows(site), tree(site.target), tree(site.media)) == (before, stored, files)


def change_manifest(site, backup, change):
    """Sign a manifest that does not fit its dump: what a bug of ours would look like."""
    opened = site.open(backup)
    change(opened.manifest)
    path = site.target / backup.folder / "manifest.age"
    from backups import keys

    sealed = manifest.write(opened.manifest, keys.recipients())
    path.write_bytes(sealed)
    Backup.objects.filter(pk=backup.pk).update(manifest_sha256=manifest.sha256(sealed))


@pytest.mark.parametrize("missing", ["row", "content"])
def test_a_dump_that_lacks_rows_is_rolled_back_before_the_commit(site, missing):
    backup = site.back_up()

    def expect_more(described):
        table = next(t for t in described.databases["database"].tables if "note" in t.name)
        more = table.rows + 1 if missing == "row" else table.rows
        described.databases["database"].tables.remove(table)
        described.databases["database"].tables.append(manifest.Table(table.name, more, "12345"))

    change_manifest(site, backup, expect_more)
    site.execute("INSERT INTO note VALUES (4, 'new')")
    with pytest.raises(RestoreMismatch, match="note"):
        restore(site, backup)
    assert len(rows(site)) == 4, "everything is as before"
    assert set(tree(site.media)) == {"one.txt", "deep/er/two.bin"}


@postgresql_only
def test_a_sequence_that_lags_is_rolled_back(rich):
    backup = rich.back_up()
    change_manifest(
        rich,
        backup,
        lambda described: described.databases["database"].sequences.append(
            manifest.SequenceState("public.never_used", 5_000_000, is_called=True)
        ),
    )
    with pytest.raises(RestoreMismatch, match="never_used"):
        restore(rich, backup)


@postgresql_only
def test_whoever_holds_a_lock_too_long_makes_the_restore_fail_not_hang(site, monkeypatch):
    monkeypatch.setattr(postgresql, "LOCK_WAIT", "1s")
    backup = site.back_up()
    with connect("source") as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM note")
        with pytest.raises(ProgramFailed, match="lock timeout"):
            restore(site, backup)
        other.execute("ROLLBACK")
    assert len(rows(site)) == 3


def test_a_restore_and_a_backup_exclude_each_other(site):
    backup = site.back_up()
    with hold(BACKUP, now=timezone.now()), pytest.raises(BackupBusy):
        restore(site, backup, safety=False)
    assert len(rows(site)) == 3


def test_a_chosen_backup_is_restored_not_the_newest(site):
    first = site.back_up()
    site.execute("INSERT INTO note VALUES (4, 'new')")
    site.back_up()
    assert services.find().folder != first.folder
    assert services.find(folder=first.folder).folder == first.folder
    with pytest.raises(BackupNotFound):
        services.find(folder="20200101T000000000Z-000000000000")
    for hostile in ("../etc", "/", "", "x" * 9999, "a\0b"):
        with pytest.raises((BackupNotFound, BackupDamaged)):
            services.find(folder=hostile or "no")


def test_the_index_is_rebuilt_from_the_targets(site):
    first, second = site.back_up(), site.back_up()
    kept = {
        backup.pk: (backup.folder, backup.snapshot_at, backup.rows, backup.files, backup.parts)
        for backup in Backup.objects.all()
    }
    names = set(StoredFile.objects.values_list("name", "sha256", "digest"))
    Backup.objects.all().delete()
    StoredFile.objects.all().delete()
    shutil.copytree(site.target / first.folder, site.target / "20200101T000000000Z-0123456789ab")
    assert indexing.rebuild(now=timezone.now()) == 2, "a copy under another name is no backup"
    found = {
        backup.pk: (backup.folder, backup.snapshot_at, backup.rows, backup.files, backup.parts)
        for backup in Backup.objects.all()
    }
    assert found == kept
    assert set(StoredFile.objects.values_list("name", "sha256", "digest")) == names
    services.verify(backup_id=second.pk, now=timezone.now())
    before = tree(site.target / "files")
    site.back_up()
    assert tree(site.target / "files") == before, "nothing is sent again"


def test_a_lease_that_came_out_of_a_backup_is_nobody_s(db):
    import uuid

    now = timezone.now()
    Lease.objects.acquire("backup", owner=uuid.uuid4(), seconds=9999, now=now)
    Lease.objects.release_restored()
    assert Lease.objects.acquire("backup", owner=uuid.uuid4(), seconds=9, now=now) == 2


@sqlite_only
def test_a_killed_restore_leaves_nothing_for_the_next_to_trip_over(site):
    backup = site.back_up()
    left = site.root / f"source.sqlite3{sqlite.MARK}dead"
    left.write_bytes(b"half")
    restore(site, backup)
    assert not left.exists()
    assert not list(site.root.glob(f"*{sqlite.MARK}*"))


@sqlite_only
def test_a_reader_of_sqlite_sees_before_or_after_and_nothing_between(site):
    import sqlite3
    from contextlib import closing

    site.script(
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO note SELECT i, hex(randomblob(80)) FROM n;"
    )
    backup = site.back_up(content="database")
    site.execute("DELETE FROM note WHERE id > 1")
    seen, stop = set(), threading.Event()

    def read():
        with closing(sqlite3.connect(site.database, timeout=30)) as session:
            while not stop.is_set():
                seen.add(session.execute("SELECT count(*) FROM note").fetchone()[0])

    reader = threading.Thread(target=read)
    reader.start()
    restore(site, backup, safety=False)
    stop.set()
    reader.join()
    assert seen <= {1, 2994}
    assert len(rows(site)) == 2994
    connection.close()


@pytest.mark.parametrize(("left_out", "kept"), [(postgresql.NEW_IN_17, 2), (b"", 3)])
def test_what_an_older_server_does_not_know_is_left_out_of_the_head_alone(left_out, kept):
    """pg_restore 17 and newer set ``transaction_timeout``; a row may hold the same line."""
    line = "SET transaction_timeout = 0;\n"
    script = f"SET lock_timeout = 0;\n{line}COPY note FROM stdin;\n{line}{line}\\.\n\nCOMMIT;\n"
    with Program(["printf", "%s", script], environment={}) as reader:
        passed = postgresql._pass_on(reader, reader, left_out).decode()
    assert passed.count(line) == kept
    assert passed.replace(line, "") == script.replace(line, "")


def test_a_backup_of_an_earlier_release_is_restored_and_migrate_comes_next(site, said):
    """The tables that it brings lack a column of this release; the index is rebuilt later."""
    backup = site.back_up()
    plan = services.plan(site.open(backup), safety=False)
    rename = "ALTER TABLE backups_backup RENAME COLUMN {} TO {}"
    with connection.cursor() as cursor:
        cursor.execute(rename.format("skipped", "unknown"))
        try:
            done = services.restore(plan, confirm=plan.to_confirm, now=timezone.now())
        finally:
            cursor.execute(rename.format("unknown", "skipped"))
    assert done.rows == 3
    assert "backups.0001_initial" in done.unapplied["source"]
    assert "backups.restore.completed" not in said
