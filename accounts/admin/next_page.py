"""Where a sign-in to the admin leads: to a page that is there, and else to the first one."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.urls import Resolver404, get_script_prefix, resolve

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.http import HttpRequest, HttpResponse

NO_PAGES = frozenset({"catch_all_view", "logout"})  # of the admin: a 404, and what takes POST only


def use_next_page(site: AdminSite) -> None:
    """Let the login view forget a ``next`` that leads nowhere; Django refuses other hosts."""
    sign_in = site.login

    @wraps(sign_in)
    def login(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        for method in ("GET", "POST"):
            sent = getattr(request, method)
            if REDIRECT_FIELD_NAME in sent and not _is_page(sent[REDIRECT_FIELD_NAME]):
                kept = sent.copy()
                del kept[REDIRECT_FIELD_NAME]
                setattr(request, method, kept)
        return sign_in(request, extra_context)

    site.login = login  # type: ignore[method-assign]


def _is_page(address: str) -> bool:
    try:
        path = unquote(urlsplit(address).path)
    except ValueError:
        return False
    inside = "/" + path.removeprefix(get_script_prefix())
    return _is_there(inside) or (not inside.endswith("/") and _is_there(f"{inside}/"))


def _is_there(path: str) -> bool:
    try:
        return getattr(resolve(path).func, "__name__", "") not in NO_PAGES
    except Resolver404:
        return False
