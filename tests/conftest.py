"""What every test shares: an empty store, and what is skipped on SQLite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker

from audit import append_only
from garrison import background, context, deferral
from rate_limiting import breaker, limiter

# A machine that is busy is slow at everything; neither is a finding about the code.
hypothesis_settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("house")


if connection.vendor == "sqlite":
    # A file, as in production: Django closes no connection to a database in memory, so that each
    # thread of a test would leave one to the collector.
    connection.settings_dict["TEST"]["NAME"] = f"{connection.settings_dict['NAME']}-test"


@pytest.fixture(autouse=True)
def _empty_store() -> None:
    """Begin with no counters: a limit reached in one test must not refuse the next."""
    cache.clear()


@pytest.fixture(autouse=True)
def _nobody_asks() -> Iterator[None]:
    """Begin outside a request: who signed in in one test must not be the actor of the next."""
    with context.bound(context.RequestContext()):
        yield


@pytest.fixture(autouse=True)
def _no_outage_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with the store never lost: a recovery owed in one test must not be told in the next."""
    monkeypatch.setattr(limiter, "outages", breaker.Outages())


@pytest.fixture(autouse=True)
def _one_connection(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write refusals inside a test's own transaction, into which no other connection can see."""
    marker = request.node.get_closest_marker("django_db")
    is_free = "transactional_db" in request.fixturenames
    if not is_free and not (marker and marker.kwargs.get("transaction")):
        monkeypatch.setattr(deferral, "_do_in_own_thread", lambda act: act())


@pytest.fixture(autouse=True)
def _background_at_once(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Do background work at once, in the test's own transaction."""
    if "real_background" not in request.fixturenames:
        monkeypatch.setattr(background, "run", lambda job: job())


@pytest.fixture
def real_background() -> Iterator[None]:
    """Do background work on its threads, as in production; none of it outlives the test."""
    yield
    background._pool().shutdown()  # before the tables are emptied under a job
    background._pool.cache_clear()


@pytest.fixture(autouse=True, scope="session")
def _static_files_as_they_are() -> None:
    """Return static files their plain names: no ``collectstatic`` has made a manifest.

    Browser tests collect, and serve what was collected.
    """
    settings.STORAGES["staticfiles"] = {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
    }


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the test database be emptied between tests, which evidence otherwise refuses.

    At the end, whoever still holds a connection (a thread of a test's server) loses it, so that the
    database can be dropped.
    """
    with django_db_blocker.unblock():
        append_only.permit_flush(connection)
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, by name, what only PostgreSQL can show."""
    if connection.vendor == "postgresql":
        return
    skip = pytest.mark.skip(reason="needs PostgreSQL; the suite runs on SQLite")
    for item in items:
        if item.get_closest_marker("postgresql"):
            item.add_marker(skip)
