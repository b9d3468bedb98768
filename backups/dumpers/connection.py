"""What PostgreSQL programs and our own sessions need to know to connect."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    import psycopg

PASSED_ON = ("PATH", "HOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
# What is between a session of ours and the server; of a dump it would change the result.
NOT_PASSED_ON = {"application_name", "client_encoding", "connect_timeout", "options"}


def environment(using: str, *, database: str | None = None) -> dict[str, str]:
    """Return a minimal environment for the programs: how to connect, and nothing else of ours.

    The password goes this way, never in ``argv`` (which every user of the machine can read) and
    never into a file (which a killed run would leave behind); the environment of a process can be
    read by its own user and root only.
    """
    from psycopg import pq  # a site on SQLite has no driver

    known = connections[using].settings_dict
    wanted = {
        **(known.get("OPTIONS") or {}),
        "host": known.get("HOST"),
        "port": known.get("PORT"),
        "user": known.get("USER"),
        "password": known.get("PASSWORD"),
        "dbname": database or known.get("NAME"),
    }
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    kept |= {"LC_ALL": "C", "PGAPPNAME": "garrison-backups", "PGCONNECT_TIMEOUT": "10"}
    for each in pq.Conninfo.get_defaults():
        value = wanted.get(name := each.keyword.decode())
        if value and each.envvar and name not in NOT_PASSED_ON:
            kept[each.envvar.decode()] = str(value)
    return kept


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
