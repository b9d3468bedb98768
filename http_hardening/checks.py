"""Checks: one content security policy, without holes, on every page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
from csp.utils import DEFAULT_DIRECTIVES
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.utils.module_loading import import_string

from http_hardening.conf import HttpHardeningSettings, settings
from http_hardening.csp import directives

if TYPE_CHECKING:
    from collections.abc import Iterator

E001 = "http_hardening.E001"  # two content security policies at once
E002 = "http_hardening.E002"  # a policy that lets inline or evaluated code run
E003 = "http_hardening.E003"  # a directive that django-csp drops without a word
W004 = "http_hardening.W004"  # pages without a policy
W005 = "http_hardening.W005"  # answers without the headers
W006 = "http_hardening.W006"  # a policy with nonces, and templates that are not given them
W007 = "http_hardening.W007"  # Django's own change list would break the policy
W008 = "http_hardening.W008"  # APIs whose requests are not counted
E009 = "http_hardening.E009"  # a class for the APIs that does not resolve

DJANGO_POLICY = "django.middleware.csp.ContentSecurityPolicyMiddleware"
PAGE_POLICIES = ("http_hardening.csp.PageMiddleware", "csp.middleware.CSPMiddleware")
HEADERS = "http_hardening.middleware.HeadersMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
CONTEXT_PROCESSOR = "http_hardening.csp.nonce"
NONCE_MARK = "NONCE"  # django-csp's sentinel holds the word


def check_policy(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Refuse a stacked policy, a hole in it, and directives that would be dropped."""
    return [*_stacked(), *_holes(), *_dropped()]


def check_middleware(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn where the app is installed and does nothing."""
    return [*_no_policy(), *_no_headers()]


def check_templates(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn where pages would lack the nonces that the policy asks of them."""
    return [*_no_nonces(), *_admin_first()]


def check_api(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Refuse classes that cannot be imported; warn where none counts."""
    return [*_uncounted(), *_unresolved()]


def _uncounted() -> Iterator[CheckMessage]:
    if not settings.api_throttles:
        yield Warning(
            "Requests to the APIs are not counted, so passwords and tokens can be guessed at.",
            hint="Name a throttle in HTTP_HARDENING_API_THROTTLES, or remove the setting.",
            id=W008,
        )


def _unresolved() -> Iterator[CheckMessage]:
    """Look at what the host has written: a default is looked at where an API is mounted."""
    for setting in (declared.setting for declared in HttpHardeningSettings.declared()):
        paths = getattr(django_settings, setting.name, [])
        if setting.name.startswith("HTTP_HARDENING_API_") and isinstance(paths, list | tuple):
            for path in paths:
                try:
                    import_string(path)
                except ImportError as failure:
                    yield Error(
                        f"{setting.name} names {path!r}, which does not resolve: {failure}",
                        hint="Write the full path: package.module.Class.",
                        id=E009,
                    )


def _stacked() -> Iterator[CheckMessage]:
    if DJANGO_POLICY in django_settings.MIDDLEWARE and _has_policy():
        yield Error(
            "Django's CSP middleware and django-csp run at once; the inner one wins, silently.",
            hint=f"Remove {DJANGO_POLICY!r} from MIDDLEWARE.",
            id=E001,
        )


def _holes() -> Iterator[CheckMessage]:
    for name, sources in directives().items():
        for source in sources if isinstance(sources, list | tuple | set) else [sources]:
            if _is_hole(name, str(source)):
                yield Error(
                    f"CONTENT_SECURITY_POLICY allows {source} in {name}.",
                    hint="Move the code into a file, or give its tag a nonce.",
                    id=E002,
                )


def _is_hole(directive: str, source: str) -> bool:
    runs_code = directive.startswith(("script-src", "default-src", "object-src"))
    return "unsafe-" in source or (
        runs_code and source in {"*", "data:", "blob:", "http:", "https:"}
    )


def _dropped() -> Iterator[CheckMessage]:
    for name in sorted(directives().keys() - DEFAULT_DIRECTIVES.keys()):
        yield Error(
            f"CONTENT_SECURITY_POLICY names the directive {name!r}, which django-csp drops.",
            hint="Correct its spelling, or set it by a middleware of your own.",
            id=E003,
        )


def _has_policy() -> bool:
    return any(path in django_settings.MIDDLEWARE for path in PAGE_POLICIES)


def _no_policy() -> Iterator[CheckMessage]:
    if not _has_policy() or not directives():
        yield Warning(
            "Pages carry no content security policy.",
            hint=f"Put {PAGE_POLICIES[0]!r} into MIDDLEWARE and set CONTENT_SECURITY_POLICY.",
            id=W004,
        )


def _no_headers() -> Iterator[CheckMessage]:
    order = list(django_settings.MIDDLEWARE)
    if HEADERS not in order or (SECURITY in order and order.index(SECURITY) < order.index(HEADERS)):
        yield Warning(
            "Not every answer carries the security headers.",
            hint=f"Put {HEADERS!r} into MIDDLEWARE, above {SECURITY!r}.",
            id=W005,
        )


def _no_nonces() -> Iterator[CheckMessage]:
    asks = any(NONCE_MARK in repr(sources).upper() for sources in directives().values())
    engines: list[dict[str, Any]] = django_settings.TEMPLATES
    given = any(
        CONTEXT_PROCESSOR in engine.get("OPTIONS", {}).get("context_processors", [])
        for engine in engines
    )
    if asks and _has_policy() and not given:
        yield Warning(
            "CONTENT_SECURITY_POLICY asks for nonces, and templates are not given them.",
            hint=f"Add {CONTEXT_PROCESSOR!r} to the context processors.",
            id=W006,
        )


def _admin_first() -> Iterator[CheckMessage]:
    apps = [
        name.removesuffix(".apps.HttpHardeningConfig") for name in django_settings.INSTALLED_APPS
    ]
    admin = next(
        (i for i, name in enumerate(apps) if name.startswith("django.contrib.admin")), None
    )
    ours = apps.index("http_hardening") if "http_hardening" in apps else None
    if django.VERSION < (6, 1) and admin is not None and ours is not None and admin < ours:
        yield Warning(
            "The admin's lists without actions hold an inline style that the policy blocks.",
            hint="Put 'http_hardening' before 'django.contrib.admin' in INSTALLED_APPS.",
            id=W007,
        )
