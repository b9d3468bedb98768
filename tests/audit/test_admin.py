"""The list of events: read-only, searchable by what has an index, as quick on any page."""

import re
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import SecurityEvent
from garrison.events import Severity
from tests.audit.happenings import happened

LIST = "/admin/audit/securityevent/"


def named(queries):
    """Name each query by its verb and table, leaving out what signing in costs."""
    names = []
    for query in queries:
        sql = query["sql"]
        table = re.search(r'(?:FROM|INTO|UPDATE) "(\w+)"', sql)
        what = "COUNT" if "COUNT(" in sql else sql.split()[0]
        names.append(f"{what} {table[1]}" if table else what)
    return names


def shown(response):
    return [event.pk for event in response.context["cl"].result_list]


@pytest.fixture
def fifty_times_three(db):
    now = timezone.now()
    return happened([now - timedelta(minutes=n) for n in range(150)])


def test_pages_go_on_without_gap_or_overlap_and_back(admin_client, fifty_times_three):
    keys = [event.pk for event in fifty_times_three]
    first = admin_client.get(LIST)
    second = admin_client.get(LIST + first.context["cl"].older_url)
    third = admin_client.get(LIST + second.context["cl"].older_url)
    rest = admin_client.get(LIST + third.context["cl"].older_url)
    pages = [shown(page) for page in (first, second, third, rest)]
    assert [key for page in pages for key in page if key in set(keys)] == keys
    assert first.context["cl"].newer_url is None
    assert rest.context["cl"].older_url is None
    back = admin_client.get(LIST + third.context["cl"].newer_url)
    assert shown(back) == pages[1]
    front = admin_client.get(LIST + back.context["cl"].newer_url)
    assert shown(front) == pages[0]
    assert 'rel="next"' in first.content.decode()


def test_a_page_beyond_the_end_leads_back(admin_client, fifty_times_three):
    oldest = fifty_times_three[-1].pk
    page = admin_client.get(f"{LIST}?before={oldest}")
    assert shown(page) == []
    assert page.context["cl"].newer_url == "?"
    assert "Nothing matches in this time." in page.content.decode()


def test_filters_are_kept_from_page_to_page(admin_client, db):
    happened([timezone.now()] * 60, severity=Severity.HIGH)
    happened([timezone.now()] * 60)
    page = admin_client.get(f"{LIST}?severity__exact=4&q=tests.door.opened")
    assert "severity__exact=4" in page.context["cl"].older_url
    assert "q=tests.door.opened" in page.context["cl"].older_url
    after = admin_client.get(LIST + page.context["cl"].older_url)
    assert len(shown(after)) == 10


def test_every_query_of_the_list_is_known_and_none_counts(admin_client, fifty_times_three):
    admin_client.get(LIST)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(LIST)
    assert named(queries) == [
        "SELECT django_session",
        "SELECT sessions_tracking_session",  # joined with its user
        "SELECT audit_securityevent",
    ]
    assert "OFFSET" not in queries[-1]["sql"]
    assert "LIMIT 51" in queries[-1]["sql"]


@pytest.mark.parametrize(
    "question",
    [
        "?before=nonsense",
        "?after=%00",
        "?before=1%20OR%201",
        "?o=3",
        "?p=999999",
        "?all=",
        "?severity__exact=x",
        "?actor_label__icontains=a",
        "?data__contains=a",
        "?time=never",
        "?q=%00%F0%9F%92%A9",
        "?q=" + "x" * 5000,
        "?q='%22;--",
        "?e=1",
    ],
)
def test_no_question_breaks_the_list(admin_client, fifty_times_three, question):
    response = admin_client.get(LIST + question, follow=True)
    assert response.status_code in {200, 400}


@pytest.mark.parametrize("lookup", ["actor_label__icontains", "data__contains", "kind", "at__year"])
def test_what_no_index_answers_cannot_be_asked(admin_client, fifty_times_three, lookup):
    assert admin_client.get(LIST, {lookup: "1"}).status_code == 400


def test_a_week_is_shown_unless_another_span_is_chosen(admin_client, db):
    now = timezone.now()
    spans = {"1h": 0.02, "24h": 0.9, "7d": 6, "30d": 29, "all": 400}
    happened(now - timedelta(days=days) for days in spans.values())
    for count, slug in enumerate(spans, start=1):
        page = admin_client.get(LIST, {"time": slug, "q": "tests.door.opened"})
        assert len(shown(page)) == count, slug
    default = admin_client.get(LIST, {"q": "tests.door.opened"})
    assert len(shown(default)) == 3
    selected = [
        c["display"]
        for c in default.context["cl"].filter_specs[0].choices(default.context["cl"])
        if c["selected"]
    ]
    assert selected == ["Last 7 days"]


@pytest.fixture
def one_of_each(db, django_user_model):
    now = timezone.now()
    user = django_user_model.objects.create_user("mira@example.org", None)
    session, request = str(uuid.uuid4()), uuid.uuid4().hex
    happened([now], ip="203.0.113.9", target="door:by-address")
    happened([now], ip="2001:db8::1", target="door:by-address-6")
    happened([now], session_id=session, target="door:by-session")
    happened([now], request_id=request, target="door:by-request")
    happened([now], actor_id=str(user.pk), target="door:by-actor")
    happened([now], target=f"user:{user.pk}")
    happened([now], kind="tests.window.opened", target="door:by-kind")
    return {"session": session, "request": request, "user": str(user.pk)}


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("203.0.113.9", ["door:by-address"]),
        ("2001:DB8:0::1", ["door:by-address-6"]),
        ("{session}", ["door:by-session"]),
        ("{request}", ["door:by-request"]),
        ("{user}", ["door:by-actor", "user:{user}"]),
        ("Mira@Example.org ", ["door:by-actor", "user:{user}"]),
        ("user:{user}", ["user:{user}"]),
        ("door:by-kind", ["door:by-kind"]),
        ("tests.window.opened", ["door:by-kind"]),
        ("nobody@example.org", []),
        ("door:by", []),
    ],
)
def test_search_finds_by_what_has_an_index(admin_client, one_of_each, term, found):
    page = admin_client.get(LIST, {"q": term.format(**one_of_each)})
    targets = [event.target for event in page.context["cl"].result_list]
    assert sorted(targets) == sorted(t.format(**one_of_each) for t in found)


def test_a_kind_is_found_by_its_beginning(admin_client, db):
    happened([timezone.now()], kind="tests.door.opened", target="door:1")
    happened([timezone.now()], kind="tests.door.refused", target="door:2")
    page = admin_client.get(LIST, {"q": "Tests.door"})
    assert {e.target for e in page.context["cl"].result_list} == {"door:1", "door:2"}


def test_an_event_is_shown_whole_and_escaped(admin_client, db):
    (event,) = happened(
        [timezone.now()], data={"why": "<script>alert(1)</script>"}, user_agent="<b>", ip="::1",
        request_id="r" * 32, actor_label="<i>",
    )  # fmt: skip
    page = admin_client.get(f"{LIST}{event.pk}/change/")
    text = page.content.decode()
    assert page.status_code == 200
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    assert "&lt;b&gt;" in text
    assert "Same request" in text
    assert "Save" not in text


@pytest.mark.parametrize("path", ["add/", "{pk}/delete/"])
def test_evidence_can_be_neither_added_nor_deleted(admin_client, db, path):
    (event,) = happened([timezone.now()])
    assert admin_client.get(LIST + path.format(pk=event.pk)).status_code == 403


def test_evidence_cannot_be_changed(admin_client, db):
    (event,) = happened([timezone.now()])
    admin_client.post(f"{LIST}{event.pk}/change/", {"kind": "x"})
    assert SecurityEvent.objects.get(pk=event.pk).kind == "tests.door.opened"


def test_staff_without_the_permission_see_nothing(client, django_user_model):
    user = django_user_model.objects.create_user(
        "temp@example.org", "plaid-walrus-61", is_staff=True
    )
    client.force_login(user)
    assert client.get(LIST).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_securityevent"))
    assert client.get(LIST).status_code == 200
    (event,) = happened([timezone.now()])
    assert client.get(f"{LIST}{event.pk}/change/").status_code == 200


def test_an_event_that_is_not_there_is_said_to_be_missing(admin_client, db):
    response = admin_client.get(f"{LIST}{uuid.uuid4()}/change/", follow=True)
    assert "exist. Perhaps it was deleted?" in response.content.decode()
    assert admin_client.get(f"{LIST}nonsense/change/", follow=True).status_code == 200
