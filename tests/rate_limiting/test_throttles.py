"""The engine through HTTP: DRF views, function views, and bodies of every kind."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.test import AsyncClient

from garrison.errors import ConfigurationError

pytestmark = [pytest.mark.urls("tests.rate_limiting.urls")]


@pytest.fixture(autouse=True)
def _limits(settings, clock):
    settings.RATE_LIMITS = {
        "auth": ["5/15m", "50/15m address"],
        "api": ["3/15m"],
        "exports": ["2/h"],
    }
    settings.RATE_LIMITING_FACTOR = 1


def sign_in(client, *, email="ana@example.com", password="wrong", **extra):
    return client.post(
        "/api/login", {"email": email, "password": password}, "application/json", **extra
    )


def test_an_answer_carries_the_policy_and_what_is_left(client):
    answer = client.get("/api/read")
    assert answer.status_code == 200
    assert answer["RateLimit-Policy"] == '"api";q=3;w=900'
    assert answer["RateLimit"].startswith('"api";r=2;t=')
    assert "Retry-After" not in answer


def test_beyond_the_limit_the_answer_is_a_problem_with_retry_after(client):
    answers = [client.get("/api/read") for _ in range(5)]
    assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
    body = answers[3].json()
    assert answers[3]["Content-Type"] == "application/problem+json"
    assert body["code"] == "rate_limited"
    assert body["request_id"] == answers[3]["X-Request-ID"]
    assert 0 < int(answers[3]["Retry-After"]) <= 900
    assert int(answers[4]["Retry-After"]) == 2 * int(answers[3]["Retry-After"])
    assert answers[3]["RateLimit"].startswith('"api";r=0;t=')


def test_ten_wrong_sign_ins_are_five_401_and_five_429(client):
    assert [sign_in(client).status_code for _ in range(10)] == [401] * 5 + [429] * 5
    assert sign_in(client, email="ben@example.com", password="right").status_code == 200


def test_spellings_of_one_name_share_its_places(client):
    names = ["ana@example.com", "ANA@example.com", "\uff41na@example.com", " ana@example.com "]
    assert [sign_in(client, email=name).status_code for name in names * 2] == [401] * 5 + [429] * 3


def test_another_address_has_places_of_its_own(client):
    for _ in range(6):
        sign_in(client)
    assert sign_in(client, REMOTE_ADDR="198.51.100.9").status_code == 401


def test_who_signs_in_successfully_is_not_refused(client):
    assert [sign_in(client, password="right").status_code for _ in range(12)] == [200] * 12
    assert sign_in(client).status_code == 401


def test_a_success_gives_back_its_own_place_only(client):
    for _ in range(4):
        sign_in(client)
    assert sign_in(client, password="right").status_code == 200
    assert [sign_in(client).status_code for _ in range(2)] == [401, 429]


def test_what_sends_mail_gives_nothing_back(client):
    codes = [
        client.post("/api/register", {"email": "a@b.example"}, "application/json").status_code
        for _ in range(6)
    ]
    assert codes == [202] * 5 + [429]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[]", b"[" * 5000, b'"text"', b'{"email": ["a"]}', b"null"]
)
def test_a_body_that_names_no_account_is_counted_by_address(client, body, settings):
    settings.RATE_LIMITS = {"auth": ["5/15m", "3/15m address"]}
    client.raise_request_exception = False
    codes = [client.post("/api/login", body, "application/json").status_code for _ in range(5)]
    assert 429 not in codes[:3]
    assert codes[3:] == [429, 429]


def test_a_broken_body_is_told_as_broken(client):
    answer = client.post("/api/login", b"{", "application/json")
    assert answer.status_code == 400
    assert answer["RateLimit"].startswith('"auth-address"') is False


def test_a_view_may_be_left_uncounted(client, sent):
    answers = [client.get("/api/uncounted") for _ in range(5)]
    assert {a.status_code for a in answers} == {200}
    assert "RateLimit" not in answers[0]
    assert sent == []


def test_a_request_costs_one_round_trip(client, sent):
    client.get("/api/read")
    sent.clear()
    client.get("/api/read")
    assert sent == ["EVALSHA"]


def test_a_success_that_gives_back_costs_two(client, sent):
    sign_in(client, password="right")
    sent.clear()
    sign_in(client, password="right")
    assert sent == ["EVALSHA", "EVALSHA"]


def test_an_unknown_scope_stops_the_request_with_its_name(client, settings, monkeypatch):
    from tests.rate_limiting.urls import Read

    monkeypatch.setattr(Read, "throttle_scope", "nothing", raising=False)
    with pytest.raises((ConfigurationError, ImproperlyConfigured), match="nothing"):
        client.get("/api/read")


def test_a_function_view_is_counted(client):
    answers = [client.get("/export") for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert answers[2].json()["code"] == "rate_limited"
    assert answers[2]["Retry-After"]
    assert answers[0]["RateLimit-Policy"] == '"exports";q=2;w=3600'


async def async_answers():
    client = AsyncClient()
    await client.get("/export-async")
    return [await client.post("/export-async") for _ in range(3)]


def test_an_async_view_is_counted_for_the_methods_it_names():
    answers = async_to_sync(async_answers)()
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert answers[0]["RateLimit-Policy"] == '"exports";q=2;w=3600'
