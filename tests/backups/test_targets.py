"""Several targets, each with its state; storages that fail, rename, lock or have no paths."""

import errno
import itertools
import os
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.utils import timezone

from backups import services, targets
from backups.errors import BackupDamaged, TargetFailed
from backups.models import Backup, StoredFile
from backups.models.backup import CopyState
from backups.targets import writers
from tests.backups.conftest import engines, storages, tree
from tests.backups.storages import Failing, Objects

HERE = "tests.backups.storages"


@pytest.fixture(autouse=True)
def _empty_stores():
    Objects.stores.clear()
    Failing.every = Failing.writes = 0
    Failing.leaves_half = False


def use(site, *aliases, **backends):
    more = {
        alias: {"BACKEND": f"{HERE}.{backend}", "OPTIONS": {"bucket": alias}}
        for alias, backend in backends.items()
    }
    site.settings.STORAGES = storages(site.root, **more)
    site.settings.BACKUPS_TARGETS = list(aliases)


def states(backup):
    return dict(backup.copies.values_list("target", "state"))


def test_a_backup_goes_to_every_target_and_is_the_same_there(site):
    use(site, "backups", "bucket", bucket="Objects")
    backup = site.back_up()
    assert states(backup) == {"backups": CopyState.GOOD, "bucket": CopyState.GOOD}
    assert tree(site.target) == dict(sorted(Objects.stores["bucket"].items()))
    assert set(services.verify(now=timezone.now())) == {"backups", "bucket"}


def test_one_target_that_fails_is_told_and_the_other_holds_the_backup(site):
    use(site, "backups", "bucket", bucket="Failing")
    Failing.every = 2
    backup = site.back_up()
    assert states(backup) == {"backups": CopyState.GOOD, "bucket": CopyState.FAILED}
    assert "the store went away" in backup.copies.get(target="bucket").failure
    assert not [name for name in Objects.stores["bucket"] if "manifest" in name]
    services.verify(now=timezone.now())


def test_a_target_that_comes_back_gets_the_files_it_lacks(site):
    use(site, "backups", "bucket", bucket="Failing")
    Failing.every = 1
    site.back_up()
    assert {tuple(row.targets) for row in StoredFile.objects.all()} == {("backups",)}
    Failing.every = 0
    backup = site.back_up()
    assert states(backup) == {"backups": CopyState.GOOD, "bucket": CopyState.GOOD}
    assert {tuple(sorted(row.targets)) for row in StoredFile.objects.all()} == {
        ("backups", "bucket")
    }
    assert len(list((site.target / "files").rglob("*.age"))) == 2, "copied, not encrypted again"
    assert services.verify(now=timezone.now(), target="bucket")["bucket"].files == 2


@pytest.mark.parametrize("engine", engines()[:1], indirect=True)
@pytest.mark.parametrize("leaves_half", [False, True])
@pytest.mark.parametrize("every", [1, 2, 3, 4, 5, 6, 7, 9, 11])
def test_a_storage_that_fails_at_every_nth_write_never_holds_half_a_good_backup(
    site, every, leaves_half
):
    use(site, "bucket", bucket="Failing")
    first = site.back_up()
    older = dict(Objects.stores["bucket"])
    Failing.every, Failing.leaves_half, Failing.writes = every, leaves_half, 0
    for number in range(4):
        site.write(f"new-{number}.txt", f"new {number}")
        try:
            site.back_up()
        except TargetFailed:
            failed = Backup.objects.order_by("-queued_at").first()
            assert failed.state == "failed"
            assert "the store went away" in failed.failure
    Failing.every = 0
    store = Objects.stores["bucket"]
    assert {name: store[name] for name in older} == older
    for backup in Backup.objects.good():
        services.verify(backup_id=backup.pk, now=timezone.now())
    last = site.back_up()
    services.verify(backup_id=last.pk, now=timezone.now())
    assert first.pk != last.pk
    manifests = {name.partition("/")[0] for name in store if "manifest" in name}
    assert manifests == set(Backup.objects.good().values_list("folder", flat=True))


@pytest.mark.parametrize("engine", engines()[:1], indirect=True)
@pytest.mark.parametrize("what", ["write", "fsync", "close", "rename"])
@pytest.mark.parametrize("every", [1, 2, 3, 5, 7])
def test_a_disk_that_fails_at_every_nth_step_never_holds_half_a_good_backup(
    site, monkeypatch, what, every
):
    """Also where the disk tells of a lost write only when it is asked to keep it, or to close."""
    first = site.back_up()
    older = tree(site.target)
    calls = itertools.count(1)

    def failing(honest):
        def fail(*arguments, **options):
            fails = next(calls) % every == 0
            if fails and what != "close":  # a file is closed, whatever is said of it
                raise OSError(errno.EIO, "Input/output error")
            result = honest(*arguments, **options)
            if fails:
                raise OSError(errno.EIO, "Input/output error")
            return result

        return fail

    with monkeypatch.context() as broken:
        if what == "rename":
            broken.setattr(Path, "replace", failing(Path.replace))
        else:
            # Only what the target does: the programs have pipes of their own.
            disk = SimpleNamespace(**{name: getattr(os, name) for name in dir(os)})
            setattr(disk, what, failing(getattr(os, what)))
            broken.setattr(writers, "os", disk)
        for number in range(3):
            site.write(f"new-{number}.txt", f"new {number}")
            with suppress(TargetFailed):
                site.back_up()
    assert {name: content for name, content in tree(site.target).items() if name in older} == older
    last = site.back_up()
    for backup in Backup.objects.good():
        services.verify(backup_id=backup.pk, now=timezone.now())
    assert Backup.objects.good().filter(pk__in=[first.pk, last.pk]).count() == 2
    assert not list(site.target.rglob("*.partial"))
    assert open_files_below(site.target) == []


def open_files_below(folder):
    links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [to for link in links if (to := os.path.realpath(link)).startswith(str(folder))]


def test_a_storage_that_renames_is_refused_and_swept(site):
    use(site, "bucket", bucket="Renaming")
    with pytest.raises(TargetFailed, match="another name"):
        site.back_up()
    assert Objects.stores["bucket"] == {}


def test_a_restore_takes_the_copy_that_is_whole(site):
    use(site, "backups", "bucket", bucket="Objects")
    site.back_up()
    (manifest,) = site.target.rglob("manifest.age")
    manifest.write_bytes(b"nonsense")
    assert services.find().target.alias == "bucket"
    with pytest.raises(BackupDamaged):
        services.verify(now=timezone.now())
    assert states(Backup.objects.get()) == {"backups": CopyState.DAMAGED, "bucket": CopyState.GOOD}


def test_a_folder_keeps_sites_apart_on_one_target(site):
    site.settings.BACKUPS_FOLDER = "site-one"
    site.back_up()
    site.settings.BACKUPS_FOLDER = "site-two"
    StoredFile.objects.all().delete()
    site.back_up()
    assert {name.partition("/")[0] for name in tree(site.target)} == {"site-one", "site-two"}


def test_files_are_for_their_owner_only(site):
    site.back_up()
    for path in site.target.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_target_that_is_not_in_storages_is_named(site):
    site.settings.BACKUPS_TARGETS = ["nowhere"]
    with pytest.raises(TargetFailed, match="'nowhere'"):
        site.back_up()


def test_a_writer_that_is_aborted_leaves_nothing(tmp_path, settings):
    settings.STORAGES = storages(
        tmp_path, bucket={"BACKEND": f"{HERE}.Objects", "OPTIONS": {"bucket": "bucket"}}
    )
    for alias in ("backups", "bucket"):
        writer = targets.target(alias).writer("folder/name")
        writer.write(b"x" * 200_000)
        writer.abort()
        assert not targets.target(alias).storage.exists("folder/name")
    assert tree(tmp_path) == {}
    assert Objects.stores["bucket"] == {}


def test_a_slow_network_is_not_asked_for_more_than_its_share(site):
    import os
    import time

    site.write("noise.bin", os.urandom(300_000))
    site.settings.BACKUPS_BYTES_PER_SECOND = 200_000
    began = time.monotonic()
    site.back_up(content="files")
    assert time.monotonic() - began > 1.0
