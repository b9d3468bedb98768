"""Checks of audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import connections

from audit import append_only
from audit.checkpoints import copies
from audit.checkpoints.signing import signers
from audit.conf import settings
from audit.errors import AuditKeysUnusable
from audit.sealing.keyring import SITE, keyring

if TYPE_CHECKING:
    from collections.abc import Sequence

W001 = "audit.W001"  # changes go on when their event cannot be stored
E002 = "audit.E002"  # a trigger that keeps evidence from being changed is missing
E003 = "audit.E003"  # keys that seal or sign are malformed, short, doubled or default
W004 = "audit.W004"  # the keys that seal or sign are made from SECRET_KEY
W005 = "audit.W005"  # checkpoints do not leave the database they vouch for


def check_failure_policy(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn, for a deployment, that changes may go unrecorded."""
    if settings.on_failure == "refuse":
        return []
    return [
        Warning(
            "Changes go on when their security event cannot be stored.",
            hint='Set AUDIT_ON_FAILURE = "refuse", unless availability is worth more here.',
            id=W001,
        )
    ]


def check_triggers(
    app_configs: Any,  # noqa: ARG001
    databases: Sequence[str] | None = None,
    **_: Any,
) -> list[CheckMessage]:
    """Find a trigger that is gone: dropped by hand, or lost when SQLite rebuilt the table."""
    return [
        Error(
            f"The trigger {name} is missing in the database {alias!r}.",
            hint="Run `manage.py audit_protect`, and find out who removed it.",
            id=E002,
        )
        for alias in databases or ()
        for name in append_only.missing(connections[alias])
    ]


def check_keys(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Read the keys as the first use would."""
    problems = []
    for read in (keyring, signers):
        try:
            read()
        except AuditKeysUnusable as problem:
            problems.append(str(problem))
    hint = "Run `manage.py generate_keys` and put the line into the environment."
    return [Error(problem, hint=hint, id=E003) for problem in problems]


def check_own_keys(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn, for a deployment, where whoever reads SECRET_KEY could seal and sign as well."""
    made = {"AUDIT_KEYS": settings.keys, "AUDIT_CHECKPOINT_KEYS": settings.checkpoint_keys}
    return [
        Warning(
            f"{name} is empty, so its key is made from SECRET_KEY: every process of the site can "
            "seal and sign what it likes.",
            hint=f"Set {name} (`manage.py generate_keys`), and keep {SITE!r} behind the new key "
            "as long as what it has sealed or signed.",
            id=W004,
        )
        for name, keys in made.items()
        if not keys or keys[0] == SITE
    ]


def check_copies(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn, for a deployment, where a cut-off end of the log would not be seen."""
    if copies.storage() is not None:
        return []
    return [
        Warning(
            "Checkpoints stay in the database they vouch for.",
            hint=f"Add {settings.checkpoint_storage or 'audit_checkpoints'!r} to STORAGES: a place "
            "that whoever owns the database cannot write to.",
            id=W005,
        )
    ]
