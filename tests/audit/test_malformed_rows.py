"""Rows that no application writes and Python may not read: sealed or named, and nothing stops."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone as django_timezone

from audit import tail
from audit.models import EventSeal, SecurityEvent
from audit.sealing import sealer
from tests.audit.attacks import command, execute, inserted, looked, sealed
from tests.audit.happenings import happened

NOW = django_timezone.now()
on_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="Only SQLite keeps what fits no column."
)
NOT_UTF8 = "CAST(x'66ff66' AS TEXT)"


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "odd",
    [{"data": "[" * 3000 + "]" * 3000}, {"at": "infinity"}, {"at": "0044-03-15 BC"}],
    ids=["nested", "never", "bc"],
)
def test_a_row_that_python_cannot_read_does_not_stop_the_sealer(protected, odd):
    sealed([NOW - timedelta(minutes=5)])
    inserted(**odd)
    happened([django_timezone.now()])
    assert sealer.catch_up(now=django_timezone.now()) == 3
    assert [violation.code for violation in looked().violations] == ["unattested"]
    assert len(list(tail.tail())) >= 3, "a reader gets what the application wrote"


@on_sqlite
@pytest.mark.parametrize(
    "odd",
    [
        {"data": "'{broken'"},
        {"data": "x'ff00'"},
        {"data": f"printf('%.*c', {5_000_000}, '9')"},
        {"at": "'9999-99-99'"},
        {"at": "'0001-01-01 00:00:00+05:00'"},
        {"at": "7"},
        {"severity": "'very'"},
        {"severity": "9e999"},
        *({name: value} for name in ("kind", "data", "ip", "at", "target") for value in [NOT_UTF8]),
        {"target": f"printf('%.*c', {1_000_000}, 'x')"},
        {"attestation": NOT_UTF8},
        {"stream": "x'ff00'"},
        {"stream": NOT_UTF8},
        {"stream": f"printf('%.*c', {1_000_000}, 'x')"},
    ],
    ids=str,
)
def test_a_row_that_sqlite_keeps_whatever_it_is_does_not_stop_the_sealer(protected, odd):
    sealed([NOW - timedelta(minutes=5)])
    written_by_sql(inserted(), **odd)
    happened([django_timezone.now()])
    assert sealer.catch_up(now=django_timezone.now()) == 3
    assert [violation.code for violation in looked().violations] == ["unattested"]
    assert len(list(tail.tail())) >= 2, "a reader gets what the application wrote"
    assert command()[0] == 1


@on_sqlite
@pytest.mark.parametrize(
    "key",
    ["'no uuid'", "''", "x'ff00'", NOT_UTF8, "7", "upper(id)", f"printf('%.*c', {100_000}, '~')"],
)
def test_a_row_whose_key_no_event_has_is_reported_once_and_stops_nothing(protected, key):
    sealed([NOW - timedelta(minutes=5)])
    written_by_sql(inserted(), id=key)
    for _ in range(2):
        happened([django_timezone.now()])
        assert sealer.catch_up(now=django_timezone.now()) >= 1
        sealer.keep_up(now=django_timezone.now())
    assert [(v.code, v.number) for v in looked().violations] == [("unattested", None)]
    assert command()[0] == 1
    told = SecurityEvent.objects.filter(kind="audit.chain.broken", target__startswith="event:")
    assert told.count() == 1
    assert EventSeal.objects.filter(event=told.get()).exists(), "sealing goes on"


def written_by_sql(key, **values):
    """Write expressions of SQL into the columns of a row, past every check."""
    assigned = ", ".join(f"{name} = {value}" for name, value in values.items())
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        try:
            execute(f"UPDATE audit_securityevent SET {assigned} WHERE id = %s", key)
        finally:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
