"""What runs by itself, and what an operator runs instead."""

import io
import json
from datetime import timedelta

import pytest
from celery.schedules import crontab
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit import health, rollups, tasks
from audit.checks import W001, check_failure_policy
from audit.models import EventCount
from audit.schedule import SCHEDULE
from config.celery import app
from garrison.health import Status
from tests.audit.happenings import happened


@pytest.mark.django_db
def test_the_tasks_count():
    now = timezone.now()
    happened([now - timedelta(hours=3)])
    tasks.count_events()
    assert EventCount.objects.count() == 2
    happened([now - timedelta(hours=3)])
    tasks.count_events()
    tasks.recount_events()
    assert {row.count for row in EventCount.objects.all()} == {2}


@pytest.mark.django_db  # SQLite is asked what it can do
def test_what_is_scheduled_exists():
    app.loader.import_default_modules()
    for entry in SCHEDULE.values():
        assert entry["task"] in app.tasks
        assert isinstance(entry["schedule"], crontab)


@pytest.mark.django_db
def test_the_command_counts_and_says_until_when():
    now = timezone.now()
    happened([now - timedelta(hours=3)])
    out = io.StringIO()
    call_command("audit_count", "--json", stdout=out)
    assert json.loads(out.getvalue())["counted_until"] == rollups.counted_until().isoformat()
    happened([now - timedelta(hours=3)])
    call_command("audit_count", "--since", (now - timedelta(days=1)).isoformat(), stdout=out)
    assert {row.count for row in EventCount.objects.all()} == {2}
    assert "Counted until" in out.getvalue()


@pytest.mark.parametrize("text", ["yesterday", "2026-99-99T00:00", "12:00"])
def test_the_command_refuses_what_is_no_time(text):
    with pytest.raises(CommandError, match="is no time"):
        call_command("audit_count", "--since", text)


@pytest.mark.django_db
def test_health_tries_to_store_and_leaves_nothing(monkeypatch):
    monkeypatch.setattr("audit.append_only.missing", lambda connection: [])
    rollups.catch_up(now=timezone.now())
    assert health.evidence().status is Status.HEALTHY
    assert not rollups.SecurityEvent.objects.exists()


@pytest.mark.django_db
def test_health_says_when_counting_is_late(monkeypatch):
    monkeypatch.setattr("audit.append_only.missing", lambda connection: [])
    rollups.catch_up(now=timezone.now() - timedelta(hours=1))
    late = health.evidence()
    assert late.status is Status.DEGRADED
    assert "manage.py audit_count" in late.detail


def test_changes_that_may_go_unrecorded_are_found(settings):
    assert check_failure_policy(None) == []
    settings.AUDIT_ON_FAILURE = "report"
    assert [warning.id for warning in check_failure_policy(None)] == [W001]
