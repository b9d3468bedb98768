"""A drill proves a backup, or says loudly what is wrong with it, and always cleans up."""

import pytest
from django.utils import timezone

from backups import keys, manifest, scratch, services
from backups.dumpers.connection import connect
from backups.errors import BackupBusy, BackupNotFound, IdentityMissing
from backups.leases import DRILL, hold
from backups.models import Backup, Drill, State
from garrison import drills as registry
from garrison import events as garrison_events
from tests.backups.conftest import engines


@pytest.fixture
def said():
    kinds = []

    def receive(event, **_):
        kinds.append((str(event.kind), dict(event.data)))

    garrison_events.security_event.connect(receive, weak=False)
    yield kinds
    garrison_events.security_event.disconnect(receive)


def leftovers(site):
    """Name what a drill should have dropped."""
    if site.engine == "sqlite":
        return sorted(path.name for path in site.root.glob(".garrison_drill*"))
    mark = scratch.mark("source")
    with connect("default") as session:
        found = session.execute("SELECT datname FROM pg_database").fetchall()
    return [name for (name,) in found if name.startswith(f"{scratch.PREFIX}_{mark}")]


def drill(site, **options):
    return services.drill_now(now=timezone.now(), **options)


def findings(done):
    return {each["name"]: each["is_whole"] for each in done.findings}


def test_a_whole_backup_passes_and_its_times_are_kept(rich, said):
    backup = rich.back_up()
    done = drill(rich)
    assert done.state == State.GOOD
    assert findings(done) == {"database": True, "migrations": True, "files": True}
    assert 0 < done.rto_seconds < 120
    assert 0 <= done.rpo_seconds < 120
    assert leftovers(rich) == []
    backup.refresh_from_db()
    assert backup.drilled_at
    assert backup.opened_at
    kind, data = said[-1]
    assert kind == "backups.drill.passed"
    assert data["checks"] == findings(done)


def test_an_app_checks_its_own_data_in_the_restored_copy(site):
    site.back_up()
    site.execute("DELETE FROM note")
    (site.media / "one.txt").unlink()

    @registry.register("notes")
    def notes(restored):
        from django.db import connections

        with connections[restored.using].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM note")
            (count,) = cursor.fetchone()
        with restored.files.open("one.txt") as file:
            text = file.read().decode()
        assert restored.files.listdir("deep/er") == ([], ["two.bin"])
        assert restored.files.size("one.txt") == len(text)
        assert not restored.files.exists("nope")
        return registry.DrillResult(count == 3 and "file" in text, count, "All notes are there.")

    done = drill(site)
    assert findings(done)["notes"] is True
    assert done.findings[-1]["looked_at"] == 3
    assert done.state == State.GOOD


def test_an_app_that_is_not_there_is_absent_and_never_green(site):
    site.back_up()
    assert set(findings(drill(site))) == {"database", "migrations", "files"}


@pytest.mark.parametrize(
    "check",
    [
        lambda _restored: registry.DrillResult(False, 7, "The chain is broken at row 5."),
        lambda _restored: 1 / 0,
    ],
    ids=["says so", "raises"],
)
def test_a_check_that_finds_something_fails_the_drill_and_the_others_still_run(site, said, check):
    site.back_up()
    registry.register("broken")(check)
    registry.register("fine")(lambda _restored: registry.DrillResult(True, 1, "Fine."))
    done = drill(site)
    assert done.state == State.FAILED
    assert findings(done)["broken"] is False
    assert findings(done)["fine"] is True
    assert "broken" in done.failure
    assert said[-1][0] == "backups.drill.failed"
    assert leftovers(site) == []
    assert Backup.objects.get().drilled_at is None


def resign(site, backup, change):
    opened = site.open(backup)
    change(opened.manifest)
    sealed = manifest.write(opened.manifest, keys.recipients())
    (site.target / backup.folder / "manifest.age").write_bytes(sealed)
    Backup.objects.filter(pk=backup.pk).update(manifest_sha256=manifest.sha256(sealed))


def test_missing_rows_fail_the_drill(site, said):
    backup = site.back_up()

    def expect_more(described):
        tables = described.databases["database"].tables
        tables[:] = [manifest.Table(t.name, t.rows + 1, t.checksum) for t in tables]

    resign(site, backup, expect_more)
    done = drill(site)
    assert (done.state, findings(done)) == (State.FAILED, {"database": False})
    assert "note" in done.failure
    assert said[-1][0] == "backups.drill.failed"
    assert leftovers(site) == []


def test_changed_content_fails_the_drill(site):
    backup = site.back_up()

    def expect_other(described):
        tables = described.databases["database"].tables
        tables[:] = [manifest.Table(t.name, t.rows, "42") for t in tables]

    resign(site, backup, expect_other)
    assert findings(drill(site)) == {"database": False}


@pytest.mark.postgresql
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_changed_large_object_fails_the_drill(rich):
    from dataclasses import replace

    backup = rich.back_up()
    described = rich.open(backup).manifest
    assert described.databases["database"].large_objects.rows == 2
    other = manifest.Table("large objects", 2, "0" * 64)
    changed = replace(
        described,
        databases={"database": replace(described.databases["database"], large_objects=other)},
    )
    sealed = manifest.write(changed, keys.recipients())
    (rich.target / backup.folder / "manifest.age").write_bytes(sealed)
    Backup.objects.filter(pk=backup.pk).update(manifest_sha256=manifest.sha256(sealed))
    done = drill(rich)
    assert done.state == State.FAILED
    assert "large objects" in done.failure


def test_other_migrations_fail_the_drill(site):
    backup = site.back_up()
    resign(
        site, backup, lambda d: d.databases["database"].migrations.append(["app", "0001_initial"])
    )
    done = drill(site)
    assert findings(done)["migrations"] is False
    assert done.state == State.FAILED


@pytest.mark.parametrize("fault", ["lost", "damaged"])
def test_a_lost_or_damaged_file_fails_the_drill(site, fault):
    site.back_up()
    path = next((site.target / "files").rglob("*.age"))
    path.unlink() if fault == "lost" else path.write_bytes(path.read_bytes()[:-1])
    done = drill(site)
    assert (done.state, findings(done)["files"]) == (State.FAILED, False)
    assert leftovers(site) == []


@pytest.mark.parametrize("fault", ["lost", "damaged"])
def test_a_lost_or_damaged_dump_fails_the_drill(site, fault):
    site.back_up()
    (path,) = site.target.glob("*/database*")
    path.unlink() if fault == "lost" else path.write_bytes(path.read_bytes()[:-1])
    done = drill(site)
    assert (done.state, findings(done)) == (State.FAILED, {"database": False})
    assert leftovers(site) == []


def test_the_wrong_key_fails_the_drill(site, said):
    site.back_up()
    site.identity_file.write_text(keys.generate()[0])
    with pytest.raises(Exception, match="identit"):
        drill(site)
    row = Drill.objects.get()
    assert row.state == State.FAILED
    assert "identit" in row.failure
    assert said[-1][0] == "backups.drill.failed"
    assert leftovers(site) == []


def test_without_an_identity_no_drill_is_begun(site):
    site.back_up()
    site.settings.BACKUPS_IDENTITY_FILE = ""
    with pytest.raises(IdentityMissing):
        drill(site)
    assert services.queue_due_drill(now=timezone.now()) is None
    assert Drill.objects.count() == 0


def test_what_a_killed_drill_has_left_is_dropped_by_the_next(site):
    site.back_up()
    name = scratch.name_for("source", "0123456789abcdef" * 2)
    other = f"{scratch.PREFIX}_0badc0de_0123456789ab"
    if site.engine == "sqlite":
        for each in (name, other):
            (site.root / f".{each}.sqlite3").write_bytes(b"left")
        drill(site)
        assert leftovers(site) == [f".{other}.sqlite3"], "another site's is not ours to drop"
        return
    with connect("default") as session:
        session.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    assert leftovers(site) == [name]
    drill(site)
    assert leftovers(site) == []


def test_two_drills_exclude_each_other(site):
    site.back_up()
    with hold(DRILL, now=timezone.now()), pytest.raises(BackupBusy):
        drill(site)


def test_there_must_be_something_to_drill(site):
    with pytest.raises(BackupNotFound):
        drill(site)
    assert Drill.objects.get().state == State.FAILED


@pytest.mark.parametrize("engine", engines()[:1], indirect=True)
def test_each_target_is_drilled_in_its_turn(site):
    from tests.backups.conftest import storages

    other = storages(site.root)["backups"] | {"OPTIONS": {"location": site.root / "other"}}
    site.settings.STORAGES = storages(site.root, other=other)
    site.settings.BACKUPS_TARGETS = ["backups", "other"]
    site.back_up()
    assert [drill(site).target for _ in range(4)] == ["backups", "other"] * 2
    site.settings.BACKUPS_TARGETS = ["other"]
    assert [drill(site).target for _ in range(2)] == ["other"] * 2, "not one that was given up"


def test_the_weekly_drill_is_queued_once(site):
    site.back_up()
    queued = services.queue_due_drill(now=timezone.now())
    assert queued.slot.weekday() == 6
    assert services.queue_due_drill(now=timezone.now()) is None
    assert services.run_drill(drill_id=queued.pk, now=timezone.now()).state == State.GOOD


@pytest.mark.parametrize("engine", engines()[:1], indirect=True)
def test_nothing_can_be_written_through_a_drill(site):
    from django.core.files.base import ContentFile

    from backups.drill_files import BackupFiles

    files = BackupFiles(site.open(site.back_up()))
    for attempt in (
        lambda: files.save("x", ContentFile(b"x")),
        lambda: files.delete("one.txt"),
        lambda: files.open("one.txt", "wb"),
    ):
        with pytest.raises(NotImplementedError):
            attempt()
    with pytest.raises(FileNotFoundError):
        files.open("nope")
    assert files.damaged() == []
