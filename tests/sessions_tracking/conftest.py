"""People with sessions, keys to sign with, and statements by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from audit.models import SecurityEvent
from sessions_tracking import services
from sessions_tracking.services import TokenPair

NAMES = [
    (r"^SELECT .* FROM .sessions_tracking_session. INNER JOIN", "session joined with its user"),
    (r"^UPDATE .sessions_tracking_session. SET .counter.", "advance the counter"),
    (r"^UPDATE .sessions_tracking_session. SET .last_seen_at.", "note the use"),
    (r"^UPDATE .sessions_tracking_session. SET .ended_at.*IN \(SELECT", "end the excess"),
    (r"^UPDATE .sessions_tracking_session. SET .ended_at.", "end the session"),
    (r"^UPDATE .sessions_tracking_session. SET .sealed_cookie_key.", "seal the new key"),
    (r"^INSERT INTO .sessions_tracking_session.", "new session"),
    (r"^SELECT .* FROM .sessions_tracking_session.", "sessions"),
    (r"^SELECT .* FROM .django_session.", "Django's session"),
    (r"^INSERT INTO .audit_securityevent.", "event"),
    (r"^SELECT .* FROM .accounts_user.", "user"),
    (r"^(BEGIN|COMMIT|SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK)", "transaction"),
]


def named(sql: str) -> str:
    """Return a statement's name; one that has none here is a surprise, and shown whole."""
    return next((name for pattern, name in NAMES if re.match(pattern, sql, re.DOTALL)), sql)


@pytest.fixture
def statements() -> Callable[[], Any]:
    """Collect the names of the statements in a block."""

    @contextmanager
    def collect() -> Iterator[list[str]]:
        names: list[str] = []
        with CaptureQueriesContext(connection) as queries:
            yield names
        names.extend(named(query["sql"]) for query in queries)

    return collect


@pytest.fixture
def make_user(db: None) -> Callable[..., Any]:
    """Return a factory of users."""

    def make(email: str = "ada@example.org", **fields: Any) -> Any:
        return get_user_model().objects.create_user(email=email, **fields)

    return make


@pytest.fixture
def user(make_user: Callable[..., Any]) -> Any:
    """Return somebody who can sign in."""
    return make_user()


@pytest.fixture
def pair(user: Any) -> TokenPair:
    """Return a device that has just signed in."""
    return services.start_token_session(user=user, amr=["pwd"])


@pytest.fixture
def client_of() -> Callable[[TokenPair], APIClient]:
    """Return a client that sends a pair's access token."""

    def give(pair: TokenPair) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access}")
        return client

    return give


@pytest.fixture
def events_of() -> Callable[[str], list[SecurityEvent]]:
    """Return the stored events of one kind, oldest first."""

    def give(kind: str) -> list[SecurityEvent]:
        return list(SecurityEvent.objects.filter(kind=kind).order_by("at"))

    return give
