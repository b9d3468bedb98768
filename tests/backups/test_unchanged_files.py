"""A night costs what has changed: unchanged files are recognised, and re-read in their turn."""

import hashlib
import itertools
import os
from datetime import timedelta

import pytest
import time_machine
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import SecurityEvent
from backups import services
from backups.errors import BackupDamaged
from backups.files import seen, walking
from backups.models import SeenFile, StoredFile
from backups.models.stored_file import IN_USE
from tests.backups.conftest import engines, tree
from tests.backups.conftest import storages as storages_of
from tests.backups.storages import Objects

pytestmark = pytest.mark.parametrize("engine", engines()[-1:], indirect=True)


class Counting(FileSystemStorage):
    """Counts what is opened."""

    opened: list[str] = []

    def _open(self, name, mode="rb"):
        self.opened.append(name)
        return super()._open(name, mode)


class Dated(Objects):
    """An object store that tells when an object was written."""

    times: dict[str, object] = {}

    def get_modified_time(self, name):
        return self.times[name]

    def _open(self, name, mode="rb"):
        Counting.opened.append(name)
        return super()._open(name, mode)


@pytest.fixture
def night(site, monkeypatch):
    """Make a backup of the files; returns it with the names that were opened and what was sent."""
    monkeypatch.setattr(seen, "TICK_NS", 0)  # no test waits two seconds; the one below does not
    default = {"BACKEND": f"{__name__}.Counting", "OPTIONS": {"location": site.media}}
    site.settings.STORAGES = storages_of(site.root, default=default)

    def make(**options):
        Counting.opened.clear()
        before = set(tree(site.target))
        backup = site.back_up(content="files", **options)
        sent = {name for name in set(tree(site.target)) - before if name.startswith("files/")}
        return backup, sorted(set(Counting.opened)), sent

    return make


def listed(site, backup):
    found = []
    site.open(backup).each_file(found.append)
    return {entry.path: entry for entry in found}


def replaced(path, content):
    """Another file in its place, of the same size and time."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(content)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)


def rewritten(path, content):
    """Other bytes in the same file, and its time set back."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_night_reads_and_sends_what_has_changed_and_nothing_else(site, night):
    for number in range(2000):
        site.write(f"many/{number % 40}/{number}.txt", f"file {number % 200}")
    first, opened, sent = night()
    assert (len(opened), len(sent)) == (2002, 202)
    site.write("many/3/new.txt", "new")
    site.write("one.txt", "changed")
    (site.media / "many/0/0.txt").unlink()
    (site.media / "many/0/40.txt").rename(site.media / "many/0/moved.txt")
    (site.media / "many/0/80.txt").chmod(0o600)
    second, opened, sent = night()
    assert opened == ["many/0/80.txt", "many/0/moved.txt", "many/3/new.txt", "one.txt"]
    assert len(sent) == 2, "moved and chmodded content is there already"
    found = listed(site, second)
    assert len(found) == second.files == 2002
    assert found["many/0/80.txt"].mode == 0o600
    assert found["many/7/7.txt"].blob == listed(site, first)["many/7/7.txt"].blob
    services.verify(now=timezone.now())
    _third, opened, sent = night()
    assert (opened, sent) == ([], set())


@pytest.mark.parametrize("swap", [replaced, rewritten])
def test_a_file_that_was_swapped_behind_its_size_and_time_is_read(site, night, swap):
    path = site.write("one.txt", "honest")
    night()
    swap(path, b"forged")
    backup, opened, _sent = night()
    assert opened == ["one.txt"]
    digest = hashlib.sha256(b"forged").hexdigest()
    assert listed(site, backup)["one.txt"].sealed.raw_sha256 == digest


def test_a_file_that_changed_in_the_tick_of_its_backup_is_read_again(site, night, monkeypatch):
    monkeypatch.setattr(seen, "TICK_NS", 2_000_000_000)
    night()
    assert SeenFile.objects.count() == 0
    with time_machine.travel(timezone.now() + timedelta(seconds=3)):
        _backup, opened, _sent = night()
        assert opened == ["deep/er/two.bin", "one.txt"]
        assert SeenFile.objects.count() == 2
        assert night()[1] == []


def test_each_file_is_read_again_within_the_days_of_the_setting_and_no_day_reads_all(site, night):
    for number in range(60):
        site.write(f"{number}.txt", f"file {number}")
    site.settings.BACKUPS_REREAD_DAYS = 10
    night()
    now, read = timezone.now(), []
    for day in range(1, 11):
        with time_machine.travel(now + timedelta(days=day)):
            _backup, opened, sent = night()
            read.append(opened)
            assert sent == set()
    assert sorted(itertools.chain(*read)) == sorted(tree(site.media)), "each of them once"
    assert max(map(len, read)) < 25
    with time_machine.travel(now + timedelta(days=31)):
        assert len(night()[1]) == 62, "a backup that was missed is made up for"
    (site.media / "1.txt").unlink()
    with time_machine.travel(now + timedelta(days=52)):
        night()
        assert SeenFile.objects.count() == 61, "what is no more is forgotten"


def test_a_change_that_shows_in_nothing_is_found_in_its_turn_and_reported(site, night, monkeypatch):
    """A disk that rots, or somebody who sets back the clock of the machine."""
    night()
    honest = walking.Signature.of
    before = {path: (site.media / path).stat() for path in tree(site.media)}
    rewritten(site.media / "one.txt", b"x" * before["one.txt"].st_size)

    def unchanged(status):
        for kept in before.values():
            if kept.st_ino == status.st_ino:
                return honest(kept)
        return honest(status)

    monkeypatch.setattr(walking.Signature, "of", staticmethod(unchanged))
    assert night()[1] == []
    with time_machine.travel(timezone.now() + timedelta(days=30)):
        backup, opened, sent = night()
    assert (len(opened), len(sent)) == (2, 1)
    event = SecurityEvent.objects.of_kinds(["backups.file.altered"]).get()
    assert event.target == "file:default:one.txt"
    services.verify(backup_id=backup.pk, now=timezone.now())


def test_whoever_writes_to_the_database_alone_has_no_file_taken_for_another(site, night):
    site.write("one.txt", "short")
    backup, _opened, _sent = night()
    one, two = SeenFile.objects.all()
    SeenFile.objects.filter(pk=one.pk).update(sealed=two.sealed)
    SeenFile.objects.filter(pk=two.pk).update(read_at=two.read_at + timedelta(days=20))
    again, opened, sent = night()
    assert (len(opened), sent) == (2, set())
    assert listed(site, again) == listed(site, backup)
    text = b"".join(bytes(row.sealed) for row in SeenFile.objects.all())
    digest = listed(site, again)["one.txt"].sealed.raw_sha256
    assert b"one.txt" not in text
    assert digest.encode() not in text


@pytest.mark.parametrize("harm", ["delete", "damage"])
def test_an_unchanged_file_whose_copy_is_lost_or_damaged_is_read_and_sent_again(site, night, harm):
    backup, _opened, _sent = night()
    blob = site.target / listed(site, backup)["one.txt"].blob
    if harm == "delete":
        blob.unlink()
    else:
        blob.write_bytes(b"damaged")
        with pytest.raises(BackupDamaged):
            services.verify(now=timezone.now())
    again, opened, sent = night()
    assert (opened, len(sent)) == (["one.txt"], 1)
    services.verify(backup_id=again.pk, now=timezone.now())


def test_another_signing_secret_reads_everything_once_more(site, night):
    night()
    site.settings.BACKUPS_SIGNING_SECRET = "another secret of fifty characters, for one test."
    assert len(night()[1]) == 2
    assert night()[1] == []


def test_an_object_store_is_asked_for_size_and_time_and_not_for_its_bytes(site, night):
    Objects.stores.clear()
    site.settings.STORAGES = storages_of(
        site.root, media={"BACKEND": f"{__name__}.Dated", "OPTIONS": {"bucket": "media"}}
    )
    site.settings.BACKUPS_FILE_STORAGES = ["media"]
    Objects.stores["media"] = {"a": b"one", "b/c": b"two"}
    long_ago = timezone.now() - timedelta(days=1)
    Dated.times = {"a": long_ago, "b/c": long_ago}
    assert night()[1] == ["a", "b/c"]
    assert night()[1] == []
    Objects.stores["media"]["a"] = b"new"
    Dated.times["a"] = timezone.now() - timedelta(seconds=1)
    backup, opened, sent = night()
    assert (opened, len(sent)) == (["a"], 1)
    assert StoredFile.objects.count() == 3
    entry = listed(site, backup)["a"]
    assert (entry.mode, entry.modified_ns is None) == (None, False)


def test_a_night_writes_nothing_of_the_files_that_stay(site, night):
    """What a backup does without is noted, once, and no later backup counts on it."""
    first, _opened, _sent = night()
    night()
    (site.media / "one.txt").unlink()
    noted = []
    for _night in range(2):
        with CaptureQueriesContext(connection) as captured:
            last, _opened, _sent = night()
        noted.append(sum('UPDATE "backups_storedfile"' in each["sql"] for each in captured))
    assert noted == [1, 0]
    ended = StoredFile.objects.get(last_used_at__lt=IN_USE)
    assert ended.first_used_at == first.snapshot_at < ended.last_used_at < last.snapshot_at
    counted = [services.verify(backup_id=b.pk, now=timezone.now()) for b in (first, last)]
    assert [found["backups"].files for found in counted] == [2, 1]


def test_a_rotated_secret_key_sends_no_file_again(site, night):
    """All are read, for no row of before opens; their contents are recognised by the old key."""
    backup, _opened, _sent = night()
    site.settings.SECRET_KEY_FALLBACKS = [site.settings.SECRET_KEY]
    site.settings.SECRET_KEY = "a secret key of fifty characters, for this one test"
    again, opened, sent = night()
    assert (len(opened), sent) == (2, set())
    assert listed(site, again) == listed(site, backup)
    site.settings.SECRET_KEY_FALLBACKS = []
    site.settings.BACKUPS_REREAD_DAYS = 1
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        assert [len(found) for found in night()[1:]] == [2, 0], "and by the new one from then on"
