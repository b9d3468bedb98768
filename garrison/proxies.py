"""Scheme, host and address of a request: derived once, and from trusted peers only.

What a peer of ``GARRISON_TRUSTED_PROXIES`` forwards is written where Django itself looks
(``REMOTE_ADDR``, the scheme of the connection, ``Host``, ``SERVER_PORT``), and every forwarding
field is then removed. So ``is_secure()``, ``get_host()``, ``build_absolute_uri()``, the CSRF check,
redirects, HSTS and whatever reads ``REMOTE_ADDR`` follow, and nothing downstream can believe a
field that a client has written (OWASP ASVS 5.0 V4.1.3). ``Forwarded`` (RFC 7239) is not supported:
it is removed too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.conf import settings as django_settings

from garrison import client_ip

if TYPE_CHECKING:
    from django.http import HttpRequest

PROTO = "HTTP_X_FORWARDED_PROTO"
HOST = "HTTP_X_FORWARDED_HOST"
PORT = "HTTP_X_FORWARDED_PORT"
FORWARDING_FIELDS = frozenset(
    {
        client_ip.FORWARDED_FOR,
        PROTO,
        HOST,
        PORT,
        # Never read here; removed, because other software believes them.
        "HTTP_FORWARDED",
        "HTTP_FRONT_END_HTTPS",
        "HTTP_X_FORWARDED_PROTOCOL",
        "HTTP_X_FORWARDED_SCHEME",
        "HTTP_X_FORWARDED_SERVER",
        "HTTP_X_FORWARDED_SSL",
        "HTTP_X_REAL_IP",
        "HTTP_X_URL_SCHEME",
    }
)
DEFAULT_PORTS = {"http": "80", "https": "443"}
PORT_OF_HOST = re.compile(r":([0-9]{1,5})$", re.ASCII)
HIGHEST_PORT = 65535


def resolve(request: HttpRequest) -> None:
    """Rewrite a request into what its client sent, as far as a trusted peer tells it.

    Of several values the last counts: the nearest proxy wrote it. What an untrusted peer tells is
    removed unread. A request is resolved once; another call changes nothing.
    """
    meta = request.META
    if client_ip.TRUSTED in meta:
        return
    meta[client_ip.TRUSTED] = is_trusted = client_ip.peer_is_trusted(meta)
    if is_trusted:
        _believe(request)
    if not meta.keys().isdisjoint(FORWARDING_FIELDS):
        for name in FORWARDING_FIELDS:
            meta.pop(name, None)
    if django_settings.SECURE_PROXY_SSL_HEADER:
        # Its word, if it is a trusted one, is now in the scheme, where Django looks next.
        meta.pop(django_settings.SECURE_PROXY_SSL_HEADER[0], None)
    request.__dict__.pop("headers", None)  # made from META by whoever has looked before


def _believe(request: HttpRequest) -> None:
    meta: dict[str, object] = request.META
    if address := client_ip.client_ip(meta):
        meta["REMOTE_ADDR"] = meta["REMOTE_HOST"] = address
        meta.pop("REMOTE_PORT", None)
    scheme = _forwarded_scheme(meta) or request.scheme or "http"
    _set_scheme(request, scheme)
    # Many a proxy hands on what a client wrote there, so it counts only where a host asks for it.
    if django_settings.USE_X_FORWARDED_HOST and (host := _last(meta, HOST)):
        meta["HTTP_HOST"] = host  # refused by get_host() unless it is well-formed and allowed
    meta["SERVER_PORT"] = _forwarded_port(meta) or _port_of_host(meta) or DEFAULT_PORTS[scheme]


def _forwarded_scheme(meta: dict[str, object]) -> str | None:
    """Return the proxy's word, or ``None`` without one; a word that is not "secure" is ``http``."""
    name, secure = django_settings.SECURE_PROXY_SSL_HEADER or (PROTO, "https")
    word = _last(meta, name).lower()
    return ("https" if word == secure.lower() else "http") if word else None


def _set_scheme(request: HttpRequest, scheme: str) -> None:
    if scope := getattr(request, "scope", None):
        request.scope = {**scope, "scheme": scheme}  # type: ignore[attr-defined]  # under ASGI
    else:
        request.META["wsgi.url_scheme"] = scheme


def _forwarded_port(meta: dict[str, object]) -> str | None:
    word = _last(meta, PORT) if django_settings.USE_X_FORWARDED_PORT else ""
    is_port = word.isascii() and word.isdigit() and len(word) <= 5 and 0 < int(word) <= HIGHEST_PORT
    return word if is_port else None


def _port_of_host(meta: dict[str, object]) -> str | None:
    written = PORT_OF_HOST.search(str(meta.get("HTTP_HOST") or ""))
    return written[1] if written else None


def _last(meta: dict[str, object], name: str) -> str:
    return str(meta.get(name) or "").rpartition(",")[2].strip()
