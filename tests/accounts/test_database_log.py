"""What PostgreSQL's log holds when statements fail: the statements, and no secret of anybody."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.utils import timezone

from accounts import codes, pending
from accounts.models import MailedCode, PendingSignIn
from accounts.models.mailed_code import Purpose
from sessions_tracking import services
from sessions_tracking.models import Session

LOG = Path(os.environ["VAR_DIR"]).parent / "servers" / "log" / "postgresql.log"
pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    # With TEST_DATABASE_URL the server is somebody else's, and its log is out of this test's reach.
    pytest.mark.skipif(not LOG.exists(), reason="the log of a server that runs elsewhere"),
]
TABLES = ["accounts_user", "accounts_mailedcode", "accounts_pendingsignin", "django_session"]
TABLES += [Session._meta.db_table]


@contextmanager
def locked_tables() -> Iterator[Any]:
    """Hold every table from a connection of its own, so that each write must wait."""
    other = connections["default"].copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {', '.join(TABLES)} IN EXCLUSIVE MODE")
        yield other
    finally:
        other.close()


def fail(act: Callable[[], Any]) -> None:
    """Let the act wait for a lock until the server cancels it."""
    with pytest.raises((DatabaseError, UpdateError)), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 40")
        act()


def test_no_failing_statement_leaves_a_secret_in_the_log(ada):
    begins_at = LOG.stat().st_size
    stranger = get_user_model()(email=ada.email, password=make_password("a secret, hashed"))
    pair = services.start_token_session(user=ada, amr=["pwd"])
    codes.issue(user_id=ada.pk, purpose=Purpose.VERIFY_EMAIL, now=timezone.now())
    digest = MailedCode.objects.get(user=ada).digest
    browser = SessionStore()
    browser["who"] = "ada"
    browser.save()
    token = pending.digest_of("half-done")
    half_done = PendingSignIn(digest=token, user=ada, state="state-of-password", origin="o" * 64)
    half_done.reservations, half_done.amr, half_done.passed = [], [], []
    half_done.expires_at = timezone.now()
    with pytest.raises(IntegrityError), transaction.atomic():
        stranger.save(force_insert=True)
    with locked_tables():
        for act in (
            lambda: ada.save(update_fields=["password"]),
            lambda: services.rotate(refresh_token=pair.refresh),
            lambda: codes.issue(user_id=ada.pk, purpose=Purpose.VERIFY_EMAIL, now=timezone.now()),
            lambda: MailedCode.objects.filter(digest=digest).delete(),
            browser.save,
            half_done.save,
        ):
            fail(act)
    written = LOG.read_bytes()[begins_at:].decode()
    for table in TABLES:
        assert f'"{table}"' in written.replace("\\", ""), "the statement is there to be found"
    secrets = (stranger.password, ada.password, digest, browser.session_key, token)
    for secret in (*secrets, "state-of-password", pair.refresh, pair.access):
        assert secret not in written
