"""Which views are counted under which scope, as the URLconf has them now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.urls import URLPattern, URLResolver, get_resolver

from rate_limiting.policy import DEFAULT_SCOPE, counted_views

if TYPE_CHECKING:
    from collections.abc import Iterator


def endpoints() -> Iterator[tuple[str, str]]:
    """Yield the name of each counted view, as counters and events have it, and its scope.

    DRF views have theirs by their ``throttle_scope``, others as the middleware counts them.
    """
    named: list[tuple[str, str | None]] = list(counted_views().items())
    if getattr(django_settings, "ROOT_URLCONF", None):
        for name, callback in _views(get_resolver().url_patterns, ()):
            view: Any = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
            throttles = getattr(view, "throttle_classes", ())
            if any(getattr(throttle, "counts_by_scope", False) for throttle in throttles):
                scope = getattr(view, "throttle_scope", DEFAULT_SCOPE)
                named.append((name or f"{view.__module__}.{view.__qualname__}", scope))
    yield from ((name, scope) for name, scope in named if scope is not None)


def _views(patterns: list[Any], namespaces: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = (*namespaces, pattern.namespace) if pattern.namespace else namespaces
            yield from _views(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern):
            name = ":".join((*namespaces, pattern.name)) if pattern.name else ""
            yield name, pattern.callback
