"""What PostgreSQL programs and our own sessions need to know to connect."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    import psycopg

PASSED_ON = ("PATH", "HOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
OPTION_VARIABLES = {
    "service": "PGSERVICE",
    "passfile": "PGPASSFILE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "gssencmode": "PGGSSENCMODE",
    "channel_binding": "PGCHANNELBINDING",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "hostaddr": "PGHOSTADDR",
    "require_auth": "PGREQUIREAUTH",
}


def environment(using: str, *, database: str | None = None) -> dict[str, str]:
    """Return a minimal environment for the programs: how to connect, and nothing else of ours.

    The password goes this way, never in ``argv`` (which every user of the machine can read) and
    never into a file (which a killed run would leave behind); the environment of a process can be
    read by its own user and root only.
    """
    known = connections[using].settings_dict
    wanted = {
        "PGHOST": known.get("HOST"),
        "PGPORT": known.get("PORT"),
        "PGUSER": known.get("USER"),
        "PGPASSWORD": known.get("PASSWORD"),
        "PGDATABASE": database or known.get("NAME"),
    }
    options = known.get("OPTIONS") or {}
    wanted |= {variable: options.get(name) for name, variable in OPTION_VARIABLES.items()}
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    kept |= {"LC_ALL": "C", "PGAPPNAME": "garrison-backups", "PGCONNECT_TIMEOUT": "10"}
    return kept | {name: str(value) for name, value in wanted.items() if value}


def connect(using: str, *, database: str | None = None) -> psycopg.Connection[Any]:
    """Open a session of our own beside Django's, in autocommit; the caller closes it.

    The backend's own methods make it, so that it connects exactly as Django does, pool aside; there
    is no public way to a second session.
    """
    wrapper = connections[using].copy()
    options = {k: v for k, v in wrapper.settings_dict["OPTIONS"].items() if k != "pool"}
    wrapper.settings_dict["OPTIONS"] = options
    if database is not None:
        wrapper.settings_dict["NAME"] = database
    session: psycopg.Connection[Any] = wrapper.get_new_connection(wrapper.get_connection_params())
    session.autocommit = True
    return session
