"""Checks of audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import connections

from audit import append_only
from audit.conf import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

W001 = "audit.W001"  # changes go on when their event cannot be stored
E002 = "audit.E002"  # a trigger that keeps evidence from being changed is missing


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
