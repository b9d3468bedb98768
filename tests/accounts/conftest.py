"""People, clients, and hashing that is fast where hashing is not the subject."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core import mail
from django.utils import timezone
from rest_framework.test import APIClient

from config import mail as mail_settings

PASSWORD = "stapler kelp orbit 47 dune"
WRONG = "not the password at all"


class FastHasher(Argon2PasswordHasher):
    """Argon2id with the least it takes: the same code path, a thousandth of the work."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1


FAST = f"{FastHasher.__module__}.FastHasher"


@pytest.fixture(autouse=True)
def _fast_hashing(request, settings) -> None:
    """Hash fast, unless the test is marked as one about hashing."""
    if "real_hashing" not in request.fixturenames:
        settings.PASSWORD_HASHERS = [FAST]
        settings.ACCOUNTS_HASHING_SLOTS = 200


@pytest.fixture
def real_hashing(settings) -> None:
    """Hash as in production."""
    settings.PASSWORD_HASHERS = ["accounts.password.hashers.GarrisonArgon2PasswordHasher"]


@pytest.fixture
def no_rate_limits(settings) -> None:
    """Switch rate limits off, where it is the lockout that is to be shown."""
    settings.RATE_LIMITS = {"auth": [], "api": []}


@pytest.fixture
def client() -> APIClient:
    """A program that talks JSON."""
    return APIClient()


@pytest.fixture
def ada(db) -> Any:
    """Somebody with a verified address."""
    return get_user_model().objects.create_user(
        email="ada@example.org", password=PASSWORD, name="Ada", email_verified_at=timezone.now()
    )


@pytest.fixture
def admin_user(db) -> Any:
    """An administrator."""
    return get_user_model().objects.create_superuser(email="root@example.org", password=PASSWORD)


@pytest.fixture
def asks_for_a_colour(settings: Any, no_rate_limits: None) -> None:
    """Have a host's step in every sign-in, which asks for a colour."""
    step = "tests.accounts.colour.FavouriteColour"
    settings.ACCOUNTS_SIGN_IN_STEPS = ["accounts.steps.VerifiedAddress", step]


@pytest.fixture
def deliver_to(settings: Any) -> Any:
    """Mail by SMTP to a port of this machine."""

    def use(port: int) -> None:
        named = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": port}
        for name, value in mail_settings.to_server(named).items():
            setattr(settings, name, value)

    return use


def post(client: APIClient, path: str, **body: Any) -> Any:
    """Send JSON to a path below ``/api/auth/``."""
    return client.post(f"/api/auth/{path}", body, format="json")


def mailed_code() -> str:
    """Read the code off the newest mail."""
    found = re.search(r"^\s+(\d{6}|[0-9A-Z]{5}-[0-9A-Z]{5})$", mail.outbox[-1].body, re.MULTILINE)
    assert found, mail.outbox[-1].body
    return found[1]
