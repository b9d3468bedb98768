"""What PostgreSQL's log holds when statements fail: the statements, and no secret of anybody."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.backends.db import SessionStore
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.utils import timezone

from accounts import codes, pending
from accounts.models import MailedCode, PendingSignIn
from accounts.models.mailed_code import Purpose
from accounts.services import register
from sessions_tracking import services
from sessions_tracking.models import Session
from tests.accounts.conftest import PASSWORD
from tests.database_log import READABLE, fail, locked_tables, written_during

pytestmark = READABLE
TABLES = ["accounts_user", "accounts_mailedcode", "accounts_pendingsignin", "django_session"]
TABLES += [Session._meta.db_table]


def waiting_backends(number: int) -> list[int]:
    """Return the connections that wait for a lock, once there are so many."""
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            found = [pid for (pid,) in cursor.fetchall()]
        if len(found) >= number:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{number} should wait; {len(found)} do")


def on_own_connection(act: Any) -> Any:
    try:
        return act()
    finally:
        connections.close_all()


def test_no_failing_statement_leaves_a_secret_in_the_log(ada):
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

    def act():
        with pytest.raises(IntegrityError), transaction.atomic():
            stranger.save(force_insert=True)
        with locked_tables(*TABLES):
            for write in (
                lambda: ada.save(update_fields=["password"]),
                lambda: services.rotate(refresh_token=pair.refresh),
                lambda: codes.issue(
                    user_id=ada.pk, purpose=Purpose.VERIFY_EMAIL, now=timezone.now()
                ),
                lambda: MailedCode.objects.filter(digest=digest).delete(),
                browser.save,
                half_done.save,
            ):
                fail(write)

    written = written_during(act)
    for table in TABLES:
        assert f'"{table}"' in written.replace("\\", ""), "the statement is there to be found"
    secrets = (stranger.password, ada.password, digest, browser.session_key, token)
    for secret in (*secrets, "state-of-password", pair.refresh, pair.access):
        assert secret not in written


def test_two_who_register_one_address_at_once_fail_no_statement():
    """Both have found the address free; which of them adds it, the row decides."""
    address = "both-at-once@example.org"

    def act():
        with ThreadPoolExecutor(2) as pool:
            with locked_tables("accounts_user"):
                both = [
                    pool.submit(
                        on_own_connection, lambda: register(email=address, password=PASSWORD)
                    )
                    for _ in range(2)
                ]
                waiting_backends(2)
            for one in both:
                one.result()

    assert address not in written_during(act), "the detail of a violation names it"
    assert get_user_model().objects.filter(email=address).count() == 1


def test_a_deadlock_logs_both_statements_and_no_secret(ada):
    bob = get_user_model().objects.create_user("bob@example.org", PASSWORD)
    hashes = {user.pk: make_password(f"the next one of {user.email}") for user in (ada, bob)}
    both_hold_one = threading.Barrier(2)

    def write(first, second):
        with transaction.atomic():
            get_user_model().objects.select_for_update().get(pk=first.pk)
            both_hold_one.wait(timeout=30)
            second.password = hashes[second.pk]
            second.save(update_fields=["password"])

    def act():
        with ThreadPoolExecutor(2) as pool:
            ends = [
                pool.submit(on_own_connection, lambda one=one, two=two: write(one, two))
                for one, two in ((ada, bob), (bob, ada))
            ]
            failures = [end.exception() for end in ends]
        assert len([f for f in failures if isinstance(f, DatabaseError)]) == 1, failures

    written = written_during(act)
    assert "deadlock detected" in written
    assert 'UPDATE "accounts_user" SET "password"' in written
    for secret in hashes.values():
        assert secret not in written


def test_a_connection_that_is_cut_off_logs_its_statement_and_no_secret(ada):
    ada.password = make_password("the next one")

    def act():
        with ThreadPoolExecutor(1) as pool, locked_tables("accounts_user"):
            end = pool.submit(on_own_connection, lambda: ada.save(update_fields=["password"]))
            with connection.cursor() as cursor:
                for pid in waiting_backends(1):
                    cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
            assert isinstance(end.exception(timeout=30), OperationalError)

    written = written_during(act)
    assert "terminating connection" in written
    assert 'UPDATE "accounts_user" SET "password"' in written
    assert ada.password not in written
