"""A key that a kept backup needs is not retired."""

from __future__ import annotations

import pytest
from django.utils import timezone

from backups.models import Backup
from backups.models.run import State
from encryption import key_users, key_versions
from encryption.keyring import keyring

pytestmark = pytest.mark.django_db


def test_kept_backups_need_the_keys_of_their_day_and_failed_ones_none():
    key_versions.adopt()
    now = timezone.now()
    for state in (State.GOOD, State.FAILED):
        Backup.objects.create(state=state, snapshot_at=now, queued_at=now)

    reasons = key_users.reasons(keyring().active.id)

    [reason] = [reason for reason in reasons if "kept backups" in reason]
    assert reason.startswith("1 kept backups")
    assert "keep the key" in reason
