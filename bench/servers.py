"""Fresh servers and keys for one measurement."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
CREATE = "import psycopg,sys; psycopg.connect(sys.argv[1], autocommit=True).execute(sys.argv[2])"


@contextmanager
def fresh_servers(scratch: Path) -> Iterator[None]:
    """Set the environment of both projects: two new databases on one server, one Valkey.

    ``BENCH_DATABASE_URL`` and ``BENCH_REDIS_URL`` name servers that run already.
    """
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    database, redis, stop = _servers(scratch)
    (scratch / "var" / "static").mkdir(parents=True)
    os.environ |= {
        "GARRISON_ENV": "production",
        "GARRISON_ENV_FILE": os.devnull,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "JWT_SECRET": secrets.token_urlsafe(50),
        "ENCRYPTION_KEY": f"k1:{key}",
        "VAR_DIR": str(scratch / "var"),
        "REDIS_URL": redis,
        "LOG_LEVEL": "ERROR",
        "DATABASE_URL": _new_database(database, "bench_garrison"),
        "BARE_DATABASE_URL": _new_database(database, "bench_bare"),
    }
    try:
        yield
    finally:
        stop()


def _servers(scratch: Path):
    database, redis = os.environ.get("BENCH_DATABASE_URL"), os.environ.get("BENCH_REDIS_URL")
    if database and redis:
        return database, redis, lambda: None
    from tests.embedded import start_embedded

    database, redis = start_embedded(scratch)
    return database, redis, lambda: None  # stopped when this process exits


def _new_database(url: str, name: str) -> str:
    for statement in (f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}"):
        subprocess.run([sys.executable, "-c", CREATE, url, statement], check=True)
    base, _, tail = url.rpartition("/")
    return f"{base}/{name}{'?' + tail.partition('?')[2] if '?' in tail else ''}"
