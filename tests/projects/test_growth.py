"""What grows ends: every table is listed with its bound, and every cleaner keeps to it."""

import re
import threading
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session as DjangoSession
from django.db import connection, connections
from django.utils import timezone

from accounts.models import LockoutBucket, MailedCode, PendingSignIn, TrustedDevice
from accounts.services.cleaning import clean
from accounts.tasks import clean_accounts
from audit import retention
from audit.models import EventCount, SecurityEvent
from audit.tasks import recount_events, remove_old
from config.celery import app as celery_app
from garrison.events import Severity
from sessions_tracking.models import Session
from sessions_tracking.services import clean_sessions as clean_session_rows
from sessions_tracking.tasks import clean_sessions
from tests.architecture.house import ROOT

PAGE = (ROOT / "docs/operations.md").read_text()
NOW = timezone.now()
DAY = timedelta(days=1)


def listed():
    """Return ``app.Model`` for each of the page's tables; a row may name several of one app."""
    for line in PAGE.splitlines():
        if line.startswith("| `"):
            first, *more = re.findall(r"`([\w.]+)`", line.split("|")[1])
            app, _, name = first.partition(".")
            yield from (f"{app}.{model}" for model in (name, *more))


def test_the_page_lists_every_model_of_every_installed_app_once():
    models = {model._meta.label for model in apps.get_models(include_auto_created=True)}
    assert sorted(listed()) == sorted(models)


@pytest.mark.django_db
def test_the_tasks_that_the_page_names_are_scheduled():
    celery_app.loader.import_default_modules()
    named = set(re.findall(r"`(\w+\.tasks\.\w+)`", PAGE))
    assert len(named) >= 4
    assert named <= {entry["task"] for entry in celery_app.conf.beat_schedule.values()}


def person(address, **fields):
    return get_user_model().objects.create_user(address, **fields)


def pair_of(model, column, old, young, **fields):
    """Make two rows that differ in one instant, and whatever must not be equal."""
    for number, at in enumerate((old, young)):
        unlike = {
            name: value(number) if callable(value) else value for name, value in fields.items()
        }
        row = model(**unlike, **{column: at})
        row.save()
        model.objects.filter(pk=row.pk).update(**{column: at})


def make_rows():
    """Make an old and a young row in each table that has a cleaner."""
    owner = person("owner@example.org", email_verified_at=NOW)
    purposes = ["verify_email", "reset_password"]
    pair_of(
        *(MailedCode, "expires_at", NOW - DAY, NOW + DAY),
        user=owner,
        purpose=lambda n: purposes[n],
        digest="d",
    )
    pair_of(
        *(PendingSignIn, "expires_at", NOW - DAY, NOW + DAY),
        digest=lambda n: f"{n}",
        user=owner,
        reservations=[],
        amr=[],
        passed=[],
    )
    pair_of(
        *(TrustedDevice, "expires_at", NOW - DAY, NOW + DAY),
        user=owner,
        name="a device",
        created_at=NOW,
        last_used_at=NOW,
    )
    pair_of(
        *(LockoutBucket, "window_started_at", NOW - 3 * DAY, NOW),
        key=lambda n: f"account:{n}",
        places=5,
        taken=1,
        locks=0,
    )
    pair_of(
        *(AccessAttempt, "attempt_time", NOW - 3 * DAY, NOW),
        username=lambda n: f"{n}",
        ip_address="::",
        failures_since_start=1,
    )
    pair_of(
        *(DjangoSession, "expire_date", NOW - DAY, NOW + DAY),
        session_key=lambda n: f"{n}",
        session_data="",
    )
    pair_of(
        *(LogEntry, "action_time", NOW - 731 * DAY, NOW - 729 * DAY),
        user=owner,
        action_flag=ADDITION,
    )
    pair_of(
        *(Session, "ended_at", NOW - 91 * DAY, NOW - 89 * DAY),
        user=owner,
        kind="cookie",
        end_reason="test",
        created_at=NOW,
        authenticated_at=NOW,
        rotated_at=NOW,
        last_seen_at=NOW,
        idle_expires_at=NOW,
        expires_at=NOW,
    )
    pair_of(
        *(get_user_model(), "joined_at", NOW - 31 * DAY, NOW - 29 * DAY),
        email=lambda n: f"never-verified-{n}@example.org",
    )
    pair_of(
        *(EventCount, "starts_at", NOW - 32 * DAY, NOW - 30 * DAY),
        period=EventCount.MINUTE,
        kind="tests.door.opened",
        severity=1,
        outcome="success",
        count=1,
    )


TABLES = [
    MailedCode, PendingSignIn, TrustedDevice, LockoutBucket, AccessAttempt, DjangoSession, LogEntry,
    Session,
]  # fmt: skip


def run_cleaners():
    for task in (clean_accounts, clean_sessions, remove_old, recount_events):
        task()


def at_once(work, times=2):
    failures = []

    def run():
        try:
            work()
        except Exception as failure:  # noqa: BLE001 - the test looks at it
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.django_db(transaction=True)
def test_what_is_older_than_its_bound_goes_and_what_is_younger_stays_also_twice_at_once():
    make_rows()
    at_once(run_cleaners) if connection.vendor == "postgresql" else run_cleaners()
    for _ in range(2):
        assert {model: model.objects.count() for model in TABLES} == dict.fromkeys(TABLES, 1)
        addresses = get_user_model().objects.values_list("email", flat=True)
        assert sorted(addresses) == ["never-verified-1@example.org", "owner@example.org"]
        assert EventCount.objects.filter(kind="tests.door.opened").count() == 1
        run_cleaners()


@pytest.mark.django_db
def test_cleaners_work_in_batches():
    owner = person("owner@example.org", email_verified_at=NOW)
    for number in range(5):
        pair_of(LogEntry, "action_time", NOW - 800 * DAY, NOW, user=owner, action_flag=ADDITION)
        person(f"p{number}@example.org", joined_at=NOW - 31 * DAY)
        LockoutBucket.objects.create(
            key=f"account:{number}", places=5, taken=1, locks=0, window_started_at=NOW - 3 * DAY
        )
    assert retention.clean_admin_log(now=NOW, batch_rows=2) == 5
    deleted = clean(now=NOW, batch_rows=2)
    assert (deleted["unverified"], deleted["buckets"]) == (5, 5)
    assert clean_session_rows(batch_rows=2) == 0
    events = SecurityEvent.objects.filter(kind="accounts.user.deleted")
    assert [event.severity for event in events] == [Severity.LOW] * 5


@pytest.mark.django_db
@pytest.mark.parametrize(
    "used",
    [
        {"email_verified_at": NOW},
        {"last_login": NOW},
        {"is_staff": True},
        {"is_superuser": True},
        {"is_active": False},
    ],
    ids=lambda used: next(iter(used)),
)
def test_an_account_that_somebody_used_or_decided_on_is_kept(used):
    person("ada@example.org", joined_at=NOW - 400 * DAY, **used)
    assert clean(now=NOW)["unverified"] == 0


@pytest.mark.django_db
def test_an_account_to_which_a_row_points_is_kept(settings):
    for name, hold in {
        "code": lambda user: MailedCode.objects.create(
            user=user, purpose="verify_email", digest="d", expires_at=NOW + DAY
        ),
        "log": lambda user: LogEntry.objects.create(user=user, action_flag=ADDITION),
        "group": lambda user: user.groups.create(name="readers"),
    }.items():
        hold(person(f"{name}@example.org", joined_at=NOW - 400 * DAY))
    person("nobody@example.org", joined_at=NOW - 400 * DAY)
    settings.ACCOUNTS_KEEP_UNVERIFIED_DAYS = 0
    assert clean(now=NOW)["unverified"] == 0
    settings.ACCOUNTS_KEEP_UNVERIFIED_DAYS = 30
    assert clean(now=NOW)["unverified"] == 1
    assert not get_user_model().objects.filter(email="nobody@example.org").exists()
