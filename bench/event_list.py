"""A million security events: what the list, the dashboard and one more event cost.

Every page of the list is to cost what the first does, and the dashboard what it costs on an empty
table; beside it stands the admin as Django ships it. ``BENCH_EVENTS`` sets the number of events.
Exit code 1 when a bound is missed, or when any page counted the table.
"""

from __future__ import annotations

import os

import servers
import stopwatch

EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
ROUNDS = 15
SLOWEST_PAGE = 2.5  # times the first page
SLOWEST_DASHBOARD = 4.0  # times the dashboard over an empty table
INSERT = """
INSERT INTO audit_securityevent (id, stream, kind, severity, outcome, at, actor_id, actor_label,
    target, ip, location, user_agent, session_id, request_id, data)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
    'main',
    (ARRAY['accounts.login.succeeded', 'sessions.session.ended', 'accounts.login.failed',
           'rate_limiting.request.refused', 'sessions.refresh.reused'])[sort],
    CASE WHEN n %% 50000 = 0 THEN 5 ELSE (ARRAY[1, 1, 2, 3, 4])[sort] END,
    (ARRAY['success', 'success', 'refused', 'refused', 'refused'])[sort], at,
    CASE WHEN n %% 3 = 0 THEN '' ELSE md5((n %% 20000)::text) END, 'person@example.org',
    'user:' || (n %% 20000), ('10.' || n %% 250 || '.' || n / 250 %% 250 || '.7')::inet, '',
    'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    md5((n / 9)::text), md5(n::text), '{"reason": "wrong_password"}'
FROM (SELECT n, 1 + (n * 7 %% 100) / 24 AS sort,
             now() - interval '30 days' * (1 - n / %(events)s::float8) AS at
      FROM generate_series(1, %(events)s) AS n) AS rows
"""


def measure() -> bool:
    """Report what each page costs, and whether it stays within its bound."""
    from django.conf import settings
    from django.db import connection

    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    settings.ALLOWED_HOSTS = ["testserver"]
    stock_url = mount_stock_admin()
    client = signed_in()
    empty = {window: milliseconds(client, f"/admin/?window={window}") for window in ("24h", "30d")}
    with connection.cursor() as cursor:
        cursor.execute(INSERT, {"events": EVENTS})
    count_all()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    print(f"\n{EVENTS:,} events over 30 days")
    good = [*measure_list(client), *measure_dashboard(client, empty)]
    measure_stock(client, stock_url)
    measure_insert()
    return all(good)


def mount_stock_admin() -> str:
    """Register the events once more, in an admin as Django ships it, to compare."""
    from django.contrib import admin
    from django.urls import include, path

    from audit.models import SecurityEvent
    from config import urls

    stock = admin.AdminSite(name="stock")
    stock.register(
        SecurityEvent,
        type(
            "Stock",
            (admin.ModelAdmin,),
            {
                "list_display": ("at", "severity", "kind", "actor_label", "ip"),
                "list_filter": ("severity", "kind"),
                "search_fields": ("kind", "actor_label"),
            },
        ),
    )
    urls.urlpatterns.append(path("stock/", include((stock.get_urls(), "admin"), namespace="stock")))
    return "/stock/audit/securityevent/"


def signed_in():
    """Return a client whose user sees everything."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    client = Client()
    client.force_login(get_user_model().objects.create_superuser("bench@example.org", None))
    return client


def count_all() -> None:
    """Count every event, and say how long it took."""
    from django.utils import timezone

    from audit import rollups
    from audit.models import CountedUntil, EventCount

    CountedUntil.objects.all().delete()  # the rows came past the clock: begin at the first
    seconds = stopwatch.seconds(lambda: rollups.catch_up(now=timezone.now()))
    print(f"counting all of them: {seconds:.1f} s, into {EventCount.objects.count():,} rows")


def milliseconds(client, url: str) -> float:
    """Return the median time of a page, and refuse one that counts the events."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200, url
    counting = [
        q["sql"]
        for q in queries.captured_queries
        if q["sql"].startswith("SELECT COUNT(") and "audit_securityevent" in q["sql"]
    ]
    if counting and not url.startswith("/stock/"):
        raise SystemExit(f"{url} counts the table: {counting[0][:200]}")
    return stopwatch.median(lambda: client.get(url), rounds=ROUNDS) * 1000


def measure_list(client) -> list[bool]:
    """Compare pages near and far, filtered and searched, with the first one."""
    from audit.models import SecurityEvent

    events = SecurityEvent.objects
    far = events.order_by("pk")[200].pk
    middle = events.order_by("-pk")[min(EVENTS // 2, 500_000)]
    base = "/admin/audit/securityevent/"
    first = milliseconds(client, base)
    print(f"{'list, first page':44} {first:7.1f} ms")
    pages = {
        "list, a page in the middle": f"?time=all&before={middle.pk}",
        "list, the last page": f"?time=all&before={far}",
        "list, back from the last page": f"?time=all&after={far}",
        "list, critical only": "?time=all&severity__exact=5",
        "list, refused only": "?time=all&outcome__exact=refused",
        "list, search a rare kind": "?time=all&q=encryption.key.adopted",
        "list, search a frequent kind": "?time=all&q=accounts.login.failed",
        "list, search a target": "?time=all&q=user:77",
        "list, search an address": f"?time=all&q={middle.ip}",
        "list, search a request": f"?time=all&q={middle.request_id}",
        "list, search what is not there": "?time=all&q=nothing-of-the-kind",
    }
    return [
        stopwatch.at_most(SLOWEST_PAGE, milliseconds(client, base + query) / first, label)
        for label, query in pages.items()
    ]


def measure_dashboard(client, empty: dict[str, float]) -> list[bool]:
    """Compare the dashboard with the one over an empty table."""
    return [
        stopwatch.at_most(
            SLOWEST_DASHBOARD,
            milliseconds(client, f"/admin/?window={window}") / before,
            f"dashboard, {window} (empty table: {before:.0f} ms)",
        )
        for window, before in empty.items()
    ]


def measure_stock(client, url: str) -> None:
    """Show what the same list costs as Django ships it."""
    for label, query in {"first page": "", "last page": f"?p={EVENTS // 100}"}.items():
        print(f"{'stock admin, ' + label:44} {milliseconds(client, url + query):7.1f} ms")


def measure_insert() -> None:
    """Show what one more event costs with every index in place."""
    from garrison import events
    from garrison.events import EventKind, Severity

    kind = EventKind("bench.event.emitted", Severity.INFO, "One more.")
    one_more = stopwatch.median(
        lambda: events.emit(kind, target="user:1", data={"reason": "bench"}), rounds=300
    )
    print(f"{'one more event, in its own transaction':44} {one_more * 1000:7.2f} ms")


if __name__ == "__main__":
    with servers.fresh_project():
        raise SystemExit(not measure())
