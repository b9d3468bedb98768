"""Whatever is done to a backup, it is refused before the target database is touched."""

import random
import shutil

import pytest
from django.utils import timezone

from backups import keys, services
from backups.errors import (
    BackupDamaged,
    IdentityMissing,
    IdentityWrong,
    VerificationIndeterminate,
)
from backups.models import Backup
from backups.models.backup import CopyState
from garrison.errors import Refusal
from tests.backups.conftest import engines
from tests.backups.refusals import fingerprint, read_everything, require_refused, restore

FLIPS = 1000
CHUNK = 64 * 1024

first_engine = pytest.mark.parametrize("engine", engines()[:1], indirect=True)


@pytest.mark.slow
@first_engine
def test_a_thousand_flipped_bits_are_all_found(bulky):
    before = fingerprint(bulky)
    chance = random.Random(20261124)
    stored = sorted(p for p in bulky.target.rglob("*") if p.is_file())
    assert len(stored) == 6
    for number in range(FLIPS):
        path = stored[number % len(stored)]
        whole = path.read_bytes()
        place, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        require_refused(bulky, f"{path.name}: bit {bit} of byte {place}")
        path.write_bytes(whole)
    read_everything(bulky)
    assert fingerprint(bulky) == before


@pytest.mark.slow
@first_engine
def test_a_cut_at_every_64_kib_is_found(bulky):
    cuts = 0
    for path in sorted(p for p in bulky.target.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        for size in {*range(0, len(whole), CHUNK), len(whole) - 1, len(whole) - 16}:
            path.write_bytes(whole[:size])
            require_refused(bulky, f"{path.name} cut to {size}")
            cuts += 1
        path.write_bytes(whole)
    assert cuts >= 20
    read_everything(bulky)


@first_engine
def test_bytes_behind_the_end_are_found(bulky):
    for path in sorted(p for p in bulky.target.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        path.write_bytes(whole + b"\0")
        require_refused(bulky, path.name)
        path.write_bytes(whole)


def test_a_missing_part_is_found(bulky):
    for path in sorted(p for p in bulky.target.rglob("*") if p.is_file()):
        aside = path.with_name("aside")
        path.rename(aside)
        require_refused(bulky, path.name)
        aside.rename(path)


def test_parts_of_another_backup_are_found(bulky):
    """Whole, genuine, ours, and yet not of this backup."""
    bulky.script("INSERT INTO note VALUES (99, 'later')")
    bulky.write("one.txt", "changed")
    other = bulky.target / bulky.back_up().folder
    mine = bulky.target / bulky.backup.folder
    for path in sorted(mine.iterdir()):
        whole = path.read_bytes()
        shutil.copy(other / path.name, path)
        require_refused(bulky, path.name)
        path.write_bytes(whole)


def test_swapped_files_are_found(bulky):
    first, second = sorted((bulky.target / "files").rglob("*.age"))[:2]
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    require_refused(bulky, "swapped files")


def test_a_spliced_chunk_is_found(bulky):
    """age binds each chunk to its place: two chunks of one file that change places do not open."""
    path = max(bulky.target.rglob("*.age"), key=lambda p: p.stat().st_size)
    whole = path.read_bytes()
    sealed = CHUNK + 16
    body = whole.index(b"\n---") + 1
    body = whole.index(b"\n", body) + 1 + 16  # behind the header and the nonce
    one, two = whole[body : body + sealed], whole[body + sealed : body + 2 * sealed]
    assert len(two) == sealed
    path.write_bytes(whole[:body] + two + one + whole[body + 2 * sealed :])
    require_refused(bulky, "spliced")


def test_a_damaged_backup_is_refused_by_the_restore_itself(bulky):
    before = fingerprint(bulky)
    for path in sorted(p for p in bulky.target.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(Refusal):
            restore(bulky)
        path.write_bytes(whole)
        assert fingerprint(bulky) == before
    assert Backup.objects.filter(kind="safety").count() == 0, "refused before the safety backup"


def test_the_wrong_identity_opens_nothing_and_says_so(bulky, tmp_path):
    before = fingerprint(bulky)
    other = tmp_path / "other.txt"
    other.write_text(keys.generate()[0])
    bulky.settings.BACKUPS_IDENTITY_FILE = str(other)
    with pytest.raises(IdentityWrong, match="backup_list"):
        restore(bulky)
    with pytest.raises(VerificationIndeterminate, match="None of the identities"):
        services.verify(now=timezone.now())
    assert bulky.backup.copies.get().state == CopyState.GOOD, "a wrong key is no damage"
    assert fingerprint(bulky) == before


def test_without_an_identity_nothing_is_opened(bulky):
    bulky.settings.BACKUPS_IDENTITY_FILE = ""
    with pytest.raises(IdentityMissing):
        restore(bulky)


def test_verification_marks_what_it_finds_and_takes_it_back(bulky):
    path = next((bulky.target / "files").rglob("*.age"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(BackupDamaged):
        services.verify(now=timezone.now())
    bulky.backup.refresh_from_db()
    assert bulky.backup.copies.get().state == CopyState.DAMAGED
    assert bulky.backup.damage
    assert bulky.backup.verified_at is None

    path.write_bytes(whole)
    found = services.verify(now=timezone.now())
    bulky.backup.refresh_from_db()
    assert found["backups"].level == "opened"
    assert bulky.backup.copies.get().state == CopyState.GOOD
    assert bulky.backup.damage == ""
    assert bulky.backup.verified_at
    assert bulky.backup.opened_at


@pytest.mark.parametrize("part", ["manifest.age", "files.tsv.gz.age", "files"])
def test_without_an_identity_damage_is_found_by_the_index(bulky, part):
    bulky.settings.BACKUPS_IDENTITY_FILE = ""
    assert services.verify(now=timezone.now())["backups"].level == "intact"
    bulky.backup.refresh_from_db()
    assert bulky.backup.opened_at is None
    path = (
        next((bulky.target / "files").rglob("*.age"))
        if part == "files"
        else bulky.target / bulky.backup.folder / part
    )
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BackupDamaged):
        services.verify(now=timezone.now())
