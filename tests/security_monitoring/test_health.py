"""Probes and the health report."""

import io
import json
import socket
from datetime import timedelta
from time import monotonic
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import AsyncClient, RequestFactory
from django.utils import timezone

from garrison import health as registry
from garrison.health import CheckResult, Status
from security_monitoring import health, tasks
from security_monitoring.middleware import HealthMiddleware
from security_monitoring.models import Heartbeat


@pytest.fixture(autouse=True)
def _believe_nothing(monkeypatch):
    monkeypatch.setattr(health, "_believed_until", 0.0)


@pytest.fixture
def checks():
    """Have only the checks a test names."""
    with registry.CHECKS.temporarily():
        yield registry.register


def test_liveness_needs_nothing(client):
    """No database is allowed in this test, and none is asked."""
    response = client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})
    assert "no-store" in response["Cache-Control"]


def test_liveness_asks_no_store_either(client, django_assert_num_queries, db):
    with (
        mock.patch("django.core.cache.cache.get", side_effect=AssertionError),
        django_assert_num_queries(0),
    ):
        assert client.get("/health").status_code == 200


def test_ready_names_what_it_looked_at(client, db):
    response = client.get("/health/ready")
    body = response.json()
    assert response.status_code == 200
    assert body["status"] in {"healthy", "degraded"}
    assert {"database", "migrations"} <= {check["name"] for check in body["checks"]}
    assert {key for check in body["checks"] for key in check} == {"name", "status"}


def test_no_database_takes_the_server_out_of_rotation(client, db, checks):
    checks("database", needed_to_serve=True)(health.database)
    refused = OperationalError("connection to 10.0.0.5 failed: password authentication failed")
    with mock.patch.object(connection, "cursor", side_effect=refused):
        response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {
        "status": "unhealthy",
        "checks": [{"name": "database", "status": "unhealthy"}],
    }


@pytest.mark.postgresql
def test_a_database_that_says_nothing_is_given_up_in_time(client, db, checks, monkeypatch):
    checks("database", needed_to_serve=True)(health.database)
    checks("migrations", needed_to_serve=True)(health.migrations)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        elsewhere = connection.copy()
        elsewhere.settings_dict |= {"HOST": "127.0.0.1", "PORT": silent.getsockname()[1]}
        monkeypatch.setattr(health, "connection", elsewhere)
        started = monotonic()
        response = client.get("/health/ready")
    assert response.status_code == 503
    assert {check["status"] for check in response.json()["checks"]} == {"unhealthy"}
    assert 1 < monotonic() - started < 4


def test_a_lost_cache_is_degraded_and_serving_goes_on(client, db, checks, settings):
    checks("cache", needed_to_serve=True)(health.shared_cache)
    assert client.get("/health/ready").json()["status"] == "healthy"
    lost = settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = settings.CACHES | {"default": lost}
    response = client.get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert health.shared_cache().detail == "The cache fails with StoreUnavailable."


@pytest.mark.parametrize(
    ("backend", "status"),
    [("dummy.DummyCache", Status.HEALTHY), ("locmem.LocMemCache", Status.HEALTHY)],
)
def test_any_cache_of_django_will_do(settings, backend, status):
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}
    assert health.shared_cache().status is status


def test_a_cache_that_forgets_is_degraded(settings, monkeypatch):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    monkeypatch.setattr("django.core.cache.backends.locmem.LocMemCache.get", lambda *_: None)
    assert health.shared_cache().detail == health.FORGETFUL


def test_a_degraded_server_still_serves(client, checks):
    checks("store", needed_to_serve=True)(
        lambda: CheckResult(Status.DEGRADED, "redis://secret@host")
    )
    response = client.get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert b"secret" not in response.content


def test_a_broken_check_that_serving_does_not_need_changes_nothing(client, checks):
    checks("mail")(lambda: CheckResult(Status.UNHEALTHY))
    assert client.get("/health/ready").status_code == 200


def test_pending_migrations_take_the_server_out_of_rotation(client, db, checks):
    checks("migrations", needed_to_serve=True)(health.migrations)
    assert client.get("/health/ready").status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'security_monitoring'")
    assert client.get("/health/ready").status_code == 200, "believed for a minute"
    health._believed_until = 0.0
    assert client.get("/health/ready").status_code == 503
    assert health.migrations().detail == "1 migrations are pending. Run `manage.py migrate`."


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_a_probe_names_no_host_and_comes_by_plain_http(client, db, settings, path):
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["site.example"]
    response = client.get(path, headers={"host": "10.1.2.3:8000"})
    assert response.status_code == 200
    assert "Set-Cookie" not in response
    assert response["X-Request-ID"]


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_a_probe_is_not_limited_and_changes_nothing(client, db, path):
    assert {client.get(path).status_code for _ in range(120)} == {200}
    assert client.head(path).status_code == 200
    assert client.post(path).status_code == 405
    assert client.get(f"{path}/").status_code == 404


def test_the_urls_answer_without_the_middleware(client, db, settings):
    settings.MIDDLEWARE = [m for m in settings.MIDDLEWARE if "HealthMiddleware" not in m]
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/health/ready").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_probes_are_answered_asynchronously_too():
    get = async_to_sync(AsyncClient().get)
    assert get("/health").json() == {"status": "alive"}
    assert get("/health/ready").status_code == 200


def test_other_requests_pass():
    passed = HealthMiddleware(lambda request: HttpResponse("next"))(RequestFactory().get("/x"))
    assert passed.content == b"next"


def test_background_work_is_seen_by_its_heartbeat(db):
    assert health.background_work().status is Status.DEGRADED
    assert "No scheduled task has run yet." in health.background_work().detail
    tasks.beat()
    assert health.background_work().status is Status.HEALTHY
    tasks.beat()
    assert Heartbeat.objects.count() == 1
    Heartbeat.record(now=timezone.now() - timedelta(minutes=9))
    late = health.background_work()
    assert late.status is Status.DEGRADED
    assert "has run for 9" in late.detail


def test_the_report_command_fails_where_something_is_wrong(checks):
    checks("good")(lambda: CheckResult(Status.HEALTHY))
    out = io.StringIO()
    call_command("security_health", stdout=out)
    assert out.getvalue() == "ok         good\nOverall: healthy.\n"
    checks("slow")(lambda: CheckResult(Status.DEGRADED, "Slow."))
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("security_health", "--json", stdout=out)
    assert ended.value.code == 1
    report = json.loads(out.getvalue())
    assert report["status"] == "degraded"
    assert [(c["name"], c["detail"]) for c in report["checks"]] == [("good", ""), ("slow", "Slow.")]


def test_the_favicon_is_where_browsers_look(client):
    response = client.get("/favicon.ico")
    assert response.status_code == 302
    assert response["Location"] == "/static/security_monitoring/favicon.svg"
