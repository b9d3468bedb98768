"""One run at a time; the dead are told from the living by one conditional UPDATE."""

import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups import creation, leases, manifest, services
from backups.errors import BackupBusy, LeaseLost
from backups.models import Backup, Lease, State
from garrison import events as garrison_events
from tests.backups.conftest import engines, storages, tree
from tests.backups.storages import Objects

DAY = timedelta(days=1)
NIGHT = datetime(2026, 6, 2, 2, 0, tzinfo=UTC)

first_engine = pytest.mark.parametrize("engine", engines()[:1], indirect=True)


def close_here():
    """Close this thread's connection; Django's own ``close`` spares a SQLite in memory."""
    BaseDatabaseWrapper.close(connections["default"])


def at_once(count, work):
    """Run the same work in so many threads, all starting together."""
    barrier, results = threading.Barrier(count), []

    def run():
        barrier.wait()
        try:
            results.append(work())
        except Exception as failure:  # noqa: BLE001 - collected for the test to judge
            results.append(failure)
        finally:
            close_here()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.postgresql
def test_of_many_who_want_a_lease_one_gets_it(transactional_db):
    now = timezone.now()
    Lease.objects.get_or_create(name="backup")
    got = at_once(
        12, lambda: Lease.objects.acquire("backup", owner=uuid.uuid4(), seconds=60, now=now)
    )
    assert sorted(got, key=str) == [1, *[None] * 11]


def test_an_expired_lease_is_taken_and_its_old_holder_knows(db):
    now, old, new = timezone.now(), uuid.uuid4(), uuid.uuid4()
    assert Lease.objects.acquire("backup", owner=old, seconds=60, now=now) == 1
    assert Lease.objects.acquire("backup", owner=new, seconds=60, now=now) is None
    later = now + timedelta(seconds=61)
    assert Lease.objects.acquire("backup", owner=new, seconds=60, now=later) == 2
    assert not Lease.objects.renew("backup", owner=old, seconds=60, now=later)
    assert not Lease.objects.release("backup", owner=old)
    assert Lease.objects.get(name="backup").owner == new


@pytest.mark.postgresql
def test_two_schedulers_and_one_slot_make_one_backup(transactional_db):
    made = at_once(8, lambda: services.queue_due(now=NIGHT))
    assert sum(isinstance(each, Backup) for each in made) == 1
    assert made.count(None) == 7
    assert Backup.objects.get().slot == NIGHT


def test_a_slot_is_filled_once_whatever_the_clock_says(db):
    assert services.queue_due(now=NIGHT + timedelta(minutes=3))
    with CaptureQueriesContext(connection) as asked:
        assert services.queue_due(now=NIGHT + timedelta(hours=23)) is None
    assert "INSERT" not in str(asked.captured_queries), "each tick an error in PostgreSQL's log"
    assert services.queue_due(now=NIGHT + timedelta(hours=24))
    assert Backup.objects.count() == 2


def test_a_missed_night_is_caught_up(site):
    """The machine was off at two; it comes back at nine."""
    assert services.queue_due(now=NIGHT + timedelta(hours=7)).slot == NIGHT
    made = services.run_queued(now=timezone.now())
    assert made.state == State.GOOD
    assert made.kind == "scheduled"


def test_a_failed_night_is_tried_again_but_not_for_ever(db, settings):
    settings.BACKUPS_RECIPIENTS = []
    settings.BACKUPS_ATTEMPTS = 3
    tried = 0
    for minutes in range(0, 60, 5):
        now = NIGHT + timedelta(minutes=minutes)
        services.queue_due(now=now)
        try:
            tried += services.run_queued(now=now) is not None
        except Exception:  # noqa: BLE001 - it has no recipient
            tried += 1
    assert tried == 3
    assert Backup.objects.get().attempts == 3


def test_a_second_run_is_refused_while_one_goes_on(site):
    with leases.hold(leases.BACKUP, now=timezone.now()), pytest.raises(BackupBusy):
        site.back_up()
    assert Backup.objects.get().state == State.QUEUED
    assert services.run_queued(now=timezone.now()).state == State.GOOD


@first_engine
def test_a_stuck_run_is_declared_dead_and_its_late_end_changes_nothing(site, monkeypatch):
    """The first run hangs before its manifest; another one takes over; then the first goes on."""
    go_on, hangs = threading.Event(), threading.Event()
    honest = creation.Creation._commit
    said = []
    monkeypatch.setattr(
        leases.HeldLease, "_beat", lambda self: None
    )  # stuck: not even its heartbeat runs

    def hang(self, described):
        if threading.current_thread() is not threading.main_thread():
            hangs.set()
            assert go_on.wait(30)
        return honest(self, described)

    monkeypatch.setattr(creation.Creation, "_commit", hang)
    stuck, results = services.request_backup(now=timezone.now()), []

    def run():
        try:
            services.run_backup(backup_id=stuck.pk, now=timezone.now())
        except LeaseLost as lost:
            results.append(lost)
        finally:
            close_here()

    thread = threading.Thread(target=run)
    thread.start()
    assert hangs.wait(30)
    garrison_events.security_event.connect(
        receiver := lambda event, **_: said.append(str(event.kind)), weak=False
    )
    second = services.request_backup(now=timezone.now())
    later = timezone.now() + timedelta(hours=1)
    made = services.run_backup(backup_id=second.pk, now=later)
    garrison_events.security_event.disconnect(receiver)
    row = Backup.objects.filter(pk=stuck.pk).values().get()
    assert row["state"] == State.FAILED
    assert "backups.lease.expired" in said
    stored = tree(site.target)

    go_on.set()
    thread.join()

    assert [type(each) for each in results] == [LeaseLost]
    assert Backup.objects.filter(pk=stuck.pk).values().get() == row
    assert made.state == State.GOOD
    left = tree(site.target)
    assert left == {name: content for name, content in stored.items() if row["folder"] not in name}
    assert [b.pk for b in Backup.objects.good()] == [second.pk]


@first_engine
def test_a_run_that_loses_its_lease_while_it_signs_never_shows_a_manifest(site, monkeypatch):
    """Not for a moment: whoever lists the target meanwhile would take it for a backup."""
    bucket = {"BACKEND": "tests.backups.storages.Objects", "OPTIONS": {"bucket": "lost"}}
    site.settings.STORAGES = storages(site.root, bucket=bucket)
    site.settings.BACKUPS_TARGETS = ["bucket"]
    honest, saved = manifest.write, []
    honest_save = Objects._save

    def lose(described, recipients):
        Lease.objects.update(owner=uuid.uuid4())
        return honest(described, recipients)

    def save(self, name, content):
        done = honest_save(self, name, content)
        saved.append(name)
        return done

    monkeypatch.setattr(manifest, "write", lose)
    monkeypatch.setattr(leases.HeldLease, "_beat", lambda self: None)
    monkeypatch.setattr(Objects, "_save", save)
    with pytest.raises(LeaseLost):
        site.back_up()
    assert [name for name in saved if "database" in name]
    assert not [name for name in saved if "manifest" in name]


def test_a_whole_backup_is_never_swept_although_the_index_says_it_was_being_made(site):
    """So speaks an index that was restored, when the restore is killed before it is rebuilt."""
    whole = site.back_up()
    before = tree(site.target)
    Backup.objects.filter(pk=whole.pk).update(state=State.RUNNING, owner=uuid.uuid4())
    whole.copies.update(state="writing")
    Lease.objects.update(expires_at=timezone.now() - timedelta(days=1))
    site.back_up()
    after = tree(site.target)
    assert {name: after.get(name) for name in before} == before


def test_a_holder_that_could_not_renew_stops_in_time(site):
    site.settings.BACKUPS_LEASE_SECONDS = 1
    with leases.hold(leases.BACKUP, now=timezone.now()) as held:
        held.require()
        Lease.objects.filter(name="backup").update(owner=uuid.uuid4())
        deadline = time.monotonic() + 5
        with pytest.raises(LeaseLost):
            while time.monotonic() < deadline:
                held.require()
                time.sleep(0.01)


@pytest.mark.postgresql
def test_one_queued_backup_is_claimed_once(transactional_db):
    backup = services.request_backup(now=timezone.now())
    claimed = at_once(
        8,
        lambda: Backup.objects.claim(backup.pk, owner=uuid.uuid4(), fence=1, now=timezone.now()),
    )
    assert sorted(claimed) == [False] * 7 + [True]


@pytest.mark.postgresql
def test_what_is_overdue_is_said_once_a_day(transactional_db, installed):
    installed(NIGHT - 2 * DAY)
    said = at_once(6, lambda: services.check_backups(now=NIGHT))
    assert sorted(said) == [[]] * 5 + [["backups.backup.missed"]]
    assert services.check_backups(now=NIGHT + timedelta(hours=23)) == []
    assert services.check_backups(now=NIGHT + timedelta(hours=24)) == ["backups.backup.missed"]
