"""Settings of a host that installs one app of ours, and nothing that the app does not need.

``GARRISON_APP`` names it; ``GARRISON_FOREIGN=1`` gives the host a user model of its own.
"""

import base64
import os
from hashlib import sha256

from tests.architecture.house import APPS
from tests.projects.hosts import DOCS, installed

APP = os.environ["GARRISON_APP"]
FOREIGN = bool(os.environ.get("GARRISON_FOREIGN"))

SECRET_KEY = "a-host-s-own-secret-key-that-is-long-enough-for-django"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
MIDDLEWARE = [
    "garrison.middleware.RequestContextMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "garrison",
    *sorted(installed(DOCS / f"install/{APP}.md") & set(APPS) - {APP}, reverse=True),
    *([APP] if APP != "garrison" else []),
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "tests.projects.urls"
if FOREIGN:
    INSTALLED_APPS.append("tests.projects.foreign")
    AUTH_USER_MODEL = "foreign.Person"
elif APP == "accounts":
    AUTH_USER_MODEL = "accounts.User"

# What an app cannot guess: its keys, and where it counts.
CACHES = {
    "default": {
        "BACKEND": "rate_limiting.cache.CounterCache"
        if "rate_limiting" in INSTALLED_APPS
        else "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "redis://127.0.0.1:1/0",
    },
}
SESSIONS_SIGNING_KEYS = ["k1:a-signing-key-of-the-host-0123456789abcdef0123456789"]
ENCRYPTION_KEYS = [f"k1:{base64.b64encode(sha256(SECRET_KEY.encode()).digest()).decode()}"]
