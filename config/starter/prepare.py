"""What is done with Django before the site is served; run as a process of its own.

    python -m config.starter.prepare

Checks the configuration, reaches both stores, migrates, collects static files and makes the first
administrator. Speaks to the starter by one JSON object on stdout; what Django prints goes to
stderr. A refusal that a person can act on is ``{"refused": "…"}`` with exit code 1.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from config.starter import private_files

STORE_SECONDS = 5
PASSWORD_BYTES = 15  # 20 characters


class Refused(Exception):  # noqa: N818 - a sentence for a person
    """The site cannot be served as it is configured."""


def main() -> int:
    """Prepare, and tell the starter what it has to show."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(STORE_SECONDS))
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management.base import SystemCheckError
    from environs.exceptions import EnvError

    try:
        told = _prepare()
    except (ImproperlyConfigured, EnvError, Refused, SystemCheckError) as refusal:
        told = {"refused": str(refusal)}
    print(json.dumps(told))
    return 1 if "refused" in told else 0


def _prepare() -> dict[str, Any]:
    import django
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    _reach_database()  # before the checks, some of which ask it
    _reach_store(settings.REDIS_URL)
    call_command("check", stdout=sys.stderr, stderr=sys.stderr)
    call_command("migrate", interactive=False, verbosity=1, stdout=sys.stderr)
    wanted = wanted_administrator(
        email=os.environ.get("GARRISON_ADMIN_EMAIL", "").strip() or "admin@localhost",
        password=os.environ.get("GARRISON_ADMIN_PASSWORD", ""),
    )
    _collect_static_files(settings.VAR_DIR)
    # Last: whatever fails before must not swallow a password that is shown only once.
    administrator = _make_administrator(wanted) if wanted else None
    return {"host_name": _host_name(settings.ALLOWED_HOSTS), "administrator": administrator}


def _reach_database() -> None:
    if reason := unreachable_database():
        raise Refused(
            f"The database of DATABASE_URL cannot be reached: {reason}. "
            "Start it, correct the address, or unset DATABASE_URL to have one started."
        )


def unreachable_database() -> str | None:
    """Return why there is no connection, which names host and user and no password."""
    from django.db import DatabaseError, connection

    try:
        connection.ensure_connection()
    except DatabaseError as failure:
        return str(failure).strip().partition("\n")[0]
    return None


def _reach_store(url: str) -> None:
    import redis

    try:
        with closing(redis.Redis.from_url(url, socket_connect_timeout=STORE_SECONDS)) as store:
            store.ping()
    except (redis.RedisError, ValueError) as failure:
        raise Refused(
            f"The Valkey or Redis of REDIS_URL cannot be reached: {failure}. "
            "Start it, correct the address, or unset REDIS_URL to have one started."
        ) from failure


def _host_name(allowed: list[str]) -> str:
    """Choose a host name under which the site answers, for the starter's own question."""
    names = [name.lstrip(".") for name in allowed if name != "*"]
    return "localhost" if "localhost" in names or not names else names[0]


def _collect_static_files(var_dir: Path) -> None:
    """Collect, compress and fingerprint the static files, where one of them has changed."""
    from django.conf import settings
    from django.core.management import call_command

    remembered = var_dir / "run" / "static.json"
    sources = {"sources": _static_fingerprint(), "root": str(settings.STATIC_ROOT)}
    is_there = Path(settings.STATIC_ROOT, "staticfiles.json").exists()
    if is_there and private_files.read_state(remembered) == sources:
        return
    call_command("collectstatic", interactive=False, verbosity=0, stdout=sys.stderr)
    private_files.make_folder(remembered.parent)
    private_files.write_state(remembered, sources)


def _static_fingerprint() -> str:
    """Digest name, size and time of every file that would be collected."""
    from django.contrib.staticfiles.finders import get_finders

    found = sorted(
        storage.path(name) for finder in get_finders() for name, storage in finder.list([])
    )
    digest = hashlib.sha256()
    for path in found:
        status = Path(path).stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def wanted_administrator(*, email: str, password: str) -> dict[str, str] | None:
    """Decide on the first administrator, or give ``None`` when there is one; store nothing yet.

    Gives ``email``, ``password``, and ``generated`` when the password was made here: then it is
    shown once, and kept nowhere but as a hash. A password that was given must fulfil the site's
    rules in production; in development a weaker one is taken, with a ``warning``.
    """
    from django.conf import settings
    from django.contrib.auth import get_user_model

    users: Any = get_user_model()._default_manager
    if users.filter(is_superuser=True, is_active=True).exists():
        return None
    _require_new_address(users.model, email)
    if not password:
        made = secrets.token_urlsafe(PASSWORD_BYTES)
        return {"email": email, "password": made, "generated": "yes"}
    wanted = {"email": email, "password": password}
    if weakness := _weakness(password):
        if settings.IS_PRODUCTION:
            raise Refused(weakness)
        wanted["warning"] = weakness
    return wanted


def _make_administrator(wanted: dict[str, str]) -> dict[str, str]:
    """Store the account, and give what the starter may show."""
    from django.contrib.auth import get_user_model

    users: Any = get_user_model()._default_manager
    address = {users.model.USERNAME_FIELD: wanted["email"]}
    users.create_superuser(**address, password=wanted["password"])
    shown = ("email", "password", "warning") if "generated" in wanted else ("email", "warning")
    return {name: wanted[name] for name in shown if name in wanted}


def _weakness(password: str) -> str | None:
    from django.contrib.auth.password_validation import validate_password
    from django.core.exceptions import ValidationError

    try:
        validate_password(password)
    except ValidationError as weakness:
        return f"GARRISON_ADMIN_PASSWORD is too weak: {' '.join(weakness.messages)}"
    return None


def _require_new_address(model: Any, email: str) -> None:
    from django.core.exceptions import ValidationError

    try:
        model._meta.get_field(model.USERNAME_FIELD).clean(email, None)
    except ValidationError as problem:
        raise Refused(f"GARRISON_ADMIN_EMAIL={email}: {' '.join(problem.messages)}") from problem
    if model._default_manager.filter(**{f"{model.USERNAME_FIELD}__iexact": email}).exists():
        raise Refused(
            f"GARRISON_ADMIN_EMAIL={email} is an account that is no active administrator. "
            "Name another address."
        )


if __name__ == "__main__":
    sys.exit(main())
