"""Settings of a host that has never heard of ``REST_FRAMEWORK``."""

import base64
import os
from hashlib import sha256
from pathlib import Path

from config import mail

SECRET_KEY = "a-host-s-own-secret-key-that-is-long-enough-for-django"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
MIDDLEWARE = [
    "garrison.middleware.RequestContextMiddleware",
    "http_hardening.middleware.HeadersMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "sessions_tracking.middleware.TrackedSessionMiddleware",
    "rate_limiting.middleware.RateLimitMiddleware",
]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "garrison",
    "audit",
    "sessions_tracking",
    "rate_limiting",
    "http_hardening",
    "accounts",
    "backups",
    "security_monitoring",
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
ROOT_URLCONF = "tests.projects.stock_drf_urls"
AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = ["accounts.password.hashers.GarrisonArgon2PasswordHasher"]
AUTHENTICATION_BACKENDS = ["accounts.backends.AccountsBackend"]
CACHES = {
    "default": {
        "BACKEND": "rate_limiting.cache.CounterCache",
        "LOCATION": os.environ["REDIS_URL"],
    },
}
SESSIONS_SIGNING_KEYS = ["k1:a-signing-key-of-the-host-0123456789abcdef0123456789"]
ENCRYPTION_KEYS = [f"k1:{base64.b64encode(sha256(SECRET_KEY.encode()).digest()).decode()}"]
globals().update(mail.to_files(Path(os.environ["VAR_DIR"]) / "mail"))
