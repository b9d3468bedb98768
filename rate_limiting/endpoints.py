"""Which views are counted under which scope, as the URLconf has them now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings as django_settings
from django.urls import URLPattern, URLResolver, get_resolver

from rate_limiting.policy import counted_views

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_API_SCOPE = "api"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One counted view: its name as counters and events have it, and its scope."""

    name: str
    scope: str


def endpoints() -> Iterator[Endpoint]:
    """Return DRF views by their ``throttle_scope``, and others as the middleware counts them."""
    for name, scope in counted_views().items():
        if scope is not None:
            yield Endpoint(name, scope)
    if not getattr(django_settings, "ROOT_URLCONF", None):
        return
    for name, callback in _views(get_resolver().url_patterns, ()):
        view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
        if view is None or not _is_throttled(view):
            continue
        scope = getattr(view, "throttle_scope", DEFAULT_API_SCOPE)
        if scope is not None:
            yield Endpoint(name or f"{view.__module__}.{view.__qualname__}", scope)


def _is_throttled(view: type) -> bool:
    if not apps.is_installed("rest_framework"):
        return False
    from rate_limiting.throttles import ScopedThrottle

    classes = getattr(view, "throttle_classes", ())
    return any(isinstance(cls, type) and issubclass(cls, ScopedThrottle) for cls in classes)


def _views(patterns: list[Any], namespaces: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = (*namespaces, pattern.namespace) if pattern.namespace else namespaces
            yield from _views(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern):
            name = ":".join((*namespaces, pattern.name)) if pattern.name else ""
            yield name, pattern.callback
