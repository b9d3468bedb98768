"""Checks of security_monitoring."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name

from garrison import events
from security_monitoring.middleware import ANSWERS

W001 = "security_monitoring.W001"  # the admin's own first page hides the dashboard
W002 = "security_monitoring.W002"  # a kind that is counted and that no app declares
W003 = "security_monitoring.W003"  # probes are redirected to HTTPS


def check_templates(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn where the admin's templates are found before the dashboard's."""
    apps = [name.split(".apps.")[0] for name in django_settings.INSTALLED_APPS]
    mine, admins = "security_monitoring", "django.contrib.admin"
    if admins not in apps or apps.index(mine) < apps.index(admins):
        return []
    return [
        Warning(
            "The admin's own first page hides the security dashboard.",
            hint=f"Put {mine!r} before {admins!r} in INSTALLED_APPS.",
            id=W001,
        )
    ]


def check_kinds(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn of names that no app declares; the defaults need no other app."""
    return [
        Warning(
            f"{setting} names {name!r}, which no app declares.",
            hint="docs/events.md lists the kinds.",
            id=W002,
        )
        for setting in ("SECURITY_FAILED_LOGIN_KINDS", "SECURITY_SUSPICIOUS_KINDS")
        for name in getattr(django_settings, setting, [])
        if name not in events.kinds()
    ]


def check_probes(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn where a probe by plain HTTP would be sent away."""
    exempt = [re.compile(pattern) for pattern in django_settings.SECURE_REDIRECT_EXEMPT]
    paths = [path.lstrip("/") for path in ANSWERS]
    if not django_settings.SECURE_SSL_REDIRECT or all(
        any(pattern.search(path) for pattern in exempt) for path in paths
    ):
        return []
    return [
        Warning(
            "Probes of /health by plain HTTP are redirected to HTTPS.",
            hint='Add r"^health(/ready)?$" to SECURE_REDIRECT_EXEMPT.',
            id=W003,
        )
    ]
