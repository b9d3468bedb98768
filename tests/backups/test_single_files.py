"""One file, or one folder, comes back alone, into a place of its own."""

import itertools
import json

import pytest
from django.core.management import CommandError, call_command

from audit.models import SecurityEvent
from backups import services
from backups.targets import Target
from tests.backups.conftest import engines, tree

pytestmark = pytest.mark.parametrize("engine", engines()[-1:], indirect=True)


@pytest.fixture
def bring(site, capsys, monkeypatch):
    """Restore by command; returns what it said, what the target was asked for, and what came."""
    site.write("deep/er/three.txt", "three").chmod(0o604)
    site.back_up()
    numbers, honest, asked = itertools.count(), Target.open, []

    def look(self, name):
        asked.append(name)
        return honest(self, name)

    monkeypatch.setattr(Target, "open", look)

    def run(path, *more):
        asked.clear()
        into = site.root / f"scratch{next(numbers)}"
        call_command("backup_restore", "--file", path, "--into", str(into), "--json", *more)
        told = json.loads(capsys.readouterr().out)
        return told, [name for name in asked if name.startswith("files/")], into

    return run


def test_one_file_or_folder_is_read_alone_and_nothing_that_exists_is_changed(site, bring):
    before = tree(site.media)
    (site.media / "deep/er/three.txt").unlink()
    told, asked, into = bring("deep/er/three.txt")
    assert (told["done"], asked, into.exists()) == (False, [], False), "the plan alone"
    told, asked, into = bring("deep/er/three.txt", "--yes")
    assert (told["files"], len(asked)) == (1, 1)
    assert tree(into) == {"default/deep/er/three.txt": b"three"}
    assert (into / "default/deep/er/three.txt").stat().st_mode & 0o777 == 0o604
    _told, asked, into = bring("default:deep/", "--yes")
    assert len(asked) == 2
    assert tree(into) == {f"default/{k}": v for k, v in before.items() if k.startswith("deep")}
    assert "deep/er/three.txt" not in tree(site.media)
    events = SecurityEvent.objects.of_kinds(["backups.restore.completed"])
    assert {event.data["files"] for event in events} == {1, 2}


@pytest.mark.parametrize("path", ["deep/er/thr", "other:one.txt", "../one.txt", "%2e%2e"])
def test_a_file_that_the_backup_does_not_hold_is_named(bring, path):
    with pytest.raises(CommandError, match=r"holds no file .*backup_list"):
        bring(path, "--yes")


def test_a_folder_that_exists_is_refused_and_a_damaged_file_leaves_nothing(site, bring):
    with pytest.raises(CommandError, match="Name a new folder"):
        bring("one.txt", "--yes", "--into", str(site.media))
    (one,) = services.find_files(services.find(), "one.txt")
    (site.target / one.blob).write_bytes(b"damaged")
    with pytest.raises(CommandError, match="cannot be decrypted"):
        bring("one.txt", "--yes")
    assert not list(site.root.glob("scratch*"))
