"""The two files that hold addresses and keys: ``.env``, and ``servers.env`` in VAR_DIR."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from config.starter import keys, private_files, runs
from config.starter.plan import BASE_DIR

if TYPE_CHECKING:
    from pathlib import Path

    from config.starter.plan import Plan

HEAD = """\
# Keys of this site, made by `make run`. Whoever has them can sign in as anybody and read every
# secret: keep this file out of version control and out of backups. See docs/running.md.
"""
IDENTITY = "backup-identity.txt"


def write_if_missing(plan: Plan) -> bool:
    """Write ``.env`` with fresh keys unless there is one; tell whether it was written.

    The identity that opens backups goes to VAR_DIR, and is named in ``.env`` in development only:
    a production server encrypts its backups and cannot read them.
    """
    if plan.env_file.exists():
        return False
    fresh = keys.generate()
    variables = dict(fresh.variables)
    identity_path = plan.var_dir / IDENTITY
    if not private_files.write_new(identity_path, fresh.backup_identity + "\n"):
        # An earlier .env was removed; with its identity, the backups it made stay readable.
        variables["BACKUP_ENCRYPTION_KEY"] = keys.recipient_of(identity_path)
    if plan.kind == "development":
        variables["BACKUP_IDENTITY_FILE"] = _relative(identity_path, BASE_DIR)
    return private_files.write_new(plan.env_file, HEAD + keys.as_environment_file(variables))


def write_servers(plan: Plan, addresses: dict[str, str]) -> None:
    """Leave the addresses of our own servers, and what kind of site it is, for ``manage.py``."""
    told = addresses | {"GARRISON_ENV": plan.kind}
    text = "# Written by `make run` while it runs.\n" + keys.as_environment_file(told)
    private_files.replace(servers_path(plan), text)
    runs.note(plan)


def remove_servers(plan: Plan) -> None:
    """Take it away when they have stopped."""
    servers_path(plan).unlink(missing_ok=True)
    runs.forget(plan)


def servers_path(plan: Plan) -> Path:
    """Name the file that exists while the site runs."""
    return plan.var_dir / runs.SERVERS


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder) if path.is_relative_to(folder) else str(path)
