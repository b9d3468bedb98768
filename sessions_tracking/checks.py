"""Checks of this app: the keys are good, the middleware stands where it must."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from garrison.errors import ConfigurationError
from sessions_tracking.signing_keys import keyring

E001 = "sessions_tracking.E001"  # signing keys missing, malformed, weak or doubled
W003 = "sessions_tracking.W003"  # simplejwt's blacklist is installed, and is not used
W004 = "sessions_tracking.W004"  # the middleware is missing or stands too early

MIDDLEWARE = "sessions_tracking.middleware.TrackedSessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


def check_signing_keys(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Refuse keys that cannot sign, or that look typed by hand."""
    try:
        keyring()
    except ConfigurationError as failure:
        hint = (
            "SESSIONS_SIGNING_KEYS is a list of 'id:secret'; `manage.py generate_keys` makes one."
        )
        return [Error(str(failure), hint=hint, id=E001)]
    return []


def check_blacklist_absent(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn where simplejwt's blacklist would only grow, without protecting anything here."""
    if not apps.is_installed("rest_framework_simplejwt.token_blacklist"):
        return []
    return [
        Warning(
            "rest_framework_simplejwt.token_blacklist is installed, but sessions do not use it.",
            hint="Remove it from INSTALLED_APPS; ending a session takes effect at once without it.",
            id=W003,
        )
    ]


def check_middleware(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn where an ended cookie session would go on, because nobody looks at its row."""
    middleware = list(django_settings.MIDDLEWARE)
    if MIDDLEWARE in middleware and AUTHENTICATION in middleware[: middleware.index(MIDDLEWARE)]:
        return []
    return [
        Warning(
            "Cookie sessions are not looked up, so ending one would rest on Django's store alone.",
            hint=f"Put {MIDDLEWARE!r} after {AUTHENTICATION!r} in MIDDLEWARE.",
            id=W004,
        )
    ]
