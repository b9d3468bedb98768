"""pgBackRest and WAL-G: what they list, what they refuse, and programs that behave badly.

``point_in_time/pgbackrest-*.json`` were written by pgBackRest 2.45 for a PostgreSQL 15: full,
differential and incremental backups, one with a damaged page, and an unreadable repository.
``wal-g.json`` follows the fields of WAL-G's own source.
"""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from django.template.loader import render_to_string

from backups import point_in_time, services
from garrison import health, panels

CAPTURED = Path(__file__).parent / "point_in_time"
ENDED = datetime(2026, 11, 24, 21, 1, 7, tzinfo=UTC)  # the incremental backup of pgbackrest-good
NOW = ENDED + timedelta(hours=1)
GOOD = ["cat", str(CAPTURED / "pgbackrest-good.json")]


@pytest.fixture(autouse=True)
def nothing_remembered(settings):
    settings.BACKUPS_DATABASES = ["default"]
    point_in_time._listed.cache_clear()
    yield
    point_in_time._listed.cache_clear()


def look(settings, *command, now=NOW):
    settings.BACKUPS_POINT_IN_TIME = command
    point_in_time._listed.cache_clear()
    return point_in_time.look(now=now)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "tool", "newest_at", "problem"),
    [
        ("pgbackrest-good", "pgBackRest", ENDED, ""),
        ("pgbackrest-nobackup", "cat", None, "Stanza site: no valid backups"),
        ("pgbackrest-missing", "cat", None, "Stanza site: missing stanza path"),
        ("pgbackrest-checksums", "cat", None, "Stanza site: the newest backup holds pages"),
        ("pgbackrest-unreadable", "cat", None, "Stanza site: [FileOpenError] unable to load info"),
        ("wal-g", "WAL-G", datetime(2026, 11, 24, 2, 0, 12, 118000, UTC), ""),
        ("none", "cat", None, "It ended with code 1"),
    ],
)
def test_what_a_tool_lists_is_judged(settings, name, tool, newest_at, problem):
    found = look(settings, "cat", str(CAPTURED / f"{name}.json"))
    assert (found.tool, found.newest_at) == (tool, newest_at)
    assert found.problem.startswith(problem)
    assert bool(found.problem) == bool(problem)


@pytest.mark.django_db
def test_a_backup_is_too_old_or_ends_in_the_future(settings):
    assert (
        "is of 2026-11-24 21:01" in look(settings, *GOOD, now=ENDED + timedelta(hours=27)).problem
    )
    assert "in the future" in look(settings, *GOOD, now=ENDED - timedelta(hours=1)).problem
    settings.BACKUPS_POINT_IN_TIME_OVERDUE_HOURS = 200
    assert look(settings, *GOOD, now=ENDED + timedelta(hours=27)).problem == ""
    assert look(settings) is None, "not used"


STANZA = '[{"name":"%s","status":{"code":%s,"message":"%s"},"backup":[{"timestamp":{"stop":%s}}]}]'


@pytest.mark.parametrize(
    "output",
    [
        "", " \n", "[]", "null", "5", "{}", '{"backup_name":1}', '["backup_name"]',
        '[{"backup_name":1}]', "[[]]", "[{}]", "[" * 100_000, "\0\xff",
        (CAPTURED / "pgbackrest-good.json").read_text()[:900],
        *(STANZA % ("a", 0, "ok", at) for at in ("1e400", "NaN", "9" * 5000, "null", "1e17")),
        STANZA % ("\\u001b[2J", 99, "\\u001b]0;title\\u0007" + "x" * 9999 + "\\nmore", 1),
        '[{"backup_name":"a","finish_time":"yesterday"}]', '[{"backup_name":"a","finish_time":5}]',
        '[{"backup_name":"a","finish_time":"0001-01-01T00:00:00+14:00"}]',
    ],
    ids=lambda output: output[:24] or "nothing",
)  # fmt: skip
def test_output_that_is_no_list_of_backups_is_a_problem_in_one_line(settings, tmp_path, output):
    path = tmp_path / "output"
    path.write_bytes(output.encode("latin-1"))
    found = look(settings, "cat", str(path))
    assert found.newest_at is None
    assert 10 < len(found.problem) < 300
    assert found.problem.isprintable()


@pytest.mark.django_db
def test_of_several_stanzas_the_worst_counts(settings, tmp_path):
    path = tmp_path / "output"
    path.write_text(f"[{','.join((STANZA % ('s', 0, 'ok', stop))[1:-1] for stop in (9, 5, 7))}]")
    assert look(settings, "cat", str(path)).newest_at == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["/nowhere/pgbackrest", "info"], "cannot be started: No such file"),
        (["/"], "cannot be started: Permission denied"),
        (["a\0b"], "cannot be started: ValueError"),
        (["sleep", "30"], "did not answer within 1 seconds"),
        (["sh", "-c", "sleep 30 & echo []"], "did not answer within 1 seconds"),
        (["sh", "-c", "exec >&-; sleep 30"], "did not answer within 1 seconds"),
        (["sh", "-c", "echo []; kill -9 $$"], "ended with code -9"),
        (["sh", "-c", "echo []; echo secret >&2; exit 37"], "ended with code 37; run it by hand"),
        (["yes"], "wrote more than"),
    ],
    ids=lambda value: " ".join(value)[:20] if isinstance(value, list) else "",
)
def test_a_program_that_hangs_fails_or_floods_is_a_problem(settings, monkeypatch, command, problem):
    monkeypatch.setattr(point_in_time, "SECONDS", 1)
    began = time.monotonic()
    found = look(settings, *command)
    assert problem in found.problem
    assert time.monotonic() - began < 10


def test_the_program_has_no_shell_and_none_of_our_secrets(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    look(settings, "echo", f"$(touch {tmp_path}/run)", ";", f"touch {tmp_path}/run")
    look(settings, "sh", "-c", 'env > "$0"', str(tmp_path / "env"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["env"]
    assert "s3cret" not in (tmp_path / "env").read_text()


def test_a_minute_passes_before_it_runs_again(settings, tmp_path):
    settings.BACKUPS_POINT_IN_TIME = ["sh", "-c", 'echo x >> "$0"', str(tmp_path / "runs")]
    for seconds in (0, 1, 2, 61):
        point_in_time.look(now=NOW + timedelta(seconds=seconds))
    assert (tmp_path / "runs").read_text() == "x\nx\n"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_log_that_is_not_archived_is_a_problem(settings):
    """A temporary view stands in front of the server's own, which fails only after its restart."""
    assert look(settings, *GOOD).problem == ""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY VIEW pg_stat_archiver AS SELECT timestamptz '2026-11-24 21:30Z'"
            " AS last_failed_time, timestamptz '2026-11-24 21:10Z' AS last_archived_time"
        )
        assert "Archiving the log fails, last at 2026-11-24 21:30" in look(settings, *GOOD).problem
        cursor.execute("DROP VIEW pg_temp.pg_stat_archiver")


@pytest.mark.django_db
def test_health_dashboard_and_alerts_say_the_same(settings):
    kinds = []

    def shown():
        with time_machine.travel(NOW, tick=False):
            (checked,) = [each for each in health.run() if each.name == "point in time"]
            panel = next(each for each in panels.panels() if each.slug == "backups")
            context = panel.context(request=None, window=panels.window("24h", now=NOW))
            emitted = services.check_backups(now=NOW)
        kinds[:] = [kind for kind in emitted if kind != "backups.backup.missed"]
        return checked.status, checked.detail, render_to_string(panel.template, context)

    look(settings, "cat", str(CAPTURED / "pgbackrest-missing.json"))
    status, detail, html = shown()
    assert (status, detail) == ("degraded", "cat: Stanza site: missing stanza path")
    assert "missing stanza path" in html
    assert kinds == ["backups.point_in_time.failed"]
    shown()
    assert kinds == [], "once a day"
    look(settings, *GOOD)
    status, detail, html = shown()
    assert (status, detail) == ("healthy", "pgBackRest has a recent base backup.")
    assert "To a point in time (pgBackRest)" in html
    assert kinds == ["backups.condition.ended"]
    look(settings)
    assert shown()[:2] == ("healthy", "Not used: BACKUPS_POINT_IN_TIME is empty.")
