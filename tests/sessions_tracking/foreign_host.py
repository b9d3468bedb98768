"""A host with Django's own users and integer keys, and with no other app of ours.

The API needs neither REST framework nor http_hardening in INSTALLED_APPS, and says what it needs.

Run as a program by ``test_foreign_host.py``; it fails by an exception.
"""

import django
from django.conf import settings
from django.core import mail
from django.core.management import call_command
from django.test import Client, RequestFactory
from django.test.utils import setup_test_environment
from django.urls import include, path

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
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["testserver"],
    MIDDLEWARE=["garrison.middleware.RequestContextMiddleware"],
)
django.setup()
setup_test_environment()  # mails are kept
call_command("migrate", verbosity=0)

from django.contrib.auth import get_user_model  # noqa: E402 - models exist now

from garrison import background  # noqa: E402
from garrison.errors import ConfigurationError  # noqa: E402
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
background._pool().shutdown()  # waits for its threads
assert [sent.to for sent in mail.outbox] == [["ada@example.org"]]
refused(SessionEnded, services.rotate, refresh_token=third.refresh)
refused(SessionEnded, authenticate, access=third.access)


def mount():
    return [path("api/", include("sessions_tracking.api.urls"))]


refused(ConfigurationError, mount)  # there is no rate_limiting to count with: the host must decide
settings.HTTP_HARDENING_API_THROTTLES = []
urlpatterns = mount()
pair = services.start_token_session(user=user, amr=["pwd"])
bearer = {"headers": {"Authorization": f"Bearer {pair.access}"}}
client = Client()
assert client.get("/api/sessions").status_code == 401
assert client.get("/api/sessions", **bearer).json()[0]["current"] is True
assert client.post("/api/auth/logout", content_type="application/json", **bearer).status_code == 204
ended = client.get("/api/sessions", **bearer)
assert (ended.status_code, ended.json()["code"]) == (401, "session_ended")
assert ended["Content-Type"] == "application/problem+json"
assert ended["Cache-Control"] == "no-store"
again = client.post("/api/auth/refresh", {"refresh": pair.refresh}, "application/json")
assert (again.status_code, again.json()["code"]) == (401, "session_ended")
