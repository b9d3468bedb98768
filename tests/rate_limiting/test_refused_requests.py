"""What is refused before a view is reached takes a place of the caller's address."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from django.test import Client

from sessions_tracking import services as sessions

pytestmark = [pytest.mark.urls("tests.rate_limiting.urls"), pytest.mark.django_db]
FORGED = {"Authorization": "Bearer a.b.c"}


@pytest.fixture(autouse=True)
def _limits(settings):
    settings.RATE_LIMITS = {"auth": ["5/15m"], "api": ["3/15m"], "exports": ["20/h"]}
    settings.RATE_LIMITING_FACTOR = 1


@pytest.fixture
def signed_in(db):
    user = get_user_model().objects.create_user("ana@example.com", None)
    return {"Authorization": f"Bearer {sessions.start_token_session(user=user, amr=[]).access}"}


@pytest.mark.parametrize("headers", [{}, FORGED, {"Authorization": "Bearer"}])
def test_a_bad_token_is_counted_and_ends_in_429(client, headers):
    answers = [client.get("/api/for-nobody", headers=headers) for _ in range(5)]
    assert [a.status_code for a in answers] == [401] * 3 + [429] * 2
    assert answers[0]["RateLimit"].startswith('"api";r=2;t=')
    assert answers[0]["WWW-Authenticate"].startswith("Bearer")
    assert answers[3]["Retry-After"]
    assert (
        client.get("/api/for-nobody", headers=headers, REMOTE_ADDR="198.51.100.9").status_code
        == 401
    )


def test_what_a_person_may_not_do_is_counted_by_address_and_not_by_person(client, signed_in):
    answers = [client.get("/api/for-nobody", headers=signed_in) for _ in range(4)]
    assert [a.status_code for a in answers] == [403] * 3 + [429]
    assert client.get("/api/read", headers=FORGED).status_code == 429
    assert client.get("/api/guarded", headers=signed_in).status_code == 200


def test_a_good_request_is_not_held_against_its_address(client, signed_in):
    for _ in range(4):
        client.get("/api/for-nobody", headers=FORGED)
    answer = client.get("/api/guarded", headers=signed_in)
    assert answer.status_code == 200
    assert answer["RateLimit"].startswith('"exports";r=19;t=')


def test_one_round_trip_whether_good_or_bad(client, signed_in, sent):
    for headers, status in ((signed_in, 200), (FORGED, 401)):
        client.get("/api/guarded", headers=headers)
        sent.clear()
        assert client.get("/api/guarded", headers=headers).status_code == status
        assert sent == ["EVALSHA"]


def test_a_strangers_body_is_not_read(client):
    answer = client.post("/api/guarded-auth", b"{", "application/json", headers=FORGED)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_a_method_that_is_not_there_is_counted_once(client, signed_in):
    answer = client.put("/api/guarded", headers=signed_in)
    assert (answer.status_code, answer["RateLimit"][:13]) == (405, '"exports";r=1')


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_counted_exactly(signed_in):
    def ask(_):
        try:
            return Client().get("/api/guarded", headers=FORGED).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(16) as pool:
        answers = Counter(pool.map(ask, range(60)))
    assert answers == {401: 20, 429: 40}
