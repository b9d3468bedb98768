"""Operators list, end and clean sessions; beat cleans every night."""

import json
from datetime import timedelta
from importlib import import_module
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import timezone

from config.celery import app
from sessions_tracking import schedule, services, tasks
from sessions_tracking.models import Session
from tests.sessions_tracking.scenery import NEW, OLD


def run(name, *arguments):
    out = StringIO()
    code = 0
    try:
        call_command(name, *arguments, stdout=out)
    except SystemExit as stopped:
        code = stopped.code
    return code, out.getvalue()


def start(user, **more):
    return services.start_token_session(user=user, amr=["pwd"], **more)


def test_list_sessions_shows_living_ones_newest_first(user, make_user):
    older = start(user, now=timezone.now() - timedelta(hours=1))
    newer = start(make_user("bob@example.org"))
    over = start(user)
    services.end_session(session_id=over.session.pk, reason="test")
    code, text = run("list_sessions", "--json")
    rows = json.loads(text)
    assert code == 0
    assert [row["id"] for row in rows] == [str(newer.session.pk), str(older.session.pk)]
    assert rows[0]["user"] == "bob@example.org"
    assert set(rows[0]) == {
        *("user", "id", "kind", "created_at", "last_seen_at", "ip", "user_agent"),
        *("ended_at", "end_reason"),
    }


def test_list_sessions_narrows_to_a_user_and_shows_the_ended_when_asked(user, make_user):
    pair = start(user)
    start(make_user("bob@example.org"))
    services.end_session(session_id=pair.session.pk, reason="lost_device")
    _, text = run("list_sessions", "--user", "ADA@example.org", "--ended")
    assert str(pair.session.pk) in text
    assert "ended: lost_device" in text
    assert text.endswith("1 shown.\n")


def test_list_sessions_shows_no_more_than_its_limit(user):
    for _ in range(3):
        start(user)
    assert run("list_sessions", "--limit", "2")[1].endswith("2 shown.\n")
    with pytest.raises(CommandError, match="not a whole number from 1"):
        run("list_sessions", "--limit", "-1")


def test_list_sessions_counts_by_key_and_fails_where_one_is_missing(user):
    with override_settings(SESSIONS_SIGNING_KEYS=[OLD]):
        start(user), start(user)
    with override_settings(SESSIONS_SIGNING_KEYS=[NEW, OLD]):
        start(user)
        code, text = run("list_sessions", "--keys", "--json")
        assert (code, json.loads(text)["sessions"]) == (0, {"k2": 1, "k1": 2})
    with override_settings(SESSIONS_SIGNING_KEYS=[NEW]):
        code, text = run("list_sessions", "--keys", "--json")
        assert code == 1
        assert json.loads(text) == {"sessions": {"k2": 1, "k1": 2}, "not_configured": ["k1"]}
        code, text = run("list_sessions", "--keys")
        assert code == 1
        assert "k1  2  not configured: these cannot refresh" in text


def test_end_sessions_ends_those_of_a_user_by_name_or_key(user, make_user):
    start(user), start(user), start(make_user("bob@example.org"))
    assert run("end_sessions", "--user", "ada@example.org", "--dry-run") == (
        0,
        "2 sessions would be ended.\n",
    )
    code, text = run("end_sessions", "--user", str(user.pk), "--json", "--reason", "stolen_laptop")
    assert (code, json.loads(text)) == (0, {"ended": 2, "dry_run": False})
    assert set(Session.objects.of_user(user).values_list("end_reason", flat=True)) == {
        "stolen_laptop"
    }
    assert Session.objects.number_alive(now=timezone.now()) == 1


def test_end_sessions_ends_everybodys(user, make_user):
    start(user), start(make_user("bob@example.org"))
    assert run("end_sessions", "--all", "--dry-run")[1] == "2 sessions would be ended.\n"
    assert run("end_sessions", "--all")[1] == "2 sessions ended.\n"
    assert Session.objects.number_alive(now=timezone.now()) == 0


def test_end_sessions_ends_one_and_fails_where_it_was_over(pair):
    key = str(pair.session.pk)
    assert run("end_sessions", "--session", key, "--dry-run")[0] == 0
    assert run("end_sessions", "--session", key) == (0, "1 session ended.\n")
    with pytest.raises(CommandError, match=f"Session {key} is not alive"):
        run("end_sessions", "--session", key)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--all", "--user", "x"],
        ["--user", "nobody@example.org"],
        ["--user", "\x00"],
        ["--user", ""],  # an unset variable of the shell must not mean everybody
        ["--session", ""],
        ["--session", "nonsense", "--dry-run"],
        ["--all", "--reason", ""],
        ["--all", "--reason", "x" * 41],
    ],
    ids=str,
)
def test_end_sessions_refuses_what_it_does_not_understand(pair, arguments):
    with pytest.raises(CommandError):
        run("end_sessions", *arguments)
    assert Session.objects.number_alive(now=timezone.now()) == 1


def test_clean_sessions_counts_then_deletes(user):
    start(user, now=timezone.now() - timedelta(days=130))
    start(user)
    assert run("clean_sessions", "--dry-run") == (0, "1 row would be deleted.\n")
    assert json.loads(run("clean_sessions", "--json")[1]) == {
        "deleted": 1,
        "dry_run": False,
        "days": 90,
    }
    assert run("clean_sessions") == (0, "0 rows deleted.\n")
    with pytest.raises(CommandError):
        run("clean_sessions", "--days", "-1")


def test_beat_cleans_every_night(user):
    (entry,) = schedule.SCHEDULE.values()
    import_module("sessions_tracking.tasks")
    assert entry["task"] in app.tasks
    start(user, now=timezone.now() - timedelta(days=130))
    tasks.clean_sessions()
    assert not Session.objects.exists()
