"""Whether what the site stands on works: database, schema, cache and background work."""

from __future__ import annotations

import uuid
from datetime import timedelta
from time import monotonic

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.dummy import DummyCache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django.utils.timesince import timesince

from garrison import health
from garrison.health import CheckResult, Status
from security_monitoring.models import Heartbeat

SILENT_FOR = timedelta(minutes=3)  # three missed beats
BELIEVED_SECONDS = 60  # how long "no migration is pending" is believed; the code cannot change

FORGETFUL = "The cache does not give back what it was given."

_believed_until = 0.0


@health.register("database", needed_to_serve=True)
def database() -> CheckResult:
    """Select a one from the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return CheckResult(Status.HEALTHY)


@health.register("migrations", needed_to_serve=True)
def migrations() -> CheckResult:
    """Compare the database's schema with what this code expects."""
    global _believed_until  # noqa: PLW0603 - a fact about this process's own code
    if monotonic() < _believed_until:
        return CheckResult(Status.HEALTHY)
    if connection.connection is None:  # "database" has tried a moment ago: do not wait twice
        return CheckResult(Status.UNHEALTHY, "The database does not answer.")
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        return CheckResult(
            Status.UNHEALTHY, f"{len(pending)} migrations are pending. Run `manage.py migrate`."
        )
    _believed_until = monotonic() + BELIEVED_SECONDS
    return CheckResult(Status.HEALTHY)


@health.register("cache", needed_to_serve=True)
def shared_cache() -> CheckResult:
    """Write to the default cache and read it back; reading pages goes on without it."""
    store = caches[DEFAULT_CACHE_ALIAS]
    if isinstance(store, DummyCache):
        return CheckResult(Status.HEALTHY, "No cache is configured.")
    key = f"garrison-health-{uuid.uuid4().hex}"  # another probe may run at the same moment
    try:
        store.set(key, 1, timeout=5)
        is_kept = store.get(key) == 1
    except Exception as failure:  # noqa: BLE001 - each backend raises its own
        return CheckResult(Status.DEGRADED, f"The cache fails with {type(failure).__name__}.")
    return CheckResult(Status.HEALTHY if is_kept else Status.DEGRADED, "" if is_kept else FORGETFUL)


@health.register("background work")
def background_work() -> CheckResult:
    """Look when a scheduled task ran last: it takes the broker, beat and a worker."""
    last = Heartbeat.objects.filter(name=Heartbeat.BACKGROUND).first()
    hint = "Start a Celery worker and beat; without them nothing scheduled runs."
    if last is None:
        return CheckResult(Status.DEGRADED, f"No scheduled task has run yet. {hint}")
    if timezone.now() - last.beat_at > SILENT_FOR:
        return CheckResult(
            Status.DEGRADED, f"No scheduled task has run for {timesince(last.beat_at)}. {hint}"
        )
    return CheckResult(Status.HEALTHY)
