"""A host project that has only backups: what a run needs, and nothing of the other apps."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

VAR = Path(os.environ["HOST_VAR"])
SECRET_KEY = "k7Qm2vXz9Lw4Rt8Yc3Nb6Hs1Jd5Gf0Pa-Ue"
USE_TZ = True
INSTALLED_APPS = [
    "garrison",
    "backups",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    # "audit", "encryption" and "keepsakes", for the tests that want a whole site
    *os.environ.get("HOST_APPS", "").split(),
]
MIDDLEWARE = ["garrison.middleware.RequestContextMiddleware"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def _database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": parts.path,
            "OPTIONS": {}
            if "HOST_STOCK_SQLITE" in os.environ
            else {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL",
            },
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
    }


DATABASES = {"default": _database(os.environ["HOST_DATABASE_URL"])}
STORAGES = {
    "default": {
        "BACKEND": "backups.deletions.PatientFileSystemStorage",
        "OPTIONS": {"location": VAR / "media"},
    },
    "backups": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": os.environ.get("HOST_TARGET", VAR / "backups")},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if "keepsakes" in INSTALLED_APPS:
    MIGRATION_MODULES = {"keepsakes": None}
    for alias, folder in (("sealed", "sealed"), ("audit_checkpoints", "checkpoints")):
        STORAGES[alias] = {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": VAR / folder},
        }
    STORAGES["private"] = {
        "BACKEND": "encryption.storage.EncryptedStorage",
        "OPTIONS": {"storage": "sealed"},
    }
    # What lies in "private" is backed up as it lies there, encrypted once more: keepsakes brings
    # "sealed" itself, in its drills.py.
if "encryption" in INSTALLED_APPS:
    ENCRYPTION_KEYS = os.environ["HOST_ENCRYPTION_KEY"].split()
BACKUPS_RECIPIENTS = [r for r in os.environ.get("HOST_RECIPIENTS", "").split(",") if r]
BACKUPS_IDENTITY_FILE = os.environ.get("HOST_IDENTITY_FILE", "")
BACKUPS_RESTORES_RUN_HERE = True
BACKUPS_LEASE_SECONDS = int(os.environ.get("HOST_LEASE_SECONDS", "90"))
