"""Checks: one content security policy, without holes, on every page."""

from __future__ import annotations

from typing import Any

import django
from csp.utils import DEFAULT_DIRECTIVES
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.utils.module_loading import import_string

from http_hardening.conf import settings
from http_hardening.csp import directives

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
API_CLASSES = tuple(
    f"HTTP_HARDENING_API_{kind}"
    for kind in ("AUTHENTICATION", "PERMISSIONS", "PARSERS", "RENDERERS", "THROTTLES")
)
NONCE_MARK = "NONCE"  # django-csp's sentinel holds the word


def check_policy(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Refuse a stacked policy, a hole in it, and directives that would be dropped."""
    found: list[CheckMessage] = []
    if DJANGO_POLICY in django_settings.MIDDLEWARE and _has_policy():
        found.append(
            Error(
                "Django's CSP middleware and django-csp run at once; the inner one wins, silently.",
                hint=f"Remove {DJANGO_POLICY!r} from MIDDLEWARE.",
                id=E001,
            )
        )
    for name, sources in directives().items():
        found += [
            Error(
                f"CONTENT_SECURITY_POLICY allows {source} in {name}.",
                hint="Move the code into a file, or give its tag a nonce.",
                id=E002,
            )
            for source in (sources if isinstance(sources, list | tuple | set) else [sources])
            if _is_hole(name, str(source))
        ]
    found += [
        Error(
            f"CONTENT_SECURITY_POLICY names the directive {name!r}, which django-csp drops.",
            hint="Correct its spelling, or set it by a middleware of your own.",
            id=E003,
        )
        for name in sorted(directives().keys() - DEFAULT_DIRECTIVES.keys())
    ]
    return found


def _is_hole(directive: str, source: str) -> bool:
    runs_code = directive.startswith(("script-src", "default-src", "object-src"))
    return "unsafe-" in source or (
        runs_code and source in {"*", "data:", "blob:", "http:", "https:"}
    )


def _has_policy() -> bool:
    return any(path in django_settings.MIDDLEWARE for path in PAGE_POLICIES)


def check_middleware(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn where the app is installed and does nothing."""
    found: list[CheckMessage] = []
    if not _has_policy() or not directives():
        found.append(
            Warning(
                "Pages carry no content security policy.",
                hint=f"Put {PAGE_POLICIES[0]!r} into MIDDLEWARE and set CONTENT_SECURITY_POLICY.",
                id=W004,
            )
        )
    order = list(django_settings.MIDDLEWARE)
    if HEADERS not in order or SECURITY in order[: order.index(HEADERS)]:
        found.append(
            Warning(
                "Not every answer carries the security headers.",
                hint=f"Put {HEADERS!r} into MIDDLEWARE, above {SECURITY!r}.",
                id=W005,
            )
        )
    return found


def check_templates(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn where pages would lack the nonces that the policy asks of them."""
    found = _admin_first()
    if not _has_policy() or NONCE_MARK not in repr(directives()).upper():
        return found
    engines: list[dict[str, Any]] = django_settings.TEMPLATES
    options = [engine.get("OPTIONS", {}) for engine in engines]
    if not any(CONTEXT_PROCESSOR in known.get("context_processors", []) for known in options):
        found.append(
            Warning(
                "CONTENT_SECURITY_POLICY asks for nonces, and templates are not given them.",
                hint=f"Add {CONTEXT_PROCESSOR!r} to the context processors.",
                id=W006,
            )
        )
    return found


def _admin_first() -> list[CheckMessage]:
    apps = [
        name.removesuffix(".apps.HttpHardeningConfig") for name in django_settings.INSTALLED_APPS
    ]
    ours = apps.index("http_hardening") if "http_hardening" in apps else 0
    is_after = any(name.startswith("django.contrib.admin") for name in apps[:ours])
    if django.VERSION >= (6, 1) or not is_after:
        return []
    return [
        Warning(
            "The admin's lists without actions hold an inline style that the policy blocks.",
            hint="Put 'http_hardening' before 'django.contrib.admin' in INSTALLED_APPS.",
            id=W007,
        )
    ]


def check_api(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Warn where nothing counts requests; refuse classes of the host's that do not resolve.

    A default is looked at where an API is mounted.
    """
    found: list[CheckMessage] = []
    if not settings.api_throttles:
        found.append(
            Warning(
                "Requests to the APIs are not counted, so passwords and tokens can be guessed at.",
                hint="Name a throttle in HTTP_HARDENING_API_THROTTLES, or remove the setting.",
                id=W008,
            )
        )
    for name in API_CLASSES:
        paths = getattr(django_settings, name, ())
        for path in paths if isinstance(paths, list | tuple) else ():
            try:
                import_string(path)
            except ImportError as failure:
                hint = "Write the full path: package.module.Class."
                message = f"{name} names {path!r}, which does not resolve: {failure}"
                found.append(Error(message, hint=hint, id=E009))
    return found
