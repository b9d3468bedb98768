"""Whatever is sent to the real API, signed in or not, nothing is an error of ours."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from django.contrib.auth import get_user_model
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from http_hardening.api.schema import document
from sessions_tracking import services as sessions

pytestmark = pytest.mark.django_db

OPERATIONS = [
    (path, method)
    for path, operations in json.loads(document())["paths"].items()
    for method in operations
]
NAMES = sorted(
    {
        name
        for schema in json.loads(document())["components"]["schemas"].values()
        for name in schema.get("properties", {})
    }
)
ODD_TEXT = st.sampled_from(
    [
        "",
        "a" * 300,
        "a@b.example",
        "a\x00b",
        "\ud800",
        "ⅣａＡ@example.com",
        "0" * 5000,
        "../..",
        "%00",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | ODD_TEXT
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
BODIES = st.one_of(
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6).map(json.dumps).map(str.encode),
    st.dictionaries(st.sampled_from(NAMES), ODD_TEXT, min_size=1, max_size=6)
    .map(json.dumps)
    .map(str.encode),
    st.binary(max_size=50),
)
QUERIES = st.dictionaries(
    st.sampled_from(["cursor", "window", "page", "limit", "kind", "since", "state", "format"]),
    ODD_TEXT.filter(lambda text: "\ud800" not in text)
    | st.text(max_size=10).filter(str.isprintable),
    max_size=3,
)


@pytest.fixture
def bearer(settings):
    settings.RATE_LIMITING_FACTOR = 1_000_000
    person = get_user_model().objects.create_superuser(email="ana@example.com", password="x")
    return f"Bearer {sessions.start_token_session(user=person, amr=['pwd']).access}"


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=BODIES, query=QUERIES, is_signed_in=st.booleans())
def test_nothing_a_client_sends_is_an_error_of_ours(  # noqa: PLR0917 - fixtures and examples
    calm_client, bearer, path, method, body, query, is_signed_in
):
    answer = calm_client.generic(
        method.upper(),
        re.sub(r"\{\w+\}", str(uuid.uuid4()), path),
        body,
        "application/json",
        query_params=query,
        headers={"Authorization": bearer} if is_signed_in else {},
    )
    assert answer.status_code < 500, answer.content
    assert answer["Cache-Control"]
    if answer.status_code >= 400:
        problem = answer.json()
        assert answer["Content-Type"] == "application/problem+json"
        assert problem["status"] == answer.status_code
        assert re.fullmatch(r"[a-z_]+", problem["code"])
        assert problem["request_id"] == answer["X-Request-ID"]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer a.b.c", "Bearer \x00", "Bearer é", "Basic YTpi",
               "Bearer " + "a" * 8000, "Bearer eyJhbGciOiJub25lIn0.e30.", "é" * 10]
)  # fmt: skip
def test_whatever_stands_for_a_token_the_answer_is_401(calm_client, header):
    answer = calm_client.get("/api/auth/me", headers={"Authorization": header})
    assert answer.status_code == 401, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"].startswith("Bearer")
