"""Doing what a restore does before it touches anything, and expecting a refusal."""

from __future__ import annotations

import pytest
from django.utils import timezone

from backups import keys, opening, services, targets, verification
from backups.errors import BackupDamaged, BackupNotFound, IdentityWrong, SignerUnknown
from garrison.errors import Refusal
from tests.backups.conftest import tree


def fingerprint(site):
    return site.execute("SELECT count(*), max(id) FROM note"), tree(site.media)


def read_everything(site):
    """Do what every restore does before it touches anything."""
    opened = opening.open_backup(targets.target("backups"), site.backup.folder, keys.identities())
    verification.verify_opened(opened)


def restore(site):
    opened = services.find(folder=site.backup.folder)
    plan = services.plan(opened)
    services.restore(plan, confirm=plan.to_confirm, now=timezone.now())


def require_refused(site, what):
    with pytest.raises(Refusal) as refused:
        read_everything(site)
    expected = BackupDamaged | IdentityWrong | BackupNotFound | SignerUnknown
    assert isinstance(refused.value, expected), what
    return refused.value
