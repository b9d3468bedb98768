"""What programs of the security staff get."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import SecurityEvent
from garrison import panels
from garrison.events import Severity
from security_monitoring.api.serializers import EventsQuery
from sessions_tracking import services as sessions

PATHS = ["/api/security/metrics", "/api/security/health", "/api/security/events"]


def bearer(client, user):
    pair = sessions.start_token_session(user=user, amr=["pwd"])
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {pair.access}"
    return client


@pytest.fixture
def officers(client, officer):
    return bearer(client, officer)


def happened(count, **columns):
    at = columns.pop("at", timezone.now() - timedelta(minutes=5))
    columns = {"kind": "tests.door.opened"} | columns
    return SecurityEvent.objects.bulk_create(
        SecurityEvent(at=at - timedelta(milliseconds=n), **columns) for n in range(count)
    )


@pytest.mark.parametrize("path", PATHS)
def test_strangers_and_people_are_refused(client, django_user_model, path):
    assert client.get(path).status_code == 401
    person = django_user_model.objects.create_user("person@example.org", None)
    refused = bearer(client, person).get(path)
    assert refused.status_code == 403
    assert refused["Content-Type"] == "application/problem+json"
    assert refused.json()["request_id"] == refused["X-Request-ID"]


def test_metrics_are_the_figures_the_caller_may_see(officers, no_events):
    happened(4, severity=Severity.CRITICAL)
    happened(3, kind="accounts.login.failed", severity=Severity.LOW)
    happened(1, kind="sessions.refresh.reused", severity=Severity.HIGH)
    happened(1, kind="accounts.privileges.changed", severity=Severity.HIGH)  # staff may
    happened(2, at=timezone.now() - timedelta(hours=30))
    body = officers.get("/api/security/metrics?window=24h").json()
    window = body.pop("window"), body.pop("since") < body.pop("until")
    assert window == ("24h", True)
    assert body == {
        "total_events": 9,
        "critical_events": 4,
        "suspicious_activities": 1,
        "failed_logins": 3,
    }
    assert officers.get("/api/security/metrics?window=7d").json()["total_events"] == 11


def test_an_administrator_sees_the_figures_of_every_app(client, admin_user, no_events):
    body = bearer(client, admin_user).get("/api/security/metrics").json()
    assert body["active_sessions"] == 1
    assert body["locked_accounts"] == 0
    assert set(body) == {f.name for f in panels.figures()} | {"window", "since", "until"}


def test_a_figure_that_cannot_be_counted_is_null(client, admin_user):
    broken = panels.Figure("broken", "Broken", "audit.view_securityevent", lambda window: 1 // 0)
    with panels.FIGURES.temporarily({"broken": broken}):
        body = bearer(client, admin_user).get("/api/security/metrics").json()
    assert body["broken"] is None


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("metrics?window=1y", "invalid_choice"),
        ("metrics?since=x", "unknown_field"),
        ("metrics?window=1h&window=7d", "repeated"),
        ("events?limit=0", "min_value"),
        ("events?limit=9999", "max_value"),
        ("events?limit=x", "invalid"),
        ("events?limit=%2B5", "invalid"),
        ("events?limit=%205", "invalid"),
        ("events?limit=1_0", "invalid"),
        ("events?limit=%EF%BC%91", "invalid"),
        ("events?limit=", "invalid"),
        ("events?limit", "invalid"),
        ("events?cursor=x", "invalid"),
        ("events?ip=999.1.1.1", "invalid"),
        ("events?at_least=fatal", "invalid_choice"),
        ("events?outcome=failed", "invalid_choice"),
        ("events?since=yesterday", "invalid"),
        ("events?since=9999-12-31T23:59:59-12:00", "overflow"),
        ("events?target=" + "x" * 201, "max_length"),
        ("events?" + "&".join(["kind=a.b.c"] * 21), "max_length"),
        ("events?nonsense=1", "unknown_field"),
        ("events?target=a&target=b", "repeated"),
    ],
)
def test_a_bad_question_is_refused_with_its_reason(officers, path, code):
    response = officers.get(f"/api/security/{path}")
    assert response.status_code == 400, response.content
    body = response.json()
    assert body["code"] == "invalid_query"
    assert code in {error["code"] for error in body["errors"]}


@pytest.mark.parametrize("name", ["target", "kind", "actor_id", "cursor", "since", "nonsense"])
def test_nul_is_refused_wherever_it_stands(officers, name):
    assert officers.get(f"/api/security/events?{name}=a%00b").status_code == 400
    assert EventsQuery(data={"target": "a\x00b"}).is_valid() is False


def test_events_come_page_by_page(officers, no_events):
    keys = [str(event.pk) for event in happened(7)]
    seen, cursor = [], ""
    for _ in range(4):
        page = officers.get(f"/api/security/events?limit=2&kind=tests.door.opened{cursor}").json()
        seen += [event["id"] for event in page["results"]]
        cursor = f"&cursor={page['next']}"
        if page["next"] is None:
            break
    assert seen == keys


def test_an_event_is_given_whole(officers, no_events):
    (event,) = happened(
        1, severity=Severity.HIGH, ip="2001:db8::1", target="user:1", data={"why": "é"}
    )
    (given,) = officers.get("/api/security/events?target=user:1").json()["results"]
    assert given["id"] == str(event.pk)
    assert given["severity"] == "high"
    assert (given["ip"], given["data"], given["outcome"]) == (
        "2001:db8::1",
        {"why": "é"},
        "success",
    )


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("kind=tests.door.opened", 3),
        ("kind=tests.door.opened&kind=tests.window.opened", 4),
        ("at_least=high", 1),
        ("outcome=failure", 1),
        ("outcome=refused", 0),
        ("ip=203.0.113.9", 1),
        ("actor_id=7", 1),
        ("session_id=s1", 1),
        ("request_id=r1", 1),
        ("since={recently}", 3),
        ("before={recently}", 1),
        ("since={recently}&at_least=high&kind=tests.door.opened", 1),
        ("since={recently}&before={recently}", 0),
    ],
)
def test_filters_narrow_and_combine(officers, no_events, question, found):
    now = timezone.now()
    happened(1, at=now, severity=Severity.HIGH, ip="203.0.113.9")
    happened(1, at=now, actor_id="7", session_id="s1")
    happened(1, at=now - timedelta(days=2), request_id="r1")
    happened(1, at=now, kind="tests.window.opened", outcome="failure")
    recently = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = officers.get(f"/api/security/events?{question.format(recently=recently)}").json()
    ours = [e for e in answer["results"] if e["kind"].startswith("tests.")]
    assert len(ours) == found


def test_a_page_of_events_is_one_query_and_counts_nothing(officers, no_events):
    happened(30)
    officers.get("/api/security/events")
    with CaptureQueriesContext(connection) as queries:
        officers.get("/api/security/events?limit=10")
    (asked,) = [q["sql"] for q in queries if "audit_securityevent" in q["sql"]]
    assert "COUNT" not in asked
    assert "LIMIT 11" in asked


def test_the_health_report_is_given_to_staff(officers):
    response = officers.get("/api/security/health")
    body = response.json()
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert body["status"] in {"healthy", "degraded", "unhealthy"}
    assert {"name", "status", "detail", "checked_at"} == set(body["checks"][0])
    assert "database" in {check["name"] for check in body["checks"]}


@pytest.mark.parametrize("path", PATHS)
def test_questions_are_asked_and_nothing_is_sent(officers, path):
    assert officers.post(path).status_code == 405
