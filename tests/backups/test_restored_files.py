"""Restoring files: set aside, changed places, moved back; and never more than was asked for."""

import itertools

import pytest
from django.utils import timezone

from backups import services
from backups.errors import BackupDamaged
from backups.restore import staging
from tests.backups.conftest import storages, tree
from tests.backups.storages import Objects

postgresql_only = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
sqlite_only = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def restore(site, backup, **options):
    plan = services.plan(site.open(backup), safety=options.pop("safety", True))
    confirm = options.pop("confirm", plan.to_confirm)
    return services.restore(plan, confirm=confirm, now=timezone.now(), **options)


def rows(site):
    return site.execute("SELECT * FROM note ORDER BY id")


def test_only_the_files_or_only_the_database(site):
    backup = site.back_up()
    site.execute("INSERT INTO note VALUES (4, 'new')")
    site.write("one.txt", "changed")
    opened = site.open(backup)
    services.restore(services.plan(opened, content="files"), now=timezone.now())
    assert len(rows(site)) == 4
    assert "changed" not in (site.media / "one.txt").read_text()

    site.write("one.txt", "changed")
    plan = services.plan(opened, content="database")
    services.restore(plan, confirm=plan.to_confirm, now=timezone.now())
    assert len(rows(site)) == 3
    assert (site.media / "one.txt").read_text() == "changed"


def test_files_from_before_are_set_aside_not_deleted(site):
    backup = site.back_up()
    site.write("one.txt", "precious")
    site.write("later.txt", "later")
    done = restore(site, backup)
    assert set(tree(site.media)) >= {"one.txt", "deep/er/two.bin"}
    assert not (site.media / "later.txt").exists()
    (aside,) = site.media.glob(".garrison-before-*")
    assert done.kept_files == (str(aside),)
    assert (aside / "one.txt").read_text() == "precious"
    assert (aside / "later.txt").read_text() == "later"


def test_files_that_cannot_change_places_are_moved_back(site, monkeypatch):
    backup = site.back_up(content="files")
    site.write("one.txt", "now")
    before = tree(site.media)
    honest, moves = staging.StagedFiles._move, []

    def fail_third(self, path, to):
        moves.append(path)
        if len(moves) == 3:
            raise OSError("no")
        honest(self, path, to)

    monkeypatch.setattr(staging.StagedFiles, "_move", fail_third)
    with pytest.raises(OSError, match="no"):
        restore(site, backup)
    assert tree(site.media) == before
    assert not list(site.media.glob(".garrison-*"))


def test_a_restore_that_is_killed_while_files_change_places_is_made_good_by_the_next(
    site, monkeypatch
):
    """Killed: nobody moves anything back. Nothing is lost, and nothing staged stays behind."""
    for name in "abcdef":
        site.write(f"{name}.txt", f"then {name}")
    backup = site.back_up(content="files")
    then = tree(site.media)
    for name in "abcdef":
        site.write(f"{name}.txt", f"now {name}")
    now = set(tree(site.media).values())
    honest, moves = staging.StagedFiles._move, itertools.count(1)

    class Killed(BaseException):
        pass

    def die(self, path, to):
        if next(moves) == 11:  # the old ones are aside, and three of the new ones in place
            raise Killed
        honest(self, path, to)

    with monkeypatch.context() as dying:
        dying.setattr(staging.StagedFiles, "_move", die)
        dying.setattr(staging.StagedFiles, "_move_back", lambda self: None)
        with pytest.raises(Killed):
            restore(site, backup)
    assert list(site.media.glob(".garrison-new-*"))
    restore(site, backup)
    left = tree(site.media)
    aside = {name: content for name, content in left.items() if name.startswith(".garrison-")}
    assert {name: left[name] for name in left if name not in aside} == then
    assert not list(site.media.glob(".garrison-new-*"))
    assert now <= set(aside.values()) | set(then.values()), "the old data is still there"


def test_files_in_an_object_store_are_replaced_where_they_differ(site):
    bucket = {"BACKEND": "tests.backups.storages.Objects", "OPTIONS": {"bucket": "media"}}
    Objects.stores.clear()
    site.settings.STORAGES = storages(site.root, media=bucket)
    site.settings.BACKUPS_FILE_STORAGES = ["media"]
    store = Objects.stores["media"] = {"a": b"one", "b/c": b"two"}
    backup = site.back_up(content="files")
    Objects.stores["media"] |= {"a": b"changed", "later": b"x"}
    del store["b/c"]
    done = restore(site, backup)
    assert Objects.stores["media"] == {"a": b"one", "b/c": b"two", "later": b"x"}
    assert done.files == 2


def test_files_of_a_storage_that_is_not_here_are_refused_before_anything(site):
    site.add_file_storage()
    backup = site.back_up()
    site.settings.STORAGES = storages(site.root)
    site.execute("INSERT INTO note VALUES (4, 'new')")
    with pytest.raises(BackupDamaged, match="'other'"):
        restore(site, backup)
    assert len(rows(site)) == 4
