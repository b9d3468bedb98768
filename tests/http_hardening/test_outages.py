"""A lost database is told from an error of ours, by failures that real databases make."""

import sqlite3
from contextlib import closing

import pytest
from asgiref.sync import async_to_sync
from django.core.signals import request_started
from django.db import ConnectionHandler, Error, InternalError, connection
from django.test import AsyncClient
from django.urls import path

from http_hardening import handlers
from http_hardening.outages import is_outage
from tests.http_hardening import urls

pytestmark = pytest.mark.django_db

PROGRAM = {"Accept": "application/json"}
handler500 = handlers.internal_error


def lose(request):
    """Open a file that is not there, as a view does whose database is lost."""
    with lite("file:/nowhere/db?mode=ro").cursor() as cursor:
        cursor.execute("SELECT 1")


def lose_in_middleware(get_response):
    def middleware(request):
        if request.path == "/middleware":
            lose(request)
        return get_response(request)

    return middleware


def broken(request):
    # Django never closes what it knows to be in memory.
    with closing(lite("file::memory:")) as own, own.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")


urlpatterns = [
    *urls.urlpatterns,
    path("lose", lose),
    path("api/lose", lose),
    path("broken", broken),
]


def lite(name, **options):
    settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
    options |= {"uri": True} if str(name).startswith("file:") else {}
    return ConnectionHandler({"default": {}, "lite": settings | {"OPTIONS": options}})["lite"]


def refusal_of(connection, *statements):
    with closing(connection), pytest.raises(Error) as refused, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    return refused.value


@pytest.mark.parametrize(
    ("statements", "is_lost"),
    [
        (["INSERT INTO t VALUES (1)"], True),  # locked by somebody else
        (["PRAGMA query_only = 1", "INSERT INTO t VALUES (1)"], True),
        (["SELECT * FROM no_such_table"], False),
        (["SELECT 1 +"], False),
    ],
)
def test_sqlite_s_one_class_is_told_apart_by_its_code(tmp_path, statements, is_lost):
    with closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as other:
        other.execute("CREATE TABLE t (a)")
        other.execute("BEGIN IMMEDIATE")
        assert is_outage(refusal_of(lite(tmp_path / "db", timeout=0), *statements)) is is_lost


def test_a_full_disk_is_an_outage(tmp_path):
    fill = "INSERT INTO t VALUES (zeroblob(1000000))"
    refused = refusal_of(
        lite(tmp_path / "db"), "PRAGMA max_page_count = 5", "CREATE TABLE t (a)", fill
    )
    assert is_outage(refused)


@pytest.fixture
def other(db):
    """A second connection to the tests' PostgreSQL."""
    with closing(connection.copy("other")) as other:
        yield other


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("statements", "is_lost"),
    [
        (["SELECT pg_terminate_backend(pg_backend_pid())"], True),
        (["SET statement_timeout = 1", "SELECT pg_sleep(1)"], True),
        (["SELECT no_such_column"], False),
        (["SELECT " + "(" * 20_000 + "1" + ")" * 20_000], False),  # the server's stack is spared
        (["SELECT 1/0"], False),
    ],
)
def test_postgresql_tells_by_its_state(other, statements, is_lost):
    assert is_outage(refusal_of(other, *statements)) is is_lost


@pytest.mark.postgresql
def test_a_standby_that_is_written_to_is_an_outage(other):
    refused = refusal_of(other, "SET default_transaction_read_only = on", "CREATE TABLE a (b int)")
    assert isinstance(refused, InternalError)
    assert is_outage(refused)


@pytest.mark.postgresql
def test_a_connection_that_is_used_after_its_end_is_an_outage(other):
    other.ensure_connection()
    other.connection.close()
    with pytest.raises(Error) as refused:
        other.cursor().execute("SELECT 1")
    assert is_outage(refused.value)


@pytest.mark.postgresql
def test_a_connection_whose_server_has_hung_up_is_closed_before_a_request(transactional_db):
    connection.ensure_connection()
    kept = connection.connection
    request_started.send(sender=None)
    assert connection.connection is kept
    with closing(connection.copy("other")) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [kept.info.backend_pid])
    request_started.send(sender=None)
    assert connection.connection is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


# --- Answers --------------------------------------------------------------------------------------
@pytest.fixture
def lost(settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.lose_in_middleware"]


@pytest.mark.parametrize("address", ["/lose", "/api/lose", "/middleware"])
def test_what_loses_it_answers_503_and_logs_why_once(lost, calm_client, caplog, address):
    verify(calm_client.get(address, headers=PROGRAM), caplog)


def test_a_view_does_so_with_debug_on(lost, settings, calm_client, caplog):
    settings.DEBUG = True
    verify(calm_client.get("/lose", headers=PROGRAM), caplog)


@pytest.mark.parametrize("address", ["/lose", "/middleware"])
def test_so_it_does_under_asgi(lost, caplog, address):
    client = AsyncClient(raise_request_exception=False)
    verify(async_to_sync(client.get)(address, headers=PROGRAM), caplog)


def verify(answer, caplog):
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert answer.json()["code"] == "unavailable"
    assert answer.json()["request_id"] == answer["X-Request-ID"]
    assert answer["Retry-After"] == "5"
    assert answer["Cache-Control"] == "no-store"
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.levelname == "ERROR"


def test_a_person_gets_a_page(lost, calm_client, plain_static):
    answer = calm_client.get("/lose", headers={"Accept": "text/html"})
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer["X-Request-ID"] in answer.content.decode()
    assert (answer["Vary"], answer["Cache-Control"]) == ("Accept", "no-store")


def test_an_error_of_ours_stays_one(lost, calm_client):
    assert calm_client.get("/broken").status_code == 500
