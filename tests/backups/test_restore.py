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
    BackupsRefusal,
    DatabaseNotEmpty,
    ProgramFailed,
    RecipientMissing,
    RestoreMismatch,
)
from backups.leases import BACKUP, hold
from backups.models import Backup, Lease, StoredFile
from backups.restore import postgresql, sqlite, staging
from backups.services import indexing
from garrison import events as garrison_events
from tests.backups.conftest import engines, storages, tree
from tests.backups.storages import Objects

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
    name = options.pop("confirm_database", plan.database_name)
    return services.restore(plan, confirm_database=name, now=timezone.now(), **options)


def rows(site):
    return site.execute("SELECT * FROM note ORDER BY id")


def test_a_database_with_data_is_replaced_only_when_its_name_is_typed(site, said):
    backup = site.back_up()
    site.execute("INSERT INTO note VALUES (4, 'new')")
    before, files = rows(site), tree(site.media)
    for typed in ("", "yes", "NOTE"):
        with pytest.raises(DatabaseNotEmpty, match="--confirm-database"):
            restore(site, backup, confirm_database=typed)
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
    assert plan.database_name in text
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
        table = next(t for t in described.database.tables if "note" in t.name)
        more = table.rows + 1 if missing == "row" else table.rows
        described.database.tables.remove(table)
        described.database.tables.append(manifest.Table(table.name, more, "12345"))

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
        lambda described: described.database.sequences.append(
            manifest.Counter("public.never_used", 5_000_000, is_called=True)
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


def test_only_the_files_or_only_the_database(site):
    backup = site.back_up()
    site.execute("INSERT INTO note VALUES (4, 'new')")
    site.write("one.txt", "changed")
    opened = site.open(backup)
    services.restore(services.plan(opened, content="files"), now=timezone.now())
    assert len(rows(site)) == 4
    assert "changed" not in (site.media / "one.txt").read_text()

    site.write("one.txt", "changed")
    plan = services.plan(opened, content="database")
    services.restore(plan, confirm_database=plan.database_name, now=timezone.now())
    assert len(rows(site)) == 3
    assert (site.media / "one.txt").read_text() == "changed"


def test_files_from_before_are_set_aside_not_deleted(site):
    backup = site.back_up()
    site.write("one.txt", "precious")
    site.write("later.txt", "later")
    done = restore(site, backup)
    assert set(tree(site.media)) >= {"one.txt", "deep/er/two.bin"}
    assert not (site.media / "later.txt").exists()
    (aside,) = site.media.glob(".garrison-before-*")
    assert done.kept_files == (str(aside),)
    assert (aside / "one.txt").read_text() == "precious"
    assert (aside / "later.txt").read_text() == "later"


def test_files_that_cannot_change_places_are_moved_back(site, monkeypatch):
    backup = site.back_up(content="files")
    site.write("one.txt", "now")
    before = tree(site.media)
    honest, moves = staging.Staged._move, []

    def fail_third(self, path, to):
        moves.append(path)
        if len(moves) == 3:
            raise OSError("no")
        honest(self, path, to)

    monkeypatch.setattr(staging.Staged, "_move", fail_third)
    with pytest.raises(OSError, match="no"):
        restore(site, backup)
    assert tree(site.media) == before
    assert not list(site.media.glob(".garrison-*"))


def test_files_in_an_object_store_are_replaced_where_they_differ(site):
    bucket = {"BACKEND": "tests.backups.storages.Objects", "OPTIONS": {"bucket": "media"}}
    Objects.stores.clear()
    site.settings.STORAGES = storages(site.root, media=bucket)
    site.settings.BACKUPS_FILE_STORAGES = ["media"]
    store = Objects.stores["media"] = {"a": b"one", "b/c": b"two"}
    backup = site.back_up(content="files")
    Objects.stores["media"] |= {"a": b"changed", "later": b"x"}
    del store["b/c"]
    done = restore(site, backup)
    assert Objects.stores["media"] == {"a": b"one", "b/c": b"two", "later": b"x"}
    assert done.files == 2


def test_files_of_a_storage_that_is_not_here_are_refused_before_anything(site):
    other = storages(site.root)["default"] | {"OPTIONS": {"location": site.root / "other"}}
    site.settings.STORAGES = storages(site.root, other=other)
    site.settings.BACKUPS_FILE_STORAGES = ["default", "other"]
    (site.root / "other").mkdir()
    (site.root / "other" / "x").write_text("x")
    backup = site.back_up()
    site.settings.STORAGES = storages(site.root)
    site.execute("INSERT INTO note VALUES (4, 'new')")
    with pytest.raises(BackupDamaged, match="'other'"):
        restore(site, backup)
    assert len(rows(site)) == 4


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


@postgresql_only
def test_one_table_comes_back_beside_the_live_ones(rich):
    backup = rich.back_up()
    before = rich.execute("SELECT count(*) FROM every_type")
    rich.execute("DELETE FROM every_type WHERE id % 2 = 0")
    count = services.bring_table(
        rich.open(backup), table="every_type", schema="rescue", now=timezone.now()
    )
    assert [(count,)] == before
    assert rich.execute("SELECT count(*) FROM rescue.every_type") == before
    assert rich.execute("SELECT count(*) FROM every_type") != before, (
        "the live table is not touched"
    )
    same = (
        "SELECT count(*) FROM every_type l JOIN rescue.every_type r USING (id)"
        " WHERE l.long IS NOT DISTINCT FROM r.long AND l.raw IS NOT DISTINCT FROM r.raw"
        " AND l.moment IS NOT DISTINCT FROM r.moment AND l.exact IS NOT DISTINCT FROM r.exact"
    )
    assert rich.execute(same) == rich.execute("SELECT count(*) FROM every_type")
    with pytest.raises(BackupsRefusal, match="exists already"):
        services.bring_table(
            rich.open(backup), table="public.every_type", schema="rescue", now=timezone.now()
        )
    odd = '"Odd Schema"."Table ""with"" \'quotes\' ö"'
    assert (
        services.bring_table(rich.open(backup), table=odd, schema="odd_rescue", now=timezone.now())
        == 2
    )
    left = rich.execute("SELECT datname FROM pg_database WHERE datname LIKE 'garrison_drill%'")
    assert [name for (name,) in left if rich.database in name] == []


@sqlite_only
def test_one_table_of_sqlite_comes_back_beside_the_live_ones(rich):
    backup = rich.back_up()
    rich.execute("DELETE FROM every_type")
    count = services.bring_table(
        rich.open(backup), table="every_type", schema="rescue", now=timezone.now()
    )
    assert rich.execute("SELECT count(*) FROM rescue_every_type") == [(count,)] == [(2002,)]
    assert rich.execute("SELECT count(*) FROM every_type") == [(0,)]
    assert not list(rich.root.glob(".garrison_drill*"))


@pytest.mark.parametrize("schema", ["public", "pg_x", "Big", "a b", "", "x;drop", "a" * 64, "ü"])
@pytest.mark.parametrize("engine", engines()[:1], indirect=True)
def test_the_side_schema_must_be_a_plain_name(site, schema):
    backup = site.back_up()
    with pytest.raises(BackupsRefusal, match="side schema"):
        services.bring_table(site.open(backup), table="note", schema=schema, now=timezone.now())


def test_a_table_that_the_backup_does_not_hold_is_named(site):
    backup = site.back_up()
    with pytest.raises(BackupsRefusal, match="no table 'nope'"):
        services.bring_table(site.open(backup), table="nope", schema="x", now=timezone.now())


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
