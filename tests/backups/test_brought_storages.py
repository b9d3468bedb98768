"""Storages that an app brings: their files are backed up without a setting of the site's."""

import shutil

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages as every
from django.utils import timezone

from backups import checks, services
from backups.errors import BackupsRefusal
from backups.models import Backup
from garrison import drills
from garrison.errors import ConfigurationError
from tests.backups.conftest import engines, storages, tree

pytestmark = pytest.mark.parametrize("engine", engines()[:1], indirect=True)


@pytest.fixture
def brought(site):
    """A storage of the app that owns ``Backup``, in this test."""
    files = {"OPTIONS": {"location": site.root / "attached"}}
    site.settings.STORAGES = storages(site.root, attached=storages(site.root)["backups"] | files)
    with drills.FILE_STORAGES.temporarily():
        drills.back_up_files("attached", owner=Backup)
        yield every["attached"]


def test_its_files_are_backed_up_and_come_back(site, brought):
    brought.save("letter.txt", ContentFile(b"dear"))
    backup = site.back_up(content="files")
    assert site.open(backup).manifest.files.storages == ["default", "attached"]
    assert backup.files == 3
    before = tree(site.root / "attached")
    shutil.rmtree(site.root / "attached")
    services.restore(services.plan(site.open(backup), content="files"), now=timezone.now())
    assert tree(site.root / "attached") == before != {}


def test_one_that_the_site_names_too_is_backed_up_once(site, brought):
    brought.save("letter.txt", ContentFile(b"dear"))
    site.settings.BACKUPS_FILE_STORAGES = ["attached", "default"]
    backup = site.back_up(content="files")
    assert site.open(backup).manifest.files.storages == ["attached", "default"]
    assert backup.files == 3


def test_one_that_is_not_in_storages_is_named_with_the_app_that_brings_it(site, brought):
    site.settings.STORAGES = storages(site.root)
    (found,) = checks.check_targets(None)
    assert found.id == "backups.W004"
    assert found.msg == "backups.models.backup brings 'attached', which is not in STORAGES."
    with pytest.raises(BackupsRefusal, match="'attached'"):
        site.back_up()


def test_no_target_may_lie_inside_it(site, brought):
    inside = {"OPTIONS": {"location": site.root / "attached" / "inside"}}
    site.settings.STORAGES = {
        **site.settings.STORAGES,
        "backups": storages(site.root)["backups"] | inside,
    }
    assert [found.id for found in checks.check_targets(None)] == ["backups.E005"]


def test_two_apps_do_not_bring_the_same_one(site, brought):
    drills.back_up_files("attached", owner=Backup)
    with pytest.raises(ConfigurationError, match="declared twice"):
        drills.back_up_files("attached", owner=ContentFile)
