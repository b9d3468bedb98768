"""Files: sent once, listed always, kept while a backup needs them."""

import io
import os
import shutil
import subprocess
import threading
import time
from dataclasses import replace

import pytest
from django.core.files.storage import storages
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from backups import creation, deletions, files, keys, services
from backups.errors import BackupDamaged, BackupsRefusal
from backups.files import Entry, sending
from backups.models import StoredFile, WaitingDeletion
from backups.pipeline import Sealed
from tests.backups.conftest import engines, tree

one_engine = pytest.mark.parametrize("engine", engines()[-1:], indirect=True)


def stored(site):
    return sorted(tree(site.target / "files"))


def listed(site, backup):
    found = []
    site.open(backup).each_file(found.append)
    return {entry.path: entry for entry in found}


@one_engine
def test_an_unchanged_file_is_not_sent_again(site):
    first = site.back_up(content="files")
    before = stored(site)
    second = site.back_up(content="files")
    assert stored(site) == before
    assert set(listed(site, first)) == set(listed(site, second)) == {"one.txt", "deep/er/two.bin"}
    assert second.size_bytes < first.size_bytes


@one_engine
def test_the_same_content_is_stored_once_under_any_name(site):
    site.write("copy.txt", (site.media / "one.txt").read_bytes())
    backup = site.back_up(content="files")
    assert len(stored(site)) == 2
    entries = listed(site, backup)
    assert entries["copy.txt"].blob == entries["one.txt"].blob


@one_engine
def test_a_changed_file_is_sent_and_the_old_content_stays_for_the_older_backup(site):
    first = site.back_up(content="files")
    site.write("one.txt", "changed")
    second = site.back_up(content="files")
    assert listed(site, first)["one.txt"].blob != listed(site, second)["one.txt"].blob
    for backup in (first, second):
        services.verify(backup_id=backup.pk, now=timezone.now())


@one_engine
def test_after_a_change_of_recipients_every_file_is_sealed_anew(site):
    site.back_up(content="files")
    identity, recipient = keys.generate()
    site.identity_file.write_text(site.identity_file.read_text() + identity)
    site.settings.BACKUPS_RECIPIENTS = [recipient]
    site.back_up(content="files")
    assert len(stored(site)) == 4
    site.identity_file.write_text(identity)
    services.verify(now=timezone.now())


@one_engine
def test_names_on_the_target_tell_nothing_of_the_content(site):
    import hashlib

    site.back_up(content="files")
    digest = hashlib.sha256((site.media / "one.txt").read_bytes()).hexdigest()
    row = StoredFile.objects.order_by("pk").last()
    assert digest not in row.name
    assert digest not in {each.digest for each in StoredFile.objects.all()}


@one_engine
def test_folders_may_be_deeper_than_python_recurses(site):
    name = "/".join(["d"] * 1500) + "/deepest.txt"
    here = os.open(site.media, os.O_RDONLY)
    for part in name.split("/")[:-1]:
        os.mkdir(part, dir_fd=here)
        inner = os.open(part, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("deepest.txt", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    try:
        assert name in listed(site, site.back_up(content="files"))
    finally:  # nor does shutil.rmtree get so deep
        subprocess.run(["rm", "-rf", site.media / "d"], check=True)


@one_engine
def test_a_name_that_is_not_utf_8_and_one_as_long_as_a_path_may_be_come_back(site):
    odd = os.fsdecode(b"caf\xe9-\xff.txt")
    long = "/".join(["ü" * 120] * 12) + "/x"
    for name in (odd, long):
        (site.media / name).parent.mkdir(parents=True, exist_ok=True)
        (site.media / name).write_text("here")
    before = tree(site.media)
    backup = site.back_up(content="files")
    assert {odd, long} < set(listed(site, backup))
    shutil.rmtree(site.media)
    services.restore(services.plan(site.open(backup), content="files"), now=timezone.now())
    assert tree(site.media) == before


@one_engine
def test_a_file_that_changes_while_it_is_read_is_what_was_read_while_it_was_sealed(
    site, monkeypatch
):
    honest = files.FileBackup._hash

    def change(self, walk, name):
        found = honest(self, walk, name)
        site.write("one.txt", "another content")
        return found

    monkeypatch.setattr(files.FileBackup, "_hash", change)
    backup = site.back_up(content="files")
    entry, out = listed(site, backup)["one.txt"], io.BytesIO()
    site.open(backup).file(entry, out)
    assert out.getvalue() == b"another content"
    services.verify(now=timezone.now())


@one_engine
def test_a_file_that_grows_for_ever_while_it_is_read_does_not_break_the_backup(site):
    stop, path = threading.Event(), site.write("growing.log", b"0" * 100_000)

    def grow():
        with path.open("ab", buffering=0) as out:
            while not stop.is_set():
                out.write(b"more" * 500)
                time.sleep(0.001)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        backup = site.back_up(content="files")
    finally:
        stop.set()
        writer.join()
    assert listed(site, backup)["growing.log"].sealed.raw_size >= 100_000
    services.verify(now=timezone.now())


@one_engine
def test_what_a_restore_has_set_aside_is_not_backed_up(site):
    site.write(".garrison-before-12345678/old.txt", "old")
    assert set(listed(site, site.back_up(content="files"))) == {"one.txt", "deep/er/two.bin"}


@one_engine
def test_a_file_that_vanishes_while_it_is_backed_up_is_counted_not_fatal(site, monkeypatch):
    honest = files.FileBackup._hash

    def vanish(self, walk, name):
        found = honest(self, walk, name)
        (site.media / "one.txt").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(files.FileBackup, "_hash", vanish)
    backup = site.back_up(content="files")
    state = site.open(backup).manifest.files
    assert (state.count, state.vanished) == (1, 1)
    services.verify(now=timezone.now())


@one_engine
def test_a_deletion_waits_for_the_running_backup(site, monkeypatch):
    """The snapshot speaks of the file; its deletion is carried out when the backup has ended."""
    honest = creation.Creation._files
    storage = storages["default"]

    def delete_meanwhile(self):
        storage.delete("one.txt")
        assert (site.media / "one.txt").exists()
        return honest(self)

    monkeypatch.setattr(creation.Creation, "_files", delete_meanwhile)
    backup = site.back_up()
    assert "one.txt" in listed(site, backup)
    assert not (site.media / "one.txt").exists()
    assert WaitingDeletion.objects.count() == 0
    storage.delete("deep/er/two.bin")
    assert not (site.media / "deep/er/two.bin").exists(), "without a backup it does not wait"


@one_engine
def test_nothing_waits_for_a_backup_of_the_database_alone(site, monkeypatch):
    honest = creation.Creation._databases
    seen = []

    def look(self):
        seen.append(deletions.must_wait())
        return honest(self)

    monkeypatch.setattr(creation.Creation, "_databases", look)
    site.back_up(content="database")
    site.back_up()
    assert seen == [False, True]


@one_engine
def test_an_unknown_storage_is_named(site):
    site.settings.BACKUPS_FILE_STORAGES = ["nowhere"]
    with pytest.raises(BackupsRefusal, match="'nowhere'"):
        site.back_up()


@one_engine
def test_many_files_go_in_batches(site, monkeypatch):
    monkeypatch.setattr(sending, "BATCH", 7)
    for number in range(40):
        site.write(f"many/{number}.txt", os.urandom(10))
    before = threading.active_count()
    assert len(listed(site, site.back_up(content="files"))) == 42
    assert threading.active_count() == before


paths = st.text(min_size=1, max_size=60).filter(
    lambda p: "\0" not in p and not p.startswith("/") and ".." not in p.split("/")
    and not any(0xD800 <= ord(c) <= 0xDFFF for c in p)
) | st.binary(min_size=1, max_size=60).map(os.fsdecode).filter(
    lambda p: "\0" not in p and not p.startswith("/") and ".." not in p.split("/")
)  # fmt: skip


@given(
    path=paths,
    mode=st.none() | st.integers(0, 0o777),
    modified_ns=st.none() | st.integers(-(10**19) + 1, 10**19 - 1),
)
def test_any_path_and_time_survive_the_list(path, mode, modified_ns):
    entry = Entry(
        "files/aa/b.gz.age", Sealed("0" * 64, 1, "1" * 64, 2), "default", path, mode, modified_ns
    )
    line = entry.line()
    assert line.count("\n") == 1
    assert line.isprintable() or line[:-1].replace("\t", "").isprintable()
    assert Entry.parse(line) == entry
    assert "\t\t" not in line, "a shell takes two for one"
    before = replace(entry, mode=None, modified_ns=None)
    assert Entry.parse("\t".join(line.split("\t")[:7])) == before, "a line of version 1"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "%2e%2e/x", "a%00b", "..", "x/..", "%2Fetc"]
)
def test_a_path_that_leaves_its_storage_is_refused(path):
    line = f"files/a.age\t{'0' * 64}\t1\t{'0' * 64}\t1\tdefault\t{path}\n"
    with pytest.raises(BackupDamaged):
        Entry.parse(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "a\tb",
        "\t" * 6,
        "a\tb\tx\td\t1\tdefault\tp",
        "\t" * 9,
        *(
            f"a\tb\t1\td\t1\tdefault\tp\t{end}"
            for end in (
                "644",
                "644\t",
                "\t-",
                "888\t-",
                "-\t1",
                "-\tNaN",
                "-\t1e9",
                "0644\t-",
                "-\t-\t-",
            )
        ),
    ],
)
def test_a_malformed_line_is_refused(line):
    with pytest.raises(BackupDamaged):
        Entry.parse(line)
