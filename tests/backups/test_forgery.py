"""Whoever can write to a target can lie with it, and is not believed.

age encrypts to a public key, so an outsider can make parts that open; and he can delete, withhold,
put back and swap what is there.
"""

import io
import json
import shutil
from dataclasses import replace

import pyrage
import pytest
from django.utils import timezone

from backups import keys, manifest, pipeline, services, signing
from backups.errors import BackupDamaged, SignerUnknown, TargetFailed
from backups.models import Backup
from backups.services import indexing
from garrison.errors import Refusal
from tests.backups.conftest import engines, storages
from tests.backups.refusals import fingerprint, read_everything, require_refused, restore

first_engine = pytest.mark.parametrize("engine", engines()[:1], indirect=True)


def sealed_by_an_outsider(content):
    """Encrypt to the site's public key, as anybody can."""
    out = io.BytesIO()
    pipeline.seal(source=io.BytesIO(content), out=out, recipients=keys.recipients())
    return out.getvalue()


def clear_manifest(site, backup):
    path = site.target / backup.folder / "manifest.age"
    return path, pyrage.decrypt(path.read_bytes(), keys.identities())


# -- forged ----------------------------------------------------------------------------------------
def test_a_part_that_an_outsider_encrypted_is_refused(bulky):
    before = fingerprint(bulky)
    for path in sorted(bulky.target.rglob("*.age")):
        if path.name.startswith("manifest"):
            continue
        whole = path.read_bytes()
        path.write_bytes(sealed_by_an_outsider(b"DROP TABLE note;"))
        assert "is not the one that the manifest names" in require_refused(bulky, path.name).detail
        with pytest.raises(Refusal):
            restore(bulky)
        path.write_bytes(whole)
    assert fingerprint(bulky) == before
    read_everything(bulky)


def test_a_manifest_that_an_outsider_encrypted_is_refused(bulky, monkeypatch):
    """Anybody can encrypt to a public key; only this site's machines can sign."""
    opened = bulky.open(bulky.backup)
    recipients = keys.recipients()
    bulky.settings.BACKUPS_SIGNING_SECRET = "an outsider's own secret"
    path = bulky.target / bulky.backup.folder / "manifest.age"
    path.write_bytes(manifest.write(replace(opened.manifest, signer=signing.signer()), recipients))
    bulky.settings.BACKUPS_SIGNING_SECRET = ""
    refusal = require_refused(bulky, "forged")
    assert "not a key of this site" in refusal.detail
    # The index knows what was written there: no key is needed to see that this is not it.
    with pytest.raises(BackupDamaged, match="not the one that was written"):
        services.verify(now=timezone.now())


def test_a_body_changed_under_an_honest_signature_is_refused(bulky):
    path = bulky.target / bulky.backup.folder / "manifest.age"
    clear = pyrage.decrypt(path.read_bytes(), keys.identities())
    head, _, body = clear.partition(b"\n")
    fields = json.loads(body)
    fields["databases"]["database"]["tables"] = []
    changed = head + b"\n" + json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    path.write_bytes(pyrage.encrypt(changed, keys.recipients().keys))
    assert "altered" in require_refused(bulky, "altered").detail


def test_a_whole_backup_of_an_outsider_is_neither_restored_nor_listed(bulky):
    mine = bulky.target / bulky.backup.folder
    folder = "20990101T000000000Z-000000000000"
    planted = bulky.target / folder
    shutil.copytree(mine, planted)
    described = replace(bulky.open(bulky.backup).manifest, folder=folder)
    bulky.settings.BACKUPS_SIGNING_SECRET = "an outsider's own secret"
    forged = replace(described, signer=signing.signer())
    (planted / "manifest.age").write_bytes(manifest.write(forged, keys.recipients()))
    bulky.settings.BACKUPS_SIGNING_SECRET = ""
    with pytest.raises(SignerUnknown, match="not a key of this site"):
        services.find()
    Backup.objects.all().delete()
    assert indexing.rebuild(now=timezone.now()) == 1
    assert services.find(folder=bulky.backup.folder).folder == bulky.backup.folder


def test_a_manifest_that_says_it_is_plain_is_refused(bulky):
    """Taking the encryption off must not take the signature off with it."""
    path, clear = clear_manifest(bulky, bulky.backup)
    path.with_name("manifest").write_bytes(clear)
    path.unlink()
    assert "encryption" in require_refused(bulky, "downgraded").detail


# -- swapped, withheld, rolled back ----------------------------------------------------------------
def test_a_backup_copied_under_another_name_is_refused(bulky):
    """An old backup may not be passed off as a newer one."""
    mine = bulky.target / bulky.backup.folder
    shutil.copytree(mine, bulky.target / "20990101T000000000Z-000000000000")
    with pytest.raises(BackupDamaged, match="swapped"):
        services.find()


def test_a_genuine_manifest_that_the_index_does_not_know_is_refused(bulky):
    path = bulky.target / bulky.backup.folder / "manifest.age"
    clear = pyrage.decrypt(path.read_bytes(), keys.identities())
    path.write_bytes(pyrage.encrypt(clear, keys.recipients().keys))
    with pytest.raises(BackupDamaged, match="not the one that was written"):
        restore(bulky)


@first_engine
def test_parts_of_another_backup_on_another_target_are_refused(site):
    other = storages(site.root)["backups"] | {"OPTIONS": {"location": site.root / "other"}}
    site.settings.STORAGES = storages(site.root, other=other)
    site.settings.BACKUPS_TARGETS = ["backups", "other"]
    first = site.backup = site.back_up()
    site.script("INSERT INTO note VALUES (99, 'later')")
    site.write("one.txt", "changed")
    second = site.back_up()
    for path in sorted((site.target / first.folder).iterdir()):
        whole = path.read_bytes()
        assert (site.root / "other" / first.folder / path.name).read_bytes() == whole
        shutil.copy(site.root / "other" / second.folder / path.name, path)
        require_refused(site, path.name)
        path.write_bytes(whole)
    mine = {entry.path: entry for entry in entries(site, first)}
    theirs = {entry.path: entry for entry in entries(site, second)}
    shutil.copy(site.root / "other" / theirs["one.txt"].blob, site.target / mine["one.txt"].blob)
    require_refused(site, "a file of the other backup")


def entries(site, backup):
    found = []
    site.open(backup).each_file(found.append)
    return found


@first_engine
def test_an_older_backup_is_not_passed_off_as_the_newest(site):
    first = site.back_up()
    newest = site.back_up()
    shutil.rmtree(site.target / newest.folder)
    with pytest.raises(BackupDamaged, match=f"newer backup, {newest.folder}"):
        services.find()
    assert services.find(folder=first.folder).folder == first.folder, "named, it is what is meant"


@first_engine
def test_a_damaged_newest_backup_is_told_and_no_older_one_is_taken_from_anywhere(site):
    other = storages(site.root)["backups"] | {"OPTIONS": {"location": site.root / "other"}}
    site.settings.STORAGES = storages(site.root, other=other)
    site.settings.BACKUPS_TARGETS = ["backups", "other"]
    site.back_up()
    site.settings.BACKUPS_TARGETS = ["backups"]
    newest = site.back_up()
    site.settings.BACKUPS_TARGETS = ["other", "backups"]
    assert services.find().folder == newest.folder, "of all targets, not of the first"
    (site.target / newest.folder / "manifest.age").write_bytes(b"nonsense")
    Backup.objects.all().delete()
    with pytest.raises(BackupDamaged, match="cannot be decrypted"):
        services.find()


@first_engine
def test_a_target_that_is_away_leaves_the_others(site, monkeypatch):
    from backups.targets import Target

    other = storages(site.root)["backups"] | {"OPTIONS": {"location": site.root / "other"}}
    site.settings.STORAGES = storages(site.root, other=other)
    site.settings.BACKUPS_TARGETS = ["other", "backups"]
    backup = site.back_up()
    honest = Target.list

    def away(self, folder):
        if self.alias == "other":
            raise ConnectionResetError
        return honest(self, folder)

    monkeypatch.setattr(Target, "list", away)
    assert services.find().target.alias == "backups"
    assert services.find(folder=backup.folder).target.alias == "backups"
    with pytest.raises(TargetFailed, match="cannot be listed"):
        services.find(target="other")
    assert site.back_up().copies.get(target="backups").state == "good"
