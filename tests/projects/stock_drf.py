"""Settings of a host that has never heard of ``REST_FRAMEWORK``."""

import os
from pathlib import Path

from config import mail

os.environ.setdefault("GARRISON_APP", "accounts")

from tests.projects.alone import *  # noqa: F403 - the host is that one, and a few lines more
from tests.projects.alone import CACHES, INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS += ["rest_framework", "backups", "security_monitoring"]
MIDDLEWARE[1:1] = ["http_hardening.middleware.HeadersMiddleware"]
MIDDLEWARE += [
    "sessions_tracking.middleware.TrackedSessionMiddleware",
    "rate_limiting.middleware.RateLimitMiddleware",
]
PASSWORD_HASHERS = ["accounts.password.hashers.GarrisonArgon2PasswordHasher"]
AUTHENTICATION_BACKENDS = ["accounts.backends.AccountsBackend"]
globals().update(mail.to_files(Path(os.environ["VAR_DIR"]) / "mail"))
CACHES["default"]["LOCATION"] = os.environ["REDIS_URL"]
ROOT_URLCONF = "tests.projects.stock_drf_urls"
