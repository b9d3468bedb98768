"""What every answer says to a browser, worked out once and set on each.

The presets follow OWASP's Secure Headers and ASVS 5.0 V3.4. A header that a view has set itself is
left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from django.conf import settings as django_settings

from garrison.conf import remembered
from http_hardening.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.http import HttpRequest, HttpResponseBase

Entry: TypeAlias = tuple[str, str, str]
"""A header's name in lower case, its name, its value."""

# An answer that is no page may load nothing and may not be framed, should a browser show it.
NOTHING_LOADS = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PAGES = ("text/html", "application/xhtml+xml")
# Not "cookies": browsers would clear those of sibling hosts, and the one that a sign-in form needs.
CLEAR_SITE_DATA = '"cache", "storage"'
CLEAR_CACHE = '"cache"'  # a cookie session's pages; the storage holds the admin's theme
SIGNED_OUT = "_http_hardening_signed_out"  # an attribute of the request
TELLTALE = ("X-Powered-By", "X-Generator")


@dataclass(frozen=True, slots=True)
class Preset:
    """The headers by when they are set.

    ``always`` is for every answer, ``frames`` for those that ``xframe_options_exempt`` does
    not let into frames, ``no_page`` for those a browser does not show as a page,
    ``personal`` for errors and what else no cache may keep, and ``tls`` for those that come over
    TLS.
    """

    always: tuple[Entry, ...]
    frames: tuple[Entry, ...]
    no_page: tuple[Entry, ...]
    personal: tuple[Entry, ...]
    tls: tuple[Entry, ...]
    api_prefixes: tuple[str, ...]


@remembered()
def preset() -> Preset:
    """Return the headers as the settings have them; worked out again when one of them changes."""
    always = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": _joined(django_settings.SECURE_REFERRER_POLICY) or "same-origin",
        "Permissions-Policy": permissions_policy(settings.permissions_policy),
        "Cross-Origin-Opener-Policy": django_settings.SECURE_CROSS_ORIGIN_OPENER_POLICY or "",
        "Cross-Origin-Resource-Policy": settings.cross_origin_resource_policy,
        "X-Permitted-Cross-Domain-Policies": "none",
    }
    return Preset(
        always=_entries(always),
        frames=_entries({"X-Frame-Options": django_settings.X_FRAME_OPTIONS}),
        no_page=_entries({"Content-Security-Policy": NOTHING_LOADS}),
        personal=_entries({"Cache-Control": "no-store"}),
        tls=_entries({"Strict-Transport-Security": _hsts()}),
        api_prefixes=tuple(settings.api_prefixes),
    )


def _entries(headers: dict[str, str]) -> tuple[Entry, ...]:
    return tuple((name.lower(), name, value) for name, value in headers.items() if value)


def _joined(policies: str | list[str] | tuple[str, ...] | None) -> str:
    return policies if isinstance(policies, str) else ", ".join(policies or ())


def _hsts() -> str:
    seconds = django_settings.SECURE_HSTS_SECONDS
    if not seconds:
        return ""
    value = f"max-age={seconds}"
    if django_settings.SECURE_HSTS_INCLUDE_SUBDOMAINS:
        value += "; includeSubDomains"
    return f"{value}; preload" if django_settings.SECURE_HSTS_PRELOAD else value


def permissions_policy(policy: Mapping[str, list[str]]) -> str:
    """Write a permissions policy: ``camera=(), fullscreen=(self "https://a.example")``."""
    return ", ".join(f"{feature}={_allowed(origins)}" for feature, origins in policy.items())


def _allowed(origins: list[str]) -> str:
    if origins == ["*"]:
        return "*"
    return f"({' '.join(o if o == 'self' else f'{chr(34)}{o}{chr(34)}' for o in origins)})"


def harden(request: HttpRequest, response: HttpResponseBase) -> None:
    """Set what is missing, and take away what tells an attacker which software this is."""
    headers = response.headers
    present = {name.lower() for name in headers}
    for lower, name, value in _wanted(preset(), request, response):
        if lower not in present:
            headers[name] = value
    for name in TELLTALE:
        headers.pop(name, None)
    # A server such as granian writes its own name where there is none, so it is given an empty one.
    headers["Server"] = ""


def _wanted(known: Preset, request: HttpRequest, response: HttpResponseBase) -> Iterator[Entry]:
    yield from known.always
    if known.tls and request.is_secure():
        yield from known.tls
    if response.status_code != 304 and not is_page(response):
        # A 304 says nothing anew: it would change the policy of the page a browser has kept.
        yield from known.no_page
    if response.status_code >= 400 or is_personal(request, response, known.api_prefixes):
        yield from known.personal
    if not getattr(response, "xframe_options_exempt", False):
        yield from known.frames
    if hasattr(request, SIGNED_OUT):
        yield ("clear-site-data", "Clear-Site-Data", CLEAR_CACHE)


def is_page(response: HttpResponseBase) -> bool:
    """Return whether a browser would show the answer as a page."""
    return str(response.headers.get("Content-Type", "")).startswith(PAGES)


def is_personal(
    request: HttpRequest, response: HttpResponseBase, api_prefixes: tuple[str, ...]
) -> bool:
    """Return whether an answer may be one person's: an API's, a signed-in one, one with a nonce."""
    return (
        "HTTP_AUTHORIZATION" in request.META
        or request.path_info.startswith(api_prefixes)
        or "cookie" in str(response.headers.get("Vary", "")).lower()
        or bool(response.cookies)
        or bool(getattr(request, "_csp_nonce", None))
    )
