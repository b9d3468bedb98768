"""The real servers and the environment that the suite runs on.

Loaded as a pytest plugin (``-p tests.servers``) before Django reads its settings. A run starts
its own PostgreSQL and Valkey from wheels, unless ``TEST_DATABASE_URL`` and ``TEST_REDIS_URL`` name
servers that run already; ``TEST_DATABASE_URL=sqlite`` runs the suite on SQLite.
"""

from __future__ import annotations

import atexit
import base64
import os
import secrets
import shutil
import tempfile
from pathlib import Path

import pytest

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # "" in the one that hands out the tests


def _environment(scratch: Path) -> dict[str, str]:
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return {
        "GARRISON_ENV": "production",
        "GARRISON_ENV_FILE": os.devnull,  # never a developer's own .env
        "SECRET_KEY": secrets.token_urlsafe(50),
        "JWT_SECRET": secrets.token_urlsafe(50),
        "ENCRYPTION_KEY": f"k1:{key}",
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "VAR_DIR": str(scratch / "var"),
        "STORE_TIMEOUT_SECONDS": "10",  # a busy machine is no lost store; tests of loss have theirs
    }


def _start() -> None:
    """Set up the environment once, in the process that the workers inherit it from."""
    scratch = Path(tempfile.mkdtemp(prefix="garrison-tests-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    for name in ("EMAIL_URL", "SIEM_URL", "TRUSTED_PROXIES", "BACKUP_ENCRYPTION_KEY"):
        os.environ.pop(name, None)
    os.environ |= _environment(scratch)
    (scratch / "var" / "static").mkdir(parents=True)  # WhiteNoise warns of a folder that is missing
    database = os.environ.get("TEST_DATABASE_URL", "")
    if database == "sqlite":
        database = f"sqlite:///{scratch / 'db.sqlite3'}"
    redis = os.environ.get("TEST_REDIS_URL", "")
    if not (database and redis):
        from tests.embedded import start_embedded

        started_database, started_redis = start_embedded(scratch)
        database, redis = database or started_database, redis or started_redis
    os.environ["DATABASE_URL"], os.environ["REDIS_URL"] = database, redis


def _own_valkey_database(url: str) -> str:
    """Return each worker a Valkey database, as pytest-django gives it one of PostgreSQL."""
    base, _, first = url.rpartition("/")
    return f"{base}/{int(first or 0) + 1 + int(WORKER.removeprefix('gw'))}"


if not os.environ.get("GARRISON_TESTS_STARTED"):
    os.environ["GARRISON_TESTS_STARTED"] = "1"
    _start()
elif WORKER and not os.environ.get("GARRISON_TESTS_WORKER"):
    os.environ["GARRISON_TESTS_WORKER"] = WORKER
    os.environ["REDIS_URL"] = _own_valkey_database(os.environ["REDIS_URL"])


@pytest.hookimpl(tryfirst=True)
def pytest_report_header() -> str:
    """Say on which database the suite runs."""
    return f"database: {os.environ['DATABASE_URL'].partition(':')[0]}"
