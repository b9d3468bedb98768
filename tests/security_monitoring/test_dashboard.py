"""The dashboard: what it shows, to whom, and what it costs."""

import re
from contextlib import ExitStack
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit import rollups
from audit.models import EventCount, SecurityEvent
from garrison import panels
from garrison.events import Outcome, Severity
from security_monitoring import dashboard

OURS = {"events-over-time", "newest-events", "most-frequent", "health"}


def happened(count, minutes_ago=5, **columns):
    at = timezone.now() - timedelta(minutes=minutes_ago)
    columns = {"kind": "tests.door.opened"} | columns
    SecurityEvent.objects.bulk_create(
        SecurityEvent(at=at - timedelta(milliseconds=n), **columns) for n in range(count)
    )


def tile(page, name):
    found = re.search(rf'id="tile-{name}">.*?<dd>(.*?)</dd>', page, re.DOTALL)
    return found and found[1].strip()


@pytest.fixture
def only():
    """Keep only the named panels, so that a test sees what it speaks of."""
    with ExitStack() as stack:

        def keep(*kept, figures=()):
            stack.enter_context(panels.PANELS.temporarily({p.slug: type(p) for p in kept}))
            stack.enter_context(panels.FIGURES.temporarily({f.name: f for f in figures}))

        yield keep


def test_it_shows_what_happened(admin_client, no_events):
    happened(1200, severity=Severity.INFO)
    happened(3, severity=Severity.CRITICAL)
    happened(10, kind="accounts.login.failed", severity=Severity.LOW, outcome=Outcome.REFUSED)
    page = admin_client.get("/admin/").content.decode()
    signing_in = SecurityEvent.objects.exclude(kind__startswith="tests.").count() - 10
    assert tile(page, "total_events") == f"{1213 + signing_in:,}"
    assert tile(page, "critical_events") == "3"
    assert tile(page, "suspicious_activities") == "0", "severe, and nothing of an attack"
    assert tile(page, "failed_logins") == "10"
    assert 'id="panel-newest-events"' in page
    assert "sd-fill-critical" in page


@pytest.mark.parametrize(("slug", "seen"), [("1h", 1), ("24h", 2), ("7d", 3), ("30d", 4)])
def test_the_window_is_chosen_by_the_address(admin_client, no_events, slug, seen):
    for minutes in (30, 60 * 20, 60 * 24 * 6, 60 * 24 * 29):
        happened(1, minutes, severity=Severity.CRITICAL)
    page = admin_client.get(f"/admin/?window={slug}").content.decode()
    assert tile(page, "critical_events") == str(seen)
    assert f'href="?window={slug}" data-window="{slug}" aria-current="true"' in page


@pytest.mark.parametrize("slug", ["", "x", "'; DROP", "<script>", "1h&window=30d"])
def test_any_window_gives_a_page(admin_client, no_events, slug):
    response = admin_client.get(f"/admin/?window={slug}")
    assert response.status_code == 200
    assert b"<script>" not in response.content.replace(b"<script src", b"")


def test_what_happened_a_second_ago_is_counted(admin_client, no_events):
    rollups.catch_up(now=timezone.now())
    before = int(tile(admin_client.get("/admin/").content.decode(), "total_events"))
    happened(5, 0)
    assert int(tile(admin_client.get("/admin/").content.decode(), "total_events")) == before + 5


def test_it_counts_by_itself_where_there_is_no_celery(admin_client, no_events):
    happened(7, 30)
    assert not EventCount.objects.exists()
    admin_client.get("/admin/")
    assert EventCount.objects.filter(kind="tests.door.opened", count=7).count() == 2


def test_an_empty_site_says_what_to_expect(officer, no_events, client, only):
    only(*(p for p in panels.panels() if p.slug in OURS - {"health"}))
    client.force_login(officer)
    SecurityEvent.objects.all()
    with connection.cursor() as cursor:
        verb = "TRUNCATE" if connection.vendor == "postgresql" else "DELETE FROM"
        cursor.execute(f"{verb} audit_securityevent")
    page = client.get("/admin/").content.decode()
    assert page.count("Nothing happened in this time.") == 3


class Broken(panels.Panel):
    """Fails."""

    slug = "broken"
    title = "Broken"
    template = "security_monitoring/empty.html"
    permission = "audit.view_securityevent"

    def context(self, **_):
        raise DatabaseError("password=hunter2")


class Poisoned(Broken):
    """Fails in the database."""

    slug = "poisoned"

    def context(self, **_):
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")


class NoTemplate(Broken):
    """Has no template."""

    slug = "no-template"
    template = "nowhere.html"

    def context(self, **_):
        return {}


class Fine(Broken):
    """Works."""

    slug = "fine"
    template = "security_monitoring/empty.html"

    def context(self, **_):
        return {"sentence": f"{SecurityEvent.objects.count()} and fine"}


def test_a_broken_panel_costs_its_own_place_only(admin_client, db, only, caplog):
    wrong = panels.Figure("wrong", "Wrong", "audit.view_securityevent", lambda window: 1 // 0)
    only(Broken(), Poisoned(), NoTemplate(), Fine(), figures=[wrong])
    response = admin_client.get("/admin/")
    page = response.content.decode()
    assert response.status_code == 200
    assert page.count("This panel could not be drawn.") == 3
    assert "and fine" in page
    assert response["X-Request-ID"] in page
    assert "hunter2" not in page
    assert 'class="sd-unknown"' in page
    told = set(re.findall(r"panel ([\w-]+) could not", caplog.text))
    assert told == {"broken", "poisoned", "no-template"}


def test_a_panel_is_shown_to_those_who_may_see_it(client, officer, db, only):
    class Secret(Fine):
        slug = "secret"
        permission = "accounts.delete_user"

    hidden = panels.Figure("hidden", "Hidden", "accounts.delete_user", lambda window: 1)
    only(Fine(), Secret(), figures=[hidden])
    client.force_login(officer)
    page = client.get("/admin/").content.decode()
    assert 'id="panel-fine"' in page
    assert 'id="panel-secret"' not in page
    assert tile(page, "hidden") is None


def test_staff_without_any_permission_get_a_page_without_panels(client, django_user_model):
    client.force_login(
        django_user_model.objects.create_user("temp@example.org", None, is_staff=True)
    )
    page = client.get("/admin/")
    assert page.status_code == 200
    assert b'class="sd-card ' not in page.content


def test_the_counts_that_cannot_be_brought_up_to_date_are_shown_as_they_are(
    admin_client, db, monkeypatch
):
    def fail(**_):
        raise DatabaseError("read-only")

    monkeypatch.setattr(rollups, "keep_up", fail)
    assert admin_client.get("/admin/").status_code == 200


def test_counting_that_is_behind_is_said(admin_client, no_events, monkeypatch):
    monkeypatch.setattr("audit.counts.MOST_UNCOUNTED", 3)
    rollups.catch_up(now=timezone.now())
    happened(9, 0)
    assert "Counting is behind" in admin_client.get("/admin/").content.decode()


def test_the_fresh_part_is_the_dashboard_alone_and_for_staff_only(
    admin_client, client, django_user_model
):
    part = admin_client.get("/admin/dashboard?window=7d")
    assert part.status_code == 200
    assert part.content.decode().lstrip().startswith('<div id="security-dashboard"')
    assert 'data-window="7d"' in part.content.decode()
    assert "no-store" in part["Cache-Control"]
    assert client.get("/admin/dashboard").status_code == 302
    client.force_login(django_user_model.objects.create_user("person@example.org", None))
    assert client.get("/admin/dashboard").status_code == 302
    assert admin_client.post("/admin/dashboard").status_code == 405


class Strict(HTMLParser):
    """Finds what the content security policy would block."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        names = {name for name, _ in attrs}
        self.found += [
            f"{tag} {name}" for name in names if name == "style" or name.startswith("on")
        ]
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(f"inline {tag}")
        if any(value and value.lower().startswith("javascript:") for _, value in attrs):
            self.found.append(f"{tag} javascript:")


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/dashboard", "/admin/login/", "/admin/password_change/"]
)
def test_no_page_has_inline_style_or_script(admin_client, no_events, path):
    happened(20, severity=Severity.HIGH)
    strict = Strict()
    strict.feed(admin_client.get(path).content.decode())
    assert strict.found == []


def test_every_query_of_our_own_panels_is_known(client, officer, no_events, only):
    figures = [f for f in panels.figures() if f.count.__module__.startswith("security_monitoring")]
    only(*(p for p in panels.panels() if p.slug in OURS - {"health"}), figures=figures)
    happened(50)
    client.force_login(officer)
    client.get("/admin/")
    with CaptureQueriesContext(connection) as queries:
        page = client.get("/admin/")
    assert page.content.count(b"sd-card") > 2
    assert len(figures) == 4
    asked = [
        re.search(r'FROM "(\w+)"', q["sql"])[1] for q in queries if "SAVEPOINT" not in q["sql"]
    ]
    assert asked == [
        "django_session",
        "sessions_tracking_session",  # joined with its user
        "auth_permission",  # the user's own
        "auth_permission",  # the groups'
        "audit_counteduntil",  # is anybody counting?
        "audit_counteduntil",  # counted until when
        "audit_securityevent",  # what is not counted yet
        "audit_eventcount",  # what is
        "audit_securityevent",  # the newest
    ]


@pytest.mark.parametrize("window", ["1h", "30d"])
def test_what_an_open_page_polls_writes_nothing(admin_client, no_events, window):
    """Not a row and not a cookie, with every panel of every app, on its very first visit."""
    happened(7, 30)
    admin_client.get("/admin/password_change/")  # the first use of a session is noted
    with CaptureQueriesContext(connection) as queries:
        answer = admin_client.get(f"/admin/dashboard?window={window}")
    assert answer.content.count(b"sd-card") > 8
    verbs = {query["sql"].split()[0] for query in queries}
    assert verbs <= {"SELECT", "SAVEPOINT", "RELEASE"}, verbs
    assert not answer.cookies
    assert not EventCount.objects.exists()


def test_all_panels_of_all_apps_together_stay_bounded(admin_client, no_events):
    """However many events there are, the page asks the same questions."""
    admin_client.get("/admin/")
    with CaptureQueriesContext(connection) as few:
        admin_client.get("/admin/")
    happened(500)
    with CaptureQueriesContext(connection) as many:
        admin_client.get("/admin/")
    asked = [q for q in many if "SAVEPOINT" not in q["sql"]]
    assert len(asked) == len([q for q in few if "SAVEPOINT" not in q["sql"]])
    assert len(asked) <= 46


def test_figures_are_counted_for_their_own_window(no_events):
    happened(1, 90)
    for slug, expected in (("1h", 0), ("24h", 1)):
        window = panels.window(slug, now=timezone.now())
        numbers = {f.name: f.count(window) for f in panels.figures() if f.name == "total_events"}
        assert numbers == {"total_events": expected}


def test_urls_that_a_host_does_not_mount_are_left_out():
    assert dashboard._url("") == ""
    assert dashboard._url("nowhere:nothing") == ""


def test_an_apps_own_page_is_its_list_of_models_and_no_dashboard(admin_client):
    page = admin_client.get("/admin/accounts/").content.decode()
    assert "<title>Accounts administration" in page
    assert re.findall(r"<h1>(.*?)</h1>", page)[-1] == "Accounts administration"
    assert "/admin/accounts/lockoutbucket/" in page
    assert "security-dashboard" not in page
