"""Links, pipes and names on a target lead nowhere: nothing is read, waited for or deleted there."""

import io
import os
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from backups import keys, manifest, pipeline, services
from backups.errors import BackupDamaged
from backups.files import Entry
from backups.models import Backup
from backups.pipeline import Sealed
from garrison.errors import Refusal
from tests.backups.conftest import engines, tree
from tests.backups.refusals import fingerprint, read_everything, require_refused, restore

first_engine = pytest.mark.parametrize("engine", engines()[:1], indirect=True)


def sign_instead(site, backup, change):
    """Sign a manifest with the site's own key: what only a machine of the site could do."""
    opened = site.open(backup)
    sealed = manifest.write(change(opened.manifest), keys.recipients())
    (site.target / backup.folder / "manifest.age").write_bytes(sealed)
    Backup.objects.filter(pk=backup.pk).update(manifest_sha256=manifest.sha256(sealed))


# -- hostile things in a folder --------------------------------------------------------------------
@first_engine
def test_pruning_deletes_nothing_behind_a_link_and_nothing_that_is_not_ours(site):
    site.settings.BACKUPS_KEEP_WEEKLY = site.settings.BACKUPS_KEEP_MONTHLY = 0
    site.settings.BACKUPS_KEEP_LAST = 1
    linked, mixed = site.back_up(), site.back_up()
    Backup.objects.update(snapshot_at=timezone.now() - timedelta(days=50))
    site.back_up()
    precious = site.root / "precious"
    precious.mkdir()
    for name in ("manifest.age", "database.dump.gz.age", "photo.jpg", "x.partial"):
        (precious / name).write_text("precious")
    shutil.rmtree(site.target / linked.folder)
    (site.target / linked.folder).symlink_to(precious)
    (site.target / mixed.folder / "photo.jpg").write_text("precious")
    assert services.prune(now=timezone.now()).failures == []
    assert len(list(precious.iterdir())) == 4
    assert not (site.target / linked.folder).exists()
    assert [p.name for p in (site.target / mixed.folder).iterdir()] == ["photo.jpg"]


@first_engine
def test_sweeping_leaves_what_other_sites_are_writing(site):
    others = [
        site.target / "another-site" / "20261124T020003127Z-0f2e9a77c1d4" / "database.gz.partial",
        site.target / "another-site" / "files" / "aa" / "b.gz.age.partial",
        site.target / "theirs.partial",
    ]
    ours = [
        site.target / "20261124T020003127Z-0f2e9a77c1d4" / "database.dump.gz.age.partial",
        site.target / "files" / "aa" / "b.gz.age.partial",
    ]
    for path in (*others, *ours):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    site.back_up()
    assert all(path.exists() for path in others)
    assert not any(path.exists() for path in ours)


@first_engine
@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_pipe_or_a_link_in_the_place_of_a_part_is_refused_and_not_waited_for(bulky, kind):
    for path in sorted(p for p in bulky.target.rglob("*") if p.is_file()):
        aside = bulky.root / "aside"
        path.rename(aside)
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "link":
            path.symlink_to(aside)
        else:
            path.mkdir()
        require_refused(bulky, path.name)
        path.rmdir() if kind == "folder" else path.unlink()
        aside.rename(path)
    read_everything(bulky)


@first_engine
def test_a_folder_whose_name_ends_in_a_line_end_is_none_of_ours(site):
    backup = site.back_up()
    shutil.copytree(site.target / backup.folder, site.target / f"{backup.folder}\n")
    (site.target / backup.folder / "manifest.age\n").write_text("x")
    assert services.find().folder == backup.folder
    with pytest.raises(Refusal):
        services.find(folder=f"{backup.folder}\n")


# -- hostile names ---------------------------------------------------------------------------------
@first_engine
@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", "/etc/passwd", "a\nb", "x\0y", "", "..", "database.dump.gz.age/../x"],
)
def test_a_part_may_not_lie_anywhere_else(site, name):
    """Even where the signature is right: a bug or an insider must not lead out of the folder."""
    site.backup = site.back_up()
    what = "files"

    def change(described):
        part = manifest.Part(name, described.parts[what].sealed)
        return replace(described, parts={**described.parts, what: part})

    sign_instead(site, site.backup, change)
    assert "expected form" in require_refused(site, name).detail


@first_engine
@pytest.mark.parametrize("alias", ["../x", "nowhere", "de\nfault", "\0"])
def test_files_go_into_known_storages_only(site, alias):
    site.backup = site.back_up()
    before = fingerprint(site)

    def change(described):
        return replace(described, files=replace(described.files, storages=[alias]))

    sign_instead(site, site.backup, change)
    with pytest.raises(BackupDamaged, match="not in STORAGES"):
        restore(site)
    assert fingerprint(site) == before


@first_engine
@pytest.mark.parametrize("path", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "nul\0"])
def test_a_signed_list_may_not_lead_out_of_its_storage(site, path):
    backup = site.backup = site.back_up()
    before = tree(site.root)
    entry = Entry("files/aa/b.gz.age", Sealed("0" * 64, 1, "0" * 64, 1), "default", path)
    out = io.BytesIO()
    sealed = pipeline.seal(
        source=io.BytesIO(entry.line().encode()), out=out, recipients=keys.recipients()
    )
    name = site.open(backup).manifest.parts["files"].name
    (site.target / backup.folder / name).write_bytes(out.getvalue())

    def change(described):
        return replace(described, parts={**described.parts, "files": manifest.Part(name, sealed)})

    sign_instead(site, backup, change)
    assert "outside of its storage" in require_refused(site, path).detail
    with pytest.raises(BackupDamaged, match="outside of its storage"):
        restore(site)
    changed = {name for name, content in tree(site.root).items() if before.get(name) != content}
    assert {n.partition("/")[0] for n in changed} <= {"backups", "source.sqlite3-shm"}


@pytest.mark.parametrize("between", ["\n", "\r\n", "\0", " ", ","])
def test_a_recipient_with_a_line_end_in_it_is_no_recipient(settings, between):
    one, two = keys.generate()[1], keys.generate()[1]
    settings.BACKUPS_RECIPIENTS = [f"{one}{between}{two}"]
    with pytest.raises(Refusal, match="Entry 1") as refused:
        keys.recipients()
    assert "\n" not in refused.value.detail
