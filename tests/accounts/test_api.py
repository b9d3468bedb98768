"""The doors, over HTTP, as CONTRACT describes them."""

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from rest_framework.test import APIClient

from accounts.models import LockoutBucket
from audit.models import SecurityEvent
from tests.accounts.conftest import PASSWORD, WRONG, mailed_code, post

pytestmark = pytest.mark.django_db(transaction=True)

PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}


def sign_in(client):
    """Sign in as Ada, and send the token from now on."""
    body = post(client, "login", email="ada@example.org", password=PASSWORD).json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access']}")
    return body


def test_from_registering_to_signing_out(client):
    """The issue's first line, with a client alone."""
    assert post(client, "register", email="Bob@Example.org", password=PASSWORD).status_code == 202
    response = post(client, "login", email="bob@example.org", password=PASSWORD)
    assert (response.status_code, response.json()["code"]) == (403, "email_unverified")
    assert (
        post(client, "verify-email", email="bob@example.org", code=mailed_code()).status_code == 204
    )
    body = post(client, "login", email="bob@example.org", password=PASSWORD).json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access']}")
    (session,) = client.get("/api/sessions").json()
    assert (session["id"], session["current"]) == (body["session_id"], True)
    refreshed = post(client, "refresh", refresh=body["refresh"]).json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {refreshed['access']}")
    assert client.post("/api/auth/logout").status_code == 204
    assert client.get("/api/auth/me").status_code == 401
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {body['access']}")
    assert client.get("/api/auth/me").status_code == 401


def test_a_login_gives_the_tokens_and_the_profile(client, ada):
    response = post(client, "login", email=" ADA@example.org", password=PASSWORD)
    body = response.json()
    assert response.status_code == 200
    assert set(body) == {
        "access",
        "refresh",
        "access_expires_in",
        "refresh_expires_in",
        "session_id",
        "device_token",
        "user",
    }
    assert body["access_expires_in"] == 900
    assert body["user"]["email"] == "ada@example.org"
    assert body["user"]["id"] == str(ada.pk)
    assert "no-store" in response.headers["Cache-Control"]
    ada.refresh_from_db()
    assert ada.last_login is not None
    (event,) = SecurityEvent.objects.of_kinds(["accounts.login.succeeded"])
    assert (event.session_id, event.actor_id) == (body["session_id"], str(ada.pk))
    assert event.target == f"user:{ada.pk}"


def test_ten_wrong_logins_in_a_row_with_production_limits(client, ada):
    """Five 401, then 429; somebody else at the same address signs in; all ten are recorded."""
    get_user_model().objects.create_superuser(email="root@example.org", password=PASSWORD)
    responses = [post(client, "login", email="ada@example.org", password=WRONG) for _ in range(10)]
    assert [response.status_code for response in responses] == [401] * 5 + [429] * 5
    assert all(int(response.headers["Retry-After"]) > 0 for response in responses[5:])
    other = post(client, "login", email="root@example.org", password=PASSWORD)
    assert other.status_code == 200
    recorded = SecurityEvent.objects.of_kinds(
        ["accounts.login.failed", "rate_limiting.request.refused"]
    )
    assert recorded.count() == 10


def test_ten_wrong_logins_are_all_failures_where_only_the_lockout_refuses(
    client, ada, no_rate_limits
):
    responses = [post(client, "login", email="ada@example.org", password=WRONG) for _ in range(10)]
    assert [response.status_code for response in responses] == [401] * 5 + [429] * 5
    locked = responses[-1]
    assert set(locked.json()) == PROBLEM
    assert locked.json()["code"] == "locked_out"
    assert 880 <= int(locked.headers["Retry-After"]) <= 900
    reasons = [
        event.data["reason"]
        for event in SecurityEvent.objects.of_kinds(["accounts.login.failed"]).order_by("pk")
    ]
    assert reasons == ["wrong_password"] * 5 + ["locked"] * 5
    assert post(client, "login", email="ada@example.org", password=PASSWORD).status_code == 429


def test_wrong_and_unknown_and_locked_answers_differ_in_nothing_but_the_request_id(
    client, ada, no_rate_limits, time_machine
):
    time_machine.move_to("2026-11-24 12:00:00+00:00", tick=False)
    for _ in range(7):
        known, unknown = (
            post(client, "login", email=name, password=WRONG)
            for name in ("ada@example.org", "nobody@example.org")
        )
        assert known.status_code == unknown.status_code
        for response in (known, unknown):
            response.described = {**response.json(), "request_id": ""}
        assert known.described == unknown.described
        ignored = {"X-Request-ID"}
        headers = [
            {k: v for k, v in response.headers.items() if k not in ignored}
            for response in (known, unknown)
        ]
        assert headers[0] == headers[1]


def test_an_address_that_fails_too_often_is_locked_for_every_account(
    client, ada, no_rate_limits, settings
):
    settings.ACCOUNTS_LOCKOUT_ADDRESS_FAILURES = 8
    for number in range(8):
        response = post(client, "login", email=f"user{number}@example.org", password=WRONG)
        assert response.status_code == 401
    locked = post(client, "login", email="ada@example.org", password=PASSWORD)
    assert (locked.status_code, locked.json()["code"]) == (429, "locked_out")
    elsewhere = APIClient(REMOTE_ADDR="198.51.100.7")
    assert post(elsewhere, "login", email="ada@example.org", password=PASSWORD).status_code == 200
    (event,) = SecurityEvent.objects.of_kinds(["accounts.lockout.started"])
    assert event.target == "address:127.0.0.1"


def test_registering_answers_alike_for_every_address(client, ada):
    answers = []
    for email in ("new@example.org", "ada@example.org"):
        response = post(client, "register", email=email, password=PASSWORD, name="N")
        answers.append((response.status_code, response.content))
    assert answers == [(202, b"")] * 2
    assert len(mail.outbox) == 2


def test_a_weak_password_is_refused_with_each_reason(client, db):
    response = post(client, "register", email="bob@example.org", password="password")
    body = response.json()
    assert (response.status_code, body["code"]) == (400, "password_rejected")
    assert {error["code"] for error in body["errors"]} == {"length", "common", "guessable"}
    assert all(set(error) == {"code", "message"} for error in body["errors"])
    assert not get_user_model().objects.exists()


def test_a_wrong_code_is_a_stable_problem(client, ada):
    for email in ("ada@example.org", "nobody@example.org"):
        response = post(client, "verify-email", email=email, code="123456")
        assert (response.status_code, response.json()["code"]) == (400, "code_invalid")


def test_blanks_in_a_code_are_a_persons_way_of_writing_it(client, db):
    post(client, "register", email="bob@example.org", password=PASSWORD)
    code = mailed_code()
    response = post(client, "verify-email", email="bob@example.org", code=f" {code[:3]} {code[3:]}")
    assert response.status_code == 204


def test_a_stale_token_does_not_stand_in_the_way_of_signing_in(client, ada):
    client.credentials(HTTP_AUTHORIZATION="Bearer of-bad-news")
    assert post(client, "login", email="ada@example.org", password=PASSWORD).status_code == 200


def test_me_shows_the_profile_and_changes_the_name_and_nothing_else(client, ada):
    sign_in(client)
    me = client.get("/api/auth/me").json()
    assert (me["email"], me["name"], me["email_verified"], me["is_staff"]) == (
        "ada@example.org",
        "Ada",
        True,
        False,
    )
    response = client.patch("/api/auth/me", {"name": "Ada L."}, format="json")
    assert (response.status_code, response.json()["name"]) == (200, "Ada L.")
    ada.refresh_from_db()
    assert ada.name == "Ada L."
    for forbidden in ({"email": "eve@example.org"}, {"is_staff": True}, {"id": "1"}):
        refused = client.patch("/api/auth/me", forbidden, format="json")
        assert refused.status_code == 400
    ada.refresh_from_db()
    assert (ada.email, ada.is_staff) == ("ada@example.org", False)
    assert SecurityEvent.objects.of_kinds(["accounts.profile.changed"]).count() == 1


def test_the_same_name_again_is_no_change(client, ada):
    sign_in(client)
    assert client.patch("/api/auth/me", {"name": "Ada"}, format="json").status_code == 200
    assert client.patch("/api/auth/me", {}, format="json").status_code == 200
    assert not SecurityEvent.objects.of_kinds(["accounts.profile.changed"]).exists()


@pytest.mark.parametrize("path", ["me", "login-history"])
def test_strangers_see_no_profile_and_no_history(client, db, path):
    assert client.get(f"/api/auth/{path}").status_code == 401


def test_the_history_shows_successes_and_failures_of_oneself_alone(client, ada, no_rate_limits):
    get_user_model().objects.create_user(email="eve@example.org", password=PASSWORD)
    agent = APIClient(HTTP_USER_AGENT="Lynx/2.8")
    post(agent, "login", email="ada@example.org", password=WRONG)
    post(agent, "login", email="eve@example.org", password=WRONG)
    sign_in(client)
    body = client.get("/api/auth/login-history").json()
    assert body["next"] is None
    success, failure = body["results"]
    assert set(failure) == {"at", "outcome", "ip", "location", "device", "reason"}
    assert (success["outcome"], success["reason"]) == ("success", None)
    assert (failure["outcome"], failure["reason"]) == ("refused", "wrong_password")
    assert (failure["device"], failure["ip"]) == ("Lynx/2.8", "127.0.0.1")


def test_the_history_is_paged_by_a_cursor_without_gaps_or_repeats(client, ada, no_rate_limits):
    for _ in range(45):
        post(client, "login", email="ada@example.org", password=WRONG)
    LockoutBucket.objects.all().delete()
    sign_in(client)
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = client.get("/api/auth/login-history", {"cursor": cursor} if cursor else {}).json()
        seen += [entry["at"] for entry in page["results"]]
        cursor, pages = page["next"], pages + 1
    assert pages == 3
    assert len(seen) == 46
    assert seen == sorted(seen, reverse=True)


def test_a_cursor_that_is_none_is_refused(client, ada):
    sign_in(client)
    assert client.get("/api/auth/login-history?cursor=x").status_code == 400
    assert client.get("/api/auth/login-history?page=2").status_code == 400


def test_a_password_can_be_judged_before_it_is_chosen(client, db):
    weak = post(client, "password/strength", password="password", email="a@example.org").json()
    assert set(weak) == {"score", "crack_time", "feedback", "accepted", "errors"}
    assert (weak["score"], weak["accepted"]) == (0, False)
    assert {error["code"] for error in weak["errors"]} == {"length", "common", "guessable"}
    strong = post(client, "password/strength", password=PASSWORD)
    assert strong.json()["accepted"] is True
    assert PASSWORD not in strong.content.decode()


def test_asking_for_codes_is_limited(client, db):
    statuses = [
        post(client, "verify-email/resend", email="bob@example.org").status_code for _ in range(7)
    ]
    assert statuses == [202] * 5 + [429] * 2


def test_the_right_password_is_not_refunded_without_end(client, ada, settings):
    settings.RATE_LIMITING_FACTOR = 1
    answers = [post(client, "login", email="ada@example.org", password=PASSWORD) for _ in range(20)]
    assert [answer.status_code for answer in answers] == [200] * 15 + [429] * 5
