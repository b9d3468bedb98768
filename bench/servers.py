"""Fresh servers, keys and databases for one measurement."""

from __future__ import annotations

import base64
import os
import secrets
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a bench runs as a script in a folder of its own


def fresh_key(key_id: str) -> str:
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


@contextmanager
def fresh_servers(scratch: Path) -> Iterator[None]:
    """Set the environment of both projects: two new databases on one server, one Valkey.

    ``BENCH_DATABASE_URL`` and ``BENCH_REDIS_URL`` name servers that run already. The databases bear
    the bench's name, so that another bench may go on beside this one.
    """
    database, redis = os.environ.get("BENCH_DATABASE_URL"), os.environ.get("BENCH_REDIS_URL")
    if not (database and redis):
        from tests.embedded import start_embedded

        database, redis = start_embedded(scratch / "servers")  # stopped when this process exits
    (scratch / "var" / "static").mkdir(parents=True)
    name = f"bench_{Path(sys.argv[0]).stem}"
    os.environ |= {
        "GARRISON_ENV": "production",
        "GARRISON_ENV_FILE": os.devnull,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "JWT_SECRET": secrets.token_urlsafe(50),
        "ENCRYPTION_KEY": fresh_key("k1"),
        "VAR_DIR": str(scratch / "var"),
        "REDIS_URL": redis,
        "LOG_LEVEL": "ERROR",
        "DATABASE_URL": _new_database(database, f"{name}_garrison"),
        "BARE_DATABASE_URL": _new_database(database, f"{name}_bare"),
    }
    yield


@contextmanager
def fresh_project() -> Iterator[None]:
    """Load the whole project over fresh servers, its database migrated."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    with tempfile.TemporaryDirectory() as scratch, fresh_servers(Path(scratch)):
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield


def _new_database(url: str, name: str) -> str:
    import psycopg

    with psycopg.connect(url, autocommit=True) as session:
        session.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        session.execute(f"CREATE DATABASE {name}")
    return urlsplit(url)._replace(path=f"/{name}").geturl()
