"""What is kept, and what goes."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.test import override_settings
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.models import SecurityEvent
from backups import health, leases, retention, services
from backups.errors import BackupBusy, VerificationIndeterminate
from backups.models import Backup, StoredFile
from backups.models.backup import CopyState
from tests.backups.conftest import engines, storages, tree
from tests.backups.storages import Objects

one_engine = pytest.mark.parametrize("engine", engines()[:1], indirect=True)
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
POLICY = {"days": 30, "weekly": 8, "monthly": 12, "last": 3}
NAMES = {
    "days": "BACKUPS_RETENTION_DAYS",
    "weekly": "BACKUPS_KEEP_WEEKLY",
    "monthly": "BACKUPS_KEEP_MONTHLY",
    "last": "BACKUPS_KEEP_LAST",
    "locked_days": "BACKUPS_OBJECT_LOCK_DAYS",
}


def made(days, *, whole=True, drilled=None, content="all", kind="scheduled"):
    at = NOW - timedelta(days=days)
    backup = Backup(snapshot_at=at, drilled_at=drilled, content=content, kind=kind)
    backup.is_whole = whole
    return backup


def kept_of(candidates, policy):
    whole = {c.pk for c in candidates if c.is_whole}
    with override_settings(**{NAMES[name]: value for name, value in policy.items()}):
        return retention.keepers(candidates, whole=whole, now=NOW)


def ages(candidates, policy=POLICY):
    kept = kept_of(candidates, policy)
    return sorted((NOW - c.snapshot_at).days for c in candidates if c.pk in kept)


def test_nightly_backups_thin_out_into_weeks_and_months():
    kept = ages([made(days) for days in range(400)])
    assert kept[:30] == list(range(30))
    assert len([days for days in kept if 30 <= days < 60]) <= 6
    assert len(kept) < 30 + 8 + 12
    assert max(kept) > 300


def test_only_days_count_where_keepers_are_switched_off():
    policy = {"days": 30, "weekly": 0, "monthly": 0, "last": 3}
    assert ages([made(days) for days in range(100)], policy) == list(range(30))


def test_the_last_good_ones_are_kept_however_old():
    policy = {"days": 30, "weekly": 0, "monthly": 0, "last": 3}
    assert ages([made(days) for days in (100, 200, 300, 400)], policy) == [100, 200, 300]


def test_a_damaged_backup_takes_no_place_among_the_last_good_ones():
    policy = {"days": 30, "weekly": 0, "monthly": 0, "last": 2}
    damaged = [made(100, whole=False), made(110, whole=False)]
    assert ages([*damaged, made(120), made(130), made(140)], policy) == [120, 130]


def test_backups_of_one_part_and_safety_backups_let_no_last_one_of_the_other_go():
    policy = {"days": 30, "weekly": 0, "monthly": 0, "last": 2}
    of_one = [made(100, kind="safety"), made(110, kind="safety"), made(120, content="database")]
    assert ages([*of_one, made(130), made(140), made(150)], policy) == [120, 130, 140]


def test_a_backup_stamped_in_the_future_takes_no_place_of_one_that_is_not():
    policy = {"days": 30, "weekly": 0, "monthly": 0, "last": 2}
    ahead = [made(-300), made(-301), made(-302)]
    assert ages([*ahead, made(120), made(130), made(140)], policy) == [-302, -301, -300, 120, 130]


def test_the_last_drilled_one_is_kept_however_old():
    policy = {"days": 30, "weekly": 0, "monthly": 0, "last": 1}
    drilled = [made(300, drilled=NOW - timedelta(days=9)), made(350, drilled=NOW)]
    assert ages([made(1), made(200), *drilled], policy) == [1, 350]


def test_a_lock_of_the_target_outlasts_the_days():
    policy = {"days": 10, "weekly": 0, "monthly": 0, "last": 1, "locked_days": 50}
    assert ages([made(days) for days in (5, 40, 60)], policy) == [5, 40]


@settings(max_examples=300, deadline=None)
@given(
    days=st.lists(st.integers(0, 800), max_size=60),
    damaged=st.sets(st.integers(0, 59)),
    last=st.integers(1, 5),
    keep=st.integers(1, 60),
)
def test_whatever_happened_the_promises_hold(days, damaged, last, keep):
    candidates = [made(d, whole=n not in damaged) for n, d in enumerate(days)]
    policy = {"days": keep, "weekly": 4, "monthly": 6, "last": last}
    kept = kept_of(candidates, policy)
    whole = sorted((c for c in candidates if c.is_whole), key=lambda c: c.snapshot_at)
    assert {c.pk for c in whole[-last:]} <= set(kept)
    assert {c.pk for c in candidates if (NOW - c.snapshot_at).days < keep} <= set(kept)
    assert len(kept) <= len([d for d in days if d < keep]) + last + 4 + 6


def age_all(days):
    for backup in Backup.objects.all():
        Backup.objects.filter(pk=backup.pk).update(
            snapshot_at=backup.snapshot_at - timedelta(days=days)
        )
    for row in StoredFile.objects.all():
        row.first_used_at -= timedelta(days=days)
        row.last_used_at -= timedelta(days=days)
        row.save()


def only_the_newest(site):
    site.settings.BACKUPS_KEEP_WEEKLY = site.settings.BACKUPS_KEEP_MONTHLY = 0
    site.settings.BACKUPS_KEEP_LAST = 1


def test_pruning_deletes_backups_and_the_files_that_only_they_needed(site):
    only_the_newest(site)
    old = site.back_up()
    (site.media / "one.txt").unlink()
    site.write("new.txt", "new")
    age_all(40)
    new = site.back_up()
    before = tree(site.target)

    planned = services.prune(now=timezone.now(), dry_run=True)
    assert [b.pk for b in planned.backups] == [old.pk]
    assert planned.files == 1
    assert tree(site.target) == before, "a dry run changes nothing"
    assert Backup.objects.good().count() == 2

    done = services.prune(now=timezone.now())
    assert [b.pk for b in done.backups] == [old.pk]
    assert (done.files, done.failures) == (1, [])
    left = tree(site.target)
    assert not [name for name in left if old.folder in name]
    assert {name: before[name] for name in left} == left
    old.refresh_from_db()
    assert (old.state, old.copies.get().state) == ("pruned", CopyState.PRUNED)
    services.verify(backup_id=new.pk, now=timezone.now())


def test_a_file_shared_with_a_kept_backup_stays(site):
    only_the_newest(site)
    site.back_up()
    age_all(40)
    site.back_up()
    services.prune(now=timezone.now())
    assert StoredFile.objects.count() == 2
    assert services.verify(now=timezone.now())["backups"].files == 2


def old_backups(site, count):
    """Enter nightly backups of before into the index; their folders need not be there."""
    newest = site.back_up()
    for days in range(1, count):
        at = newest.snapshot_at - timedelta(days=days)
        row = Backup.objects.create(state="good", queued_at=at, snapshot_at=at, folder="")
        row.copies.create(target="backups", state=CopyState.GOOD)
    return newest


@one_engine
def test_a_clock_that_runs_ahead_prunes_nothing(site, capsys):
    """Neither this machine's alone, nor the database's with it; unless an operator insists."""
    old_backups(site, 60)
    a_year_ahead = timezone.now() + timedelta(days=365)
    pruned = services.prune(now=a_year_ahead)
    assert (pruned.backups, "1 year" in pruned.held or "365 d" in pruned.held) == ([], True)

    Backup.objects.update(snapshot_at=F("snapshot_at") - timedelta(days=365))
    site.back_up()
    with pytest.raises(CommandError, match=r"of 61 backups would go at once.*--allow") as held:
        call_command("backup_prune")
    assert held.value.returncode == 3
    going = int(str(held.value).split()[0])
    assert going > 40
    assert Backup.objects.good().count() == 61
    assert SecurityEvent.objects.of_kinds(["backups.pruning.held"]).count() == 2
    assert "held back" in health.backups().detail
    with pytest.raises(CommandError):
        call_command("backup_prune", f"--allow={going - 1}")
    call_command("backup_prune", f"--allow={going}")
    assert Backup.objects.good().count() == 61 - going
    assert "held back" not in health.backups().detail


@one_engine
def test_every_night_one_goes_unasked(site):
    old_backups(site, 60)
    assert len(services.prune(now=timezone.now(), allow=60).backups) > 3
    Backup.objects.update(snapshot_at=F("snapshot_at") - timedelta(days=1))
    site.back_up()
    night = services.prune(now=timezone.now())
    assert (night.held, 1 <= len(night.backups) <= 3) == ("", True)


@one_engine
def test_a_target_taken_out_is_one_sentence_and_can_be_ended(site, capsys):
    disk = "django.core.files.storage.FileSystemStorage"
    other = {"BACKEND": disk, "OPTIONS": {"location": site.root / "other"}}
    site.settings.STORAGES = storages(site.root, other=other)
    site.settings.BACKUPS_TARGETS = ["backups", "other"]
    both = [site.back_up(), site.back_up()]
    site.settings.BACKUPS_TARGETS = ["other"]
    only_there = site.back_up()
    with pytest.raises(CommandError, match="Take it out of BACKUPS_TARGETS"):
        call_command("backup_prune", "--forget-target", "other")

    site.settings.STORAGES = storages(site.root)
    site.settings.BACKUPS_TARGETS = ["backups"]
    only_the_newest(site)
    (site.media / "one.txt").unlink()
    age_all(40)
    newest = site.back_up()
    done = services.prune(now=timezone.now())
    assert len(done.backups) == 3
    (sentence,) = done.failures
    assert "--forget-target other" in sentence
    assert "3 backups have a copy there" in sentence

    with pytest.raises(CommandError, match="No backup has a copy"):
        call_command("backup_prune", "--forget-target", "nope")
    call_command("backup_prune", "--forget-target", "other")
    assert services.prune(now=timezone.now()).failures == []
    assert {row.name for row in StoredFile.objects.all() if "other" in row.targets} == set()
    assert [b.pk for b in Backup.objects.good()] == [newest.pk]
    assert only_there.pk not in {b.pk for b in both}


@one_engine
def test_a_target_that_is_gone_leaves_the_rest_verifiable_until_it_is_ended(site):
    disk = "django.core.files.storage.FileSystemStorage"
    other = {"BACKEND": disk, "OPTIONS": {"location": site.root / "other"}}
    site.settings.STORAGES = storages(site.root, other=other)
    site.settings.BACKUPS_TARGETS = ["backups", "other"]
    backup = site.back_up()
    site.settings.BACKUPS_TARGETS = ["other"]
    lost = site.back_up()
    site.settings.STORAGES = storages(site.root)
    site.settings.BACKUPS_TARGETS = ["backups"]
    assert set(services.verify(backup_id=backup.pk, now=timezone.now())) == {"backups"}
    with pytest.raises(VerificationIndeterminate, match="not in STORAGES"):
        services.verify(backup_id=lost.pk, now=timezone.now())
    call_command("backup_prune", "--forget-target", "other")
    lost.refresh_from_db()
    assert (lost.state, backup.copies.get(target="other").state) == ("pruned", "pruned")


@one_engine
def test_pruning_lets_alone_a_target_that_is_not_mounted(site):
    only_the_newest(site)
    old = site.back_up()
    age_all(40)
    away = site.target.rename(site.target.with_name("away"))
    site.settings.STORAGES = storages(site.root) | {
        "other": storages(site.root)["backups"] | {"OPTIONS": {"location": site.root / "other"}}
    }
    site.settings.BACKUPS_TARGETS = ["other"]
    site.back_up()
    (sentence,) = services.prune(now=timezone.now()).failures
    assert "mounted" in sentence
    assert old.copies.get().state == CopyState.GOOD
    away.rename(site.target)
    assert services.prune(now=timezone.now()).failures == []
    assert old.copies.get().state == CopyState.PRUNED
    assert tree(site.target) == {}


def test_pruning_waits_for_a_running_backup(site):
    site.back_up()
    with leases.hold(leases.BACKUP, now=timezone.now()), pytest.raises(BackupBusy):
        services.prune(now=timezone.now())


def test_a_deletion_that_is_refused_is_tried_again(site):
    only_the_newest(site)
    Objects.stores.clear()
    locked = {"BACKEND": "tests.backups.storages.Locked", "OPTIONS": {"bucket": "b"}}
    free = {"BACKEND": "tests.backups.storages.Objects", "OPTIONS": {"bucket": "b"}}
    site.settings.STORAGES = storages(site.root, bucket=locked)
    site.settings.BACKUPS_TARGETS = ["bucket"]
    site.write("one.txt", "a")
    old = site.back_up()
    site.write("one.txt", "b")
    age_all(40)
    site.back_up()
    done = services.prune(now=timezone.now())
    assert done.failures == ["bucket: 2 deletions failed: PermissionError"]
    assert old.copies.get().state == CopyState.GOOD
    assert not Backup.objects.good().filter(pk=old.pk).exists(), "it is off the list all the same"

    site.settings.STORAGES = storages(site.root, bucket=free)
    assert services.prune(now=timezone.now()).failures == []
    assert old.copies.get().state == CopyState.PRUNED
    assert not [name for name in Objects.stores["b"] if old.folder in name]
