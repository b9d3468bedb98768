"""The two files that hold addresses and keys: ``.env``, and ``servers.env`` in VAR_DIR."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from config.starter import keys, private_files
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
    """Leave the addresses of our own servers where ``manage.py`` finds them."""
    text = "# Written by `make run` while it runs.\n" + keys.as_environment_file(addresses)
    private_files.replace(servers_path(plan), text)


def servers_path(plan: Plan) -> Path:
    """Name the file that exists while our servers run."""
    return plan.var_dir / "servers.env"


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder) if path.is_relative_to(folder) else str(path)
