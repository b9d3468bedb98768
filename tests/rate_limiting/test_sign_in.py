"""The real sign-in, as issue 2 asks: with the limits of production, over HTTP."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

pytestmark = pytest.mark.django_db

PASSWORD = "brisk-otter-lantern-94"


@pytest.fixture
def people():
    make = get_user_model().objects.create_user
    now = timezone.now()
    return [
        make(email=f"{name}@example.com", password=PASSWORD, email_verified_at=now)
        for name in ("ana", "ben")
    ]


def sign_in(client, email, password):
    body = {"email": email, "password": password}
    return client.post("/api/auth/login", body, "application/json")


def test_ten_wrong_sign_ins_are_five_401_and_then_429_with_a_wait(client, people):
    answers = [sign_in(client, "ana@example.com", "wrong") for _ in range(10)]
    assert [a.status_code for a in answers] == [401] * 5 + [429] * 5
    waits = [int(a["Retry-After"]) for a in answers[5:]]
    assert all(wait > 0 for wait in waits)
    assert waits == sorted(waits)
    assert {a.json()["code"] for a in answers[5:]} <= {"rate_limited", "locked_out"}
    assert sign_in(client, "ben@example.com", PASSWORD).status_code == 200


def test_who_signs_in_often_is_not_refused(client, people):
    assert [sign_in(client, "ana@example.com", PASSWORD).status_code for _ in range(8)] == [200] * 8


def test_a_signed_in_request_costs_one_statement_and_one_round_trip(client, people, sent):
    access = sign_in(client, "ana@example.com", PASSWORD).json()["access"]
    ask = {"headers": {"Authorization": f"Bearer {access}"}}
    client.get("/api/auth/me", **ask)
    sent.clear()
    with CaptureQueriesContext(connection) as asked:
        answer = client.get("/api/auth/me", **ask)
    assert answer.status_code == 200
    assert answer["RateLimit-Policy"] == '"api";q=100;w=900'
    assert [names_of(query["sql"]) for query in asked] == ["SELECT session with its user"]
    assert sent == ["EVALSHA"]  # the throttle


def names_of(sql):
    is_session = sql.startswith("SELECT") and "sessions_tracking_session" in sql
    return "SELECT session with its user" if is_session and "accounts_user" in sql else sql
