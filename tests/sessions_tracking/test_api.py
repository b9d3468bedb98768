"""What a client sees."""

import uuid
from datetime import timedelta

import jwt
import pytest
import time_machine
from django.db import connections
from django.db.models import F
from django.test import Client, override_settings
from django.urls import include, path
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient, force_authenticate

from sessions_tracking import services
from sessions_tracking.api.views import LogoutView, RefreshView
from sessions_tracking.models import Session
from tests.sessions_tracking.scenery import ed25519_pem, used

REFRESH, LOGOUT = "/api/auth/refresh", "/api/auth/logout"
SESSIONS, LOGOUT_ALL = "/api/sessions", "/api/sessions/logout-all"
A_MINUTE = timedelta(seconds=60)


def refresh(token, client=None):
    return (client or APIClient()).post(REFRESH, {"refresh": token}, format="json")


def test_a_device_is_listed_refreshed_and_signed_out(pair, client_of):
    client = client_of(pair)
    (listed,) = client.get(SESSIONS).json()
    assert (listed["id"], listed["current"]) == (str(pair.session.pk), True)

    answer = refresh(pair.refresh)
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {
        "access",
        "refresh",
        "access_expires_in",
        "refresh_expires_in",
        "session_id",
    }
    assert body["session_id"] == str(pair.session.pk)
    assert "no-store" in answer["Cache-Control"]

    client.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access']}")
    assert client.post(LOGOUT).status_code == 204
    after = client.get(SESSIONS)
    assert (after.status_code, after.json()["code"]) == (401, "session_ended")
    again = refresh(body["refresh"])
    assert (again.status_code, again.json()["code"]) == (401, "session_ended")


def test_what_is_listed_is_the_contract(user, client_of):
    pair = services.start_token_session(user=user, amr=["pwd"])
    Session.objects.filter(pk=pair.session.pk).update(user_agent="Browser/1", ip="192.0.2.4")
    used(pair)
    (listed,) = client_of(pair).get(SESSIONS).json()
    for instant in ("created_at", "last_seen_at"):
        assert listed.pop(instant).endswith("Z")
    assert listed == {
        "id": str(pair.session.pk),
        "current": True,
        "kind": "token",
        "ip": "192.0.2.4",
        "location": "",
        "device": "Browser/1",
        "risk": [],
    }


def test_only_living_sessions_of_the_caller_are_listed_last_used_first(user, make_user, client_of):
    services.start_token_session(user=make_user("bob@example.org"), amr=["pwd"])
    now = timezone.now()
    first, second, over = (
        services.start_token_session(user=user, amr=["pwd"], now=now - timedelta(seconds=s))
        for s in (20, 10, 5)
    )
    for seconds, pair in ((20, first), (10, second)):
        used(pair, seconds_ago=seconds)
    services.end_session(session_id=over.session.pk, reason="test")
    listed = client_of(first).get(SESSIONS).json()
    assert [row["id"] for row in listed] == [str(second.session.pk), str(first.session.pk)]
    assert [row["current"] for row in listed] == [False, True]


def test_the_list_takes_two_statements_whatever_its_length(user, client_of, statements):
    pair = services.start_token_session(user=user, amr=["pwd"])
    for _ in range(9):
        services.start_token_session(user=user, amr=["pwd"])
    client = client_of(used(pair))
    with statements() as asked:
        assert len(client.get(SESSIONS).json()) == 10
    assert asked == ["session joined with its user", "sessions"]


def test_a_refresh_over_http_takes_two_statements(pair, statements):
    with statements() as asked:
        assert refresh(pair.refresh).status_code == 200
    assert asked == ["session joined with its user", "advance the counter"]


def test_a_refresh_does_not_care_for_an_expired_access_token(pair, client_of):
    client = client_of(pair)
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        assert client.get(SESSIONS).json()["code"] == "token_expired"
        assert refresh(pair.refresh, client).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic_requests", [False, True])
def test_a_replay_gets_401_and_the_event_the_ending_and_the_mail_stay(
    make_user, events_of, mailoutbox, monkeypatch, atomic_requests
):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", atomic_requests)
    pair = services.start_token_session(user=make_user(), amr=["pwd"])
    assert refresh(pair.refresh).status_code == 200
    Session.objects.update(rotated_at=F("rotated_at") - A_MINUTE)
    answer = refresh(pair.refresh)
    assert (answer.status_code, answer.json()["code"]) == (401, "refresh_reused")
    assert refresh(pair.refresh).json()["code"] == "session_ended"
    assert Session.objects.get(pk=pair.session.pk).end_reason == "refresh_reused"
    (event,) = events_of("sessions.refresh.reused")
    assert event.outcome == "refused"
    assert event.data["was_ended"], "the view holds no transaction, so the family ended at once"
    assert event.ip == "127.0.0.1"
    assert event.request_id == answer["X-Request-ID"]
    (mail,) = mailoutbox
    assert mail.to == ["ada@example.org"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls("tests.sessions_tracking.views")
def test_a_replay_in_a_hosts_own_atomic_view_ends_the_family_all_the_same(make_user, events_of):
    """The view's transaction is rolled back by the refusal; the family ends after it."""
    now = timezone.now()
    pair = services.start_token_session(user=make_user(), amr=["pwd"], now=now)
    services.rotate(refresh_token=pair.refresh, now=now)
    Session.objects.update(rotated_at=F("rotated_at") - A_MINUTE)
    answer = Client().post("/rotate-atomically", {"refresh": pair.refresh})
    assert answer.json()["code"] == "refresh_reused"
    assert Session.objects.get(pk=pair.session.pk).end_reason == "refresh_reused"
    assert len(events_of("sessions.refresh.reused")) == 1


def test_tokens_are_never_stored_by_a_cache_not_even_without_the_rest_of_the_house(pair, rf):
    request = rf.post(REFRESH, {"refresh": pair.refresh}, content_type="application/json")
    answer = RefreshView.as_view()(request)
    assert "no-store" in answer["Cache-Control"]
    assert answer.data["session_id"] == str(pair.session.pk)


@pytest.mark.parametrize("value", ["nonsense", "x" * 9000, "é", "a.b.c", " "])
def test_text_that_is_no_token_is_not_valid(db, value):
    answer = refresh(value)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"refresh": ""},
        {"refresh": None},
        {"refresh": 1},
        {"refresh": ["a"]},
        {"refresh": {"a": 1}},
        {"refresh": True},
        {"refresh": "\x00"},
        {"refresh": "a", "extra": 1},
        {"Refresh": "a"},
        [],
        ["refresh"],
        "refresh",
        None,
        1,
    ],
    ids=str,
)
def test_a_body_of_another_shape_is_a_bad_request(db, body):
    answer = APIClient().post(REFRESH, body, format="json")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"]


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b'{"refresh": "a"', b"null", b"\x00"])
def test_a_body_that_is_no_json_is_a_bad_request(db, raw):
    answer = APIClient().generic("POST", REFRESH, raw, content_type="application/json")
    assert answer.status_code == 400


def test_a_host_that_authenticates_in_another_way_has_no_session_to_end(pair, user, rf):
    request = rf.post(LOGOUT, content_type="application/json")
    force_authenticate(request, user)
    assert LogoutView.as_view()(request).status_code == 204
    assert Session.objects.get(pk=pair.session.pk).ended_at is None


@pytest.mark.parametrize("body", [{"everywhere": True}, {"refresh": "x"}])
def test_signing_out_takes_no_fields(pair, client_of, body):
    assert client_of(pair).post(LOGOUT, body, format="json").status_code == 400
    assert Session.objects.get(pk=pair.session.pk).ended_at is None


def test_one_device_can_be_ended_from_another(user, client_of):
    here, there = (services.start_token_session(user=user, amr=["pwd"]) for _ in range(2))
    assert client_of(here).delete(f"{SESSIONS}/{there.session.pk}").status_code == 204
    assert client_of(there).get(SESSIONS).status_code == 401
    assert client_of(here).get(SESSIONS).status_code == 200
    assert Session.objects.get(pk=there.session.pk).end_reason == "ended_by_owner"


def test_a_session_of_somebody_else_is_as_unknown_as_none(pair, make_user, client_of):
    theirs = services.start_token_session(user=make_user("bob@example.org"), amr=["pwd"])
    answers = [
        client_of(pair).delete(f"{SESSIONS}/{key}") for key in (theirs.session.pk, uuid.uuid4())
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    bodies = [answer.json() | {"request_id": ""} for answer in answers]
    assert bodies[0] == bodies[1]
    assert bodies[0]["code"] == "session_not_found"
    assert Session.objects.get(pk=theirs.session.pk).ended_at is None


def test_an_ended_session_is_not_found_a_second_time(user, client_of):
    here, there = (services.start_token_session(user=user, amr=["pwd"]) for _ in range(2))
    address = f"{SESSIONS}/{there.session.pk}"
    assert client_of(here).delete(address).status_code == 204
    assert client_of(here).delete(address).status_code == 404


@pytest.mark.parametrize("key", ["1", "nonsense", "../refresh", "0" * 300])
def test_an_id_that_is_no_uuid_is_not_found(pair, client_of, key):
    assert client_of(pair).delete(f"{SESSIONS}/{key}").status_code == 404


@pytest.mark.parametrize(
    ("body", "ended", "status"),
    [
        (None, 2, 200),
        ({}, 2, 200),
        ({"include_current": False}, 2, 200),
        ({"include_current": True}, 3, 401),
    ],
)
def test_signing_out_everywhere_spares_this_device_unless_told_otherwise(  # noqa: PLR0917
    user, make_user, client_of, body, ended, status
):
    here, *_ = (services.start_token_session(user=user, amr=["pwd"]) for _ in range(3))
    bob = services.start_token_session(user=make_user("bob@example.org"), amr=["pwd"])
    answer = client_of(here).post(LOGOUT_ALL, body, format="json")
    assert (answer.status_code, answer.json()) == (200, {"ended": ended})
    assert client_of(here).get(SESSIONS).status_code == status
    assert client_of(bob).get(SESSIONS).status_code == 200


@pytest.mark.parametrize("value", ["true", "yes", 1, 0, None, [], {}, "on"])
def test_whether_this_device_is_included_is_true_or_false_and_nothing_else(pair, client_of, value):
    answer = client_of(pair).post(LOGOUT_ALL, {"include_current": value}, format="json")
    assert answer.status_code == 400
    assert Session.objects.get(pk=pair.session.pk).ended_at is None


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("post", LOGOUT),
        ("get", SESSIONS),
        ("post", LOGOUT_ALL),
        ("delete", f"{SESSIONS}/{uuid.UUID(int=1)}"),
    ],
)
def test_a_stranger_gets_401_everywhere(db, method, address):
    answer = getattr(APIClient(), method)(address)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize(
    ("address", "method"),
    [(REFRESH, "get"), (LOGOUT, "get"), (SESSIONS, "post"), (LOGOUT_ALL, "get")],
)
def test_other_methods_are_refused(pair, client_of, address, method):
    assert getattr(client_of(pair), method)(address).status_code == 405


def test_refreshing_well_is_never_limited_and_failing_is(pair, settings):
    settings.RATE_LIMITS = {"api": ["3/15m"]}
    token = pair.refresh
    for _ in range(6):
        answer = refresh(token)
        assert answer.status_code == 200, answer.content
        token = answer.json()["refresh"]
    assert [refresh("nonsense").status_code for _ in range(5)] == [401, 401, 401, 429, 429]


def test_the_public_keys_are_published_and_verify_a_token(client, user):
    with override_settings(SESSIONS_SIGNING_KEYS=[f"ed1:{ed25519_pem()}"]):
        pair = services.start_token_session(user=user, amr=["pwd"])
        answer = client.get("/.well-known/jwks.json")
        assert answer["Content-Type"] == "application/jwk-set+json"
        assert answer["Cache-Control"] == "public, max-age=300"
        (key,) = answer.json()["keys"]
        claims = jwt.decode(
            pair.access, jwt.PyJWK(key), algorithms=["EdDSA"], audience="django-garrison-api"
        )
        assert claims["sid"] == str(pair.session.pk)
        assert (
            APIClient()
            .get(SESSIONS, HTTP_AUTHORIZATION=f"Bearer {pair.access}")
            .json()[0]["current"]
        )
    assert "d" not in key


def test_there_are_no_public_keys_of_shared_secrets(client, db):
    assert client.get("/.well-known/jwks.json").json() == {"keys": []}
    assert client.post("/.well-known/jwks.json").status_code == 405


def test_each_answer_is_in_the_schema():
    ours = [path("api/", include("sessions_tracking.api.urls"))]
    paths = SchemaGenerator(patterns=ours).get_schema(request=None, public=True)["paths"]
    assert {address: list(methods) for address, methods in paths.items()} == {
        REFRESH: ["post"],
        LOGOUT: ["post"],
        SESSIONS: ["get"],
        LOGOUT_ALL: ["post"],
        f"{SESSIONS}/{{session_id}}": ["delete"],
    }
    assert paths[SESSIONS]["get"]["security"] == [{"accessToken": []}]
    assert "security" not in paths[REFRESH]["post"] or {} in paths[REFRESH]["post"]["security"]
