"""What the targets hold is not believed from the index alone: lost and damaged files are healed."""

import shutil
from datetime import timedelta

import pytest
from django.utils import timezone

from backups import services
from backups.errors import BackupDamaged, BackupsRefusal, VerificationIndeterminate
from backups.models import Backup, StoredFile
from backups.models.stored_file import IN_USE
from backups.services import indexing
from tests.backups.conftest import engines
from tests.backups.conftest import storages as storages_of

one_engine = pytest.mark.parametrize("engine", engines()[-1:], indirect=True)


def listed(site, backup):
    found = []
    site.open(backup).each_file(found.append)
    return {entry.path: entry for entry in found}


def blob_of(site, backup, path="one.txt"):
    return site.target / listed(site, backup)[path].blob


@one_engine
def test_a_file_that_was_deleted_on_the_target_is_not_counted_on_again(site):
    blob_of(site, site.back_up(content="files")).unlink()
    again = site.back_up(content="files")
    assert blob_of(site, again).exists()
    services.verify(backup_id=again.pk, now=timezone.now())


@one_engine
@pytest.mark.parametrize("identity", [True, False])
def test_a_file_that_verification_found_damaged_is_not_counted_on_again(site, identity):
    first = site.back_up(content="files")
    for path in ("one.txt", "deep/er/two.bin"):
        blob_of(site, first, path).write_bytes(b"damaged")
    where = site.settings.BACKUPS_IDENTITY_FILE
    site.settings.BACKUPS_IDENTITY_FILE = where if identity else ""
    with pytest.raises(BackupDamaged, match="1 more"):
        services.verify(now=timezone.now())
    site.settings.BACKUPS_IDENTITY_FILE = where
    again = site.back_up(content="files")
    services.verify(backup_id=again.pk, now=timezone.now())


@one_engine
@pytest.mark.parametrize("finder", ["intact", "opened", "drill"])
def test_what_was_found_damaged_stays_so_until_it_is_read_and_whole(site, finder):
    """Looking twice, a new backup, a rebuilt index heal nothing."""
    where = site.settings.BACKUPS_IDENTITY_FILE
    backup = site.back_up()
    blob = blob_of(site, backup)
    whole = blob.read_bytes()
    blob.unlink()

    def verify(*, identity):
        site.settings.BACKUPS_IDENTITY_FILE = where if identity else ""
        try:
            services.verify(backup_id=backup.pk, now=timezone.now())
        except BackupsRefusal as refusal:
            code = refusal.code
        else:
            code = ""
        site.settings.BACKUPS_IDENTITY_FILE = where
        backup.refresh_from_db()
        return code, backup.copies.get().state, bool(backup.verified_at), bool(backup.damage)

    damaged = ("backup_damaged", "damaged", False, True)
    if finder == "drill":
        assert services.drill_now(now=timezone.now()).state == "failed"
    else:
        assert verify(identity=finder == "opened") == damaged
    assert verify(identity=False) == damaged
    site.back_up()
    indexing.rebuild(now=timezone.now())
    assert verify(identity=False) == damaged
    blob.write_bytes(whole)
    if finder == "intact":
        assert verify(identity=False) == ("", "good", True, False)
    else:
        undecided = ("backup_verification_indeterminate", "damaged", False, True)
        assert verify(identity=False) == undecided
        assert verify(identity=True) == ("", "good", True, False)
    assert StoredFile.objects.lost_on("backups") == []


@one_engine
def test_a_target_whose_folder_is_not_mounted_proves_nothing(site):
    """Neither damage for a verification, nor that a dead run's folder is gone."""
    backup = site.back_up()
    away = site.target.rename(site.target.with_name("away"))
    for _ in ("no folder", "an empty one"):
        for identity in (site.settings.BACKUPS_IDENTITY_FILE, ""):
            site.settings.BACKUPS_IDENTITY_FILE = identity
            with pytest.raises(VerificationIndeterminate, match="mounted"):
                services.verify(now=timezone.now())
        site.settings.BACKUPS_IDENTITY_FILE = str(site.identity_file)
        assert backup.copies.get().state == "good"
        site.target.mkdir(exist_ok=True)
    site.target.rmdir()
    away.rename(site.target)
    services.verify(now=timezone.now())


@one_engine
def test_a_drill_that_found_a_file_damaged_heals_the_next_backup(site):
    first = site.back_up()
    blob_of(site, first).write_bytes(b"damaged")
    assert services.drill_now(now=timezone.now()).state == "failed"
    site.back_up()
    assert services.drill_now(now=timezone.now()).state == "good"


@one_engine
@pytest.mark.parametrize("kind", ["path", "objects"])
def test_a_lost_or_damaged_file_is_healed_from_the_other_target(site, kind):
    from tests.backups.storages import Objects

    Objects.stores.clear()
    other = {"BACKEND": "tests.backups.storages.Objects", "OPTIONS": {"bucket": "other"}}
    if kind == "path":
        other = storages_of(site.root)["backups"] | {"OPTIONS": {"location": site.root / "other"}}
    site.settings.STORAGES = storages_of(site.root, other=other)
    site.settings.BACKUPS_TARGETS = ["backups", "other"]
    first = site.back_up(content="files")
    entry = listed(site, first)["one.txt"]
    if kind == "path":
        (site.root / "other" / entry.blob).write_bytes(b"damaged")
    else:
        Objects.stores["other"][entry.blob] = b"damaged"
    with pytest.raises(BackupDamaged):
        services.verify(now=timezone.now())
    site.back_up(content="files")
    services.verify(backup_id=first.pk, now=timezone.now())
    assert first.copies.filter(state="good").count() == 2
    assert listed(site, first)["one.txt"].blob == entry.blob


@one_engine
def test_clocks_that_disagree_let_no_file_be_pruned_that_a_backup_needs(site):
    """A backup whose snapshot is older than the first use of a file that it shares."""
    site.back_up(content="files")
    later = timezone.now() + timedelta(minutes=10)
    StoredFile.objects.update(first_used_at=later, last_used_at=later)
    backup = site.back_up(content="files")
    for row in StoredFile.objects.all():
        assert row.first_used_at <= backup.snapshot_at <= row.last_used_at


@one_engine
def test_a_rebuilt_index_counts_no_file_to_a_backup_that_does_without_it(site):
    """An older index believed it in use; meanwhile it has been pruned with all that needed it."""
    first = site.back_up(content="files")
    gone = listed(site, first)["one.txt"].blob
    (site.media / "one.txt").unlink()
    last = site.back_up(content="files")
    Backup.objects.filter(pk=last.pk).delete()
    StoredFile.objects.update(last_used_at=IN_USE)
    (site.target / gone).unlink()
    shutil.rmtree(site.target / first.folder)
    indexing.rebuild(now=timezone.now())
    site.settings.BACKUPS_IDENTITY_FILE = ""
    assert services.verify(backup_id=last.folder, now=timezone.now())["backups"].files == 1
