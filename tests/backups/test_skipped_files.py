"""What is no plain file, or cannot be read: counted, named and said; what is kept of a file."""

import contextlib
import json
import os
import shutil
import socket

import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.models import SecurityEvent
from backups import services
from backups.errors import FileUnreadable
from backups.files import skipped
from tests.backups.conftest import engines

pytestmark = pytest.mark.parametrize("engine", engines()[-1:], indirect=True)
WHOLE = {"one.txt", "deep/er/two.bin"}


def listed(site, backup):
    found = []
    site.open(backup).each_file(found.append)
    return {entry.path: entry for entry in found}


def said(capsys, *arguments):
    capsys.readouterr()
    call_command(*arguments)
    return capsys.readouterr().out


@pytest.fixture
def unreadable(monkeypatch):
    """Make files unreadable, to root as well; the test says which, and how."""
    honest, refused = storages["default"].__class__._open, {}

    def refuse(self, name, mode="rb"):
        if name in refused:
            raise OSError(refused[name], os.strerror(refused[name]))
        return honest(self, name, mode)

    monkeypatch.setattr(storages["default"].__class__, "_open", refuse)
    return refused


def test_links_pipes_sockets_and_unreadable_files_are_counted_named_and_said(
    site, unreadable, capsys
):
    (site.media / "link.txt").symlink_to("/etc/passwd")
    (site.media / "nowhere").symlink_to("/nowhere")
    (site.media / "circle").symlink_to("circle")
    (site.media / "loop").symlink_to(site.media)
    os.mkfifo(site.media / "pipe")
    site.write("locked\n.txt", "secret")
    unreadable["locked\n.txt"] = 13
    with contextlib.chdir(site.media), socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(CommandError, match=r"^INCOMPLETE. 1 files could not") as refused:
            call_command("backup_create")
    assert refused.value.returncode == 3
    told = capsys.readouterr().out
    backup = services.find()
    state = backup.manifest.files
    assert state.skipped == {"link": 4, "pipe": 1, "socket": 1, "unreadable": 1}
    assert (state.count, state.vanished) == (2, 0)
    assert sorted(state.skipped_files) == [
        *(["link", "default", name] for name in ("circle", "link.txt", "loop", "nowhere")),
        ["pipe", "default", "pipe"],
        ["socket", "default", "socket"],
        ["unreadable", "default", "locked%0A.txt"],
    ]
    counts = "4 link, 1 pipe, 1 socket, 1 unreadable"
    assert counts in told
    assert counts in said(capsys, "backup_list")
    assert "unreadable  default  locked%0A.txt  NOT IN" in said(
        capsys, "backup_list", backup.folder
    )
    event = SecurityEvent.objects.of_kinds(["backups.files.unreadable"]).get()
    assert event.data == {"files": 1, "first": [["unreadable", "default", "locked%0A.txt"]]}
    services.verify(now=timezone.now())


def test_a_folder_that_is_suddenly_empty_is_said_once(site):
    """As one whose disk is not mounted."""
    site.back_up()
    shutil.rmtree(site.media)
    with pytest.raises(CommandError, match="the last one 2: is the disk mounted") as refused:
        call_command("backup_create")
    assert refused.value.returncode == 3
    event = SecurityEvent.objects.of_kinds(["backups.files.unreadable"]).get()
    assert event.data == {"files": 2, "first": []}
    call_command("backup_create")


def test_no_more_than_a_thousand_are_named_and_all_are_counted(site, monkeypatch):
    monkeypatch.setattr(skipped, "MOST_NAMED", 3)
    for number in range(5):
        (site.media / f"link{number}").symlink_to("nowhere")
    state = site.open(site.back_up(content="files")).manifest.files
    assert (state.skipped, len(state.skipped_files)) == ({"link": 5}, 3)


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ({"one.txt": 107}, "endpoint is not connected"),
        ({"one.txt": 24}, "Too many open files"),
        ({"one.txt": 5, "deep/er/two.bin": 13}, "Most of the storage 'default'"),
    ],
)
def test_a_backup_without_most_files_or_from_a_disk_that_is_away_is_refused(
    site, unreadable, refused, why
):
    unreadable.update(refused)
    with pytest.raises(FileUnreadable, match=why):
        site.back_up()
    left = {path.name for path in site.target.iterdir()}
    assert left <= {"files"}, "the database's part, whole already, goes with the run"


def test_a_link_to_a_folder_elsewhere_is_followed_by_setting_or_refused(site):
    disk, other = site.root / "disk", site.root / "other"
    for folder in (disk / "in", other):
        folder.mkdir(parents=True)
        (folder / "there.txt").write_text("on another disk")
    (disk / "in" / "back").symlink_to(disk)
    (disk / "in" / "media").symlink_to(site.media)
    (site.media / "linked").symlink_to(disk / "in")
    (site.media / "again").symlink_to(disk / "in")
    (site.media / "file.txt").symlink_to(other / "there.txt")
    with pytest.raises(FileUnreadable, match="again of the storage 'default' is a link to the"):
        site.back_up()
    site.settings.BACKUPS_FOLLOW_LINKS_TO = [str(disk)]
    backup = site.back_up()
    assert set(listed(site, backup)) == {*WHOLE, "again/there.txt", "again/back/in/there.txt"}
    assert backup.skipped == {"link": 5}, "circles and doubles end"
    site.settings.BACKUPS_FOLLOW_LINKS_TO = [str(site.root)]
    assert listed(site, site.back_up())["file.txt"].sealed.raw_size == 15
    site.settings.BACKUPS_FOLLOW_LINKS_TO = []
    site.settings.BACKUPS_EXCLUDE = ["linked", "again"]
    assert set(listed(site, site.back_up())) == WHOLE

    shutil.rmtree(site.media)
    services.restore(services.plan(site.open(backup), content="files"), now=timezone.now())
    assert (site.media / "again/there.txt").read_text() == "on another disk"


def test_a_link_to_what_another_storage_holds_is_only_counted(site):
    site.add_file_storage()
    (site.media / "linked").symlink_to(site.root / "other")
    assert site.back_up().skipped == {"link": 1}


def test_a_storage_behind_a_link_is_backed_up_and_refused_where_it_leads_nowhere(site):
    site.media.rename(site.root / "disk")
    assert listed(site, site.back_up()) == {}, "a folder that was never made holds nothing"
    site.media.symlink_to(site.root / "disk")
    assert set(listed(site, site.back_up())) == WHOLE
    (site.root / "disk").rename(site.root / "unmounted")
    with pytest.raises(FileUnreadable, match="No such file"):
        site.back_up()


def test_excluded_files_are_counted(site):
    for name in ("a.tmp", "deep/b.tmp", "cache/1/x", "deep/cache/y", "deep/er/z", "tmp/kept"):
        site.write(name, name)
    site.settings.BACKUPS_EXCLUDE = ["*.tmp", "cache", "deep/*/z"]
    backup = site.back_up()
    assert set(listed(site, backup)) == {*WHOLE, "tmp/kept"}
    assert backup.skipped == {"excluded": 5}
    assert site.open(backup).manifest.files.skipped_files == []


def test_modes_and_times_are_kept_and_sparse_files_stay_sparse(site):
    path = site.write("one.txt", "one")
    path.chmod(0o640)
    os.utime(path, ns=(5, -1_234_567_891))
    with (site.media / "sparse").open("wb") as out:
        out.write(b"begin")
        out.seek(5_000_000)
        out.write(b"middle")
        out.truncate(10_000_000)
    backup = site.back_up(content="files")
    shutil.rmtree(site.media)
    services.restore(services.plan(site.open(backup), content="files"), now=timezone.now())
    status = path.stat()
    assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o640, -1_234_567_891)
    sparse = site.media / "sparse"
    assert sparse.stat().st_blocks * 512 < 500_000
    content = sparse.read_bytes()
    assert len(content) == 10_000_000
    assert content.startswith(b"begin")
    assert content[5_000_000:5_000_006] == b"middle"
    assert content.count(0) == 10_000_000 - 11


def test_a_file_s_mode_and_time_are_listed(site, capsys):
    path = site.write("one.txt", "one")
    path.chmod(0o604)
    os.utime(path, ns=(0, 1_700_000_000_000_000_000))
    backup = site.back_up()
    told = json.loads(said(capsys, "backup_list", backup.folder, "--json"))
    (one,) = [each for each in told["files"] if each["path"] == "one.txt"]
    assert one == {
        "storage": "default", "mode": "604", "modified_at": "2023-11-14T22:13:20Z", "size": 3,
        "path": "one.txt",
    }  # fmt: skip
    assert [rows for name, rows in told["tables"].items() if name.endswith("note")] == [3]
    assert "file  default  604  2023-11-14T22:13:20Z  3  one.txt" in said(
        capsys, "backup_list", backup.folder
    )
