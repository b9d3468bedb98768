"""A host with Django's own users and integer keys, and without REST framework installed as an app.

Run as a program by ``test_foreign_host.py``; it fails by an exception.
"""

import django
from django.conf import settings
from django.core.management import call_command
from django.test import RequestFactory

settings.configure(
    SECRET_KEY="a-host-s-own-secret-key-that-is-long-enough-for-django",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "garrison",
        "sessions_tracking",
    ],
    SESSIONS_SIGNING_KEYS=["k1:a-signing-key-of-the-host-0123456789abcdef0123456789"],
    USE_TZ=True,
)
django.setup()
call_command("migrate", verbosity=0)

from django.contrib.auth import get_user_model  # noqa: E402 - models exist now

from sessions_tracking import services  # noqa: E402
from sessions_tracking.authentication import SessionTokenAuthentication  # noqa: E402
from sessions_tracking.errors import RefreshReused, SessionEnded  # noqa: E402


def refused(expected, act, **given):
    try:
        act(**given)
    except expected:
        return
    raise AssertionError(f"{expected.__name__} was not raised")


def authenticate(access):
    request = RequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {access}")
    return SessionTokenAuthentication().authenticate(request)


user = get_user_model().objects.create_user("ada", "ada@example.org")
first = services.start_token_session(user=user, amr=["pwd"])
assert authenticate(first.access)[0] == user
second = services.rotate(refresh_token=first.refresh)
third = services.rotate(refresh_token=second.refresh)
refused(RefreshReused, services.rotate, refresh_token=first.refresh)
refused(SessionEnded, services.rotate, refresh_token=third.refresh)
refused(SessionEnded, authenticate, access=third.access)
