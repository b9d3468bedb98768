"""Checks: what is counted is counted exactly, and every scope that a view names exists."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from garrison.errors import ConfigurationError
from rate_limiting.endpoints import endpoints
from rate_limiting.limiter import counter_cache
from rate_limiting.policy import policy_for, scopes
from rate_limiting.rates import KNOWN_PARTS

E001 = "rate_limiting.E001"  # the cache that counts is not CounterCache
E002 = "rate_limiting.E002"  # a view names a scope that has no rates
E003 = "rate_limiting.E003"  # a custom key does not resolve
W004 = "rate_limiting.W004"  # the middleware is missing
E005 = "rate_limiting.E005"  # two apps bring different limits under one name

MIDDLEWARE = "rate_limiting.middleware.RateLimitMiddleware"


def check_cache(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Refuse a cache that is per process, or counts in two steps."""
    try:
        counter_cache()
    except (ImproperlyConfigured, ImportError) as wrong:
        hint = "Set BACKEND to 'rate_limiting.cache.CounterCache', LOCATION to a redis:// address."
        return [Error(str(wrong), hint=hint, id=E001)]
    return []


def check_scopes(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Refuse two scopes of one name, and a view whose scope has no rates: it would always fail."""
    try:
        named, known = sorted(set(endpoints())), set(scopes())
    except ConfigurationError as twice:
        hint = "Each app names its scopes for itself, such as 'reports'."
        return [Error(str(twice), hint=hint, id=E005)]
    return [
        Error(
            f"The view {name!r} is counted under the scope {scope!r}, which has no rates.",
            hint=f"Add {scope!r} to RATE_LIMITS.",
            id=E002,
        )
        for name, scope in named
        if scope not in known
    ]


def check_keys(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Refuse a custom key that cannot be imported."""
    try:
        policies = [policy_for(scope) for scope in scopes()]
    except ConfigurationError:  # garrison.E002 says which rate cannot be read
        return []
    parts = {part for policy in policies for rate in policy.rates for part in rate.key}
    found: list[CheckMessage] = []
    for path in sorted(parts - KNOWN_PARTS):
        try:
            import_string(path)
        except ImportError as failure:
            message = f"RATE_LIMITS counts by {path!r}, which does not resolve: {failure}"
            hint = "Write the full path of a callable that is given the request."
            found.append(Error(message, hint=hint, id=E003))
    return found


def check_middleware(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn when the admin's sign-in is not counted and no answer carries the headers."""
    if MIDDLEWARE in django_settings.MIDDLEWARE:
        return []
    return [
        Warning(
            "The admin's sign-in is not counted, and answers carry no RateLimit headers.",
            hint=f"Put {MIDDLEWARE!r} behind the authentication middleware in MIDDLEWARE.",
            id=W004,
        )
    ]
