"""What failed and killed runs leave is collected, and nothing that a whole backup needs."""

import uuid
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from backups import creation, services, tasks
from backups.errors import TargetFailed
from backups.models import Backup, Lease, State, StoredFile
from tests.backups.conftest import engines, storages, tree
from tests.backups.storages import Failing

pytestmark = pytest.mark.parametrize("engine", engines()[:1], indirect=True)


class Killed(BaseException):
    """As good as a signal: nothing of ours catches it."""


def fail(*_):
    raise TargetFailed("the disk is full")


def kill(*_, **__):
    raise Killed


def kill_a_run(site, monkeypatch, owner, name):
    """Kill a run where it calls something, and let its lease expire."""
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(owner, name, kill)
        patched.setattr(creation.Creation, "_clear_away", lambda self: None)
        site.back_up()
    Backup.objects.filter(state=State.FAILED).update(state=State.RUNNING, owner=uuid.uuid4())
    Lease.objects.update(owner=uuid.uuid4(), expires_at=timezone.now() - timedelta(days=1))


def test_what_a_failed_run_sent_is_deleted_after_it(site, monkeypatch, sent):
    site.back_up(content="files")
    before = tree(site.target)
    site.write("huge.bin", bytes(9000))
    monkeypatch.setattr(creation.Creation, "_commit", fail)
    services.request_backup(now=timezone.now())
    tasks.work_off.run()
    assert Backup.objects.filter(state=State.FAILED).count() == 1
    assert tree(site.target) == before
    with pytest.raises(CommandError, match="disk is full"):
        call_command("backup_create")
    assert tree(site.target) == before


def test_a_night_that_is_tried_again_keeps_what_it_has_sent_until_the_last_attempt(
    site, monkeypatch, sent
):
    site.settings.BACKUPS_ATTEMPTS = 2
    monkeypatch.setattr(creation.Creation, "_commit", fail)
    for left in (2, 0):
        services.queue_due(now=timezone.now())
        tasks.work_off.run()
        assert len(tree(site.target)) == left
    services.queue_due(now=timezone.now())
    monkeypatch.undo()
    assert StoredFile.objects.count() == 0


def test_pruning_by_command_frees_the_disk_while_a_night_waits(site, monkeypatch, sent):
    monkeypatch.setattr(creation.Creation, "_commit", fail)
    services.queue_due(now=timezone.now())
    tasks.work_off.run()
    assert len(tree(site.target)) == 2
    call_command("backup_prune")
    assert tree(site.target) == {}


def test_what_a_killed_run_stored_is_collected_whether_it_was_recorded_or_not(
    site, monkeypatch, capsys
):
    """Also between the rename and the INSERT: such a file has no row."""
    whole = site.back_up()
    before = tree(site.target)
    site.write("new.txt", "new")
    kill_a_run(site, monkeypatch, creation.Creation, "_commit")
    assert StoredFile.objects.count() == 3
    StoredFile.objects.order_by("pk").last().delete()
    assert len(set(tree(site.target)) - set(before)) > 1
    (site.target / "files/aa").mkdir(exist_ok=True)
    (site.target / "files/aa/not-ours.txt").write_text("stays")
    call_command("backup_prune")
    assert "1 files that no run had recorded" in capsys.readouterr().out
    assert tree(site.target) == before | {"files/aa/not-ours.txt": b"stays"}
    services.verify(backup_id=whole.pk, now=timezone.now())


def test_nothing_is_collected_where_the_index_is_older_than_the_target(site):
    """It was restored and not rebuilt: what it does not know may be all there is."""
    whole = site.back_up()
    before = tree(site.target)
    Backup.objects.filter(pk=whole.pk).delete()
    StoredFile.objects.all().delete()
    done = services.prune(now=timezone.now())
    assert (done.orphans, len(done.failures)) == (0, 1)
    assert "--rebuild" in done.failures[0]
    assert tree(site.target) == before
    call_command("backup_list", "--rebuild")
    assert services.prune(now=timezone.now()).failures == []
    assert tree(site.target) == before


def test_a_run_that_was_killed_behind_its_manifest_is_good(site, monkeypatch):
    kill_a_run(site, monkeypatch, creation.Creation, "_record")
    left = tree(site.target)
    (dead,) = Backup.objects.all()
    assert dead.state == State.RUNNING
    services.prune(now=timezone.now())
    dead.refresh_from_db()
    assert (dead.state, dead.copies.get().state, dead.failure) == (State.GOOD, "good", "")
    assert tree(site.target) == left
    assert services.verify(now=timezone.now())["backups"].files == 2


def test_a_folder_without_a_manifest_is_no_whole_backup_for_an_older_index(site):
    """A pruning was killed, whose manifest goes first, or somebody took it; nothing else goes."""
    half, whole = site.back_up(), site.back_up()
    (site.target / half.folder / "manifest.age").unlink()
    before = tree(site.target)
    call_command("backup_list", "--rebuild")
    assert half.copies.get().state == "damaged"
    assert whole.copies.get().state == "good"
    services.prune(now=timezone.now())
    assert tree(site.target) == before
    assert services.verify(backup_id=whole.pk, now=timezone.now())["backups"].files == 2


def test_one_target_of_two_that_failed_is_an_exit_code_of_its_own(site, capsys):
    bucket = {"BACKEND": "tests.backups.storages.Failing", "OPTIONS": {"bucket": "incomplete"}}
    site.settings.STORAGES = storages(site.root, bucket=bucket)
    site.settings.BACKUPS_TARGETS = ["backups", "bucket"]
    Failing.every = 1
    try:
        with pytest.raises(CommandError, match=r"INCOMPLETE.*bucket: .*went away") as told:
            call_command("backup_create")
        assert told.value.returncode == 3
        site.settings.BACKUPS_TARGETS = ["bucket"]
        with pytest.raises(CommandError) as refused:
            call_command("backup_create")
        assert refused.value.returncode == 1
    finally:
        Failing.every = 0
    assert "bucket: failed" in capsys.readouterr().out
