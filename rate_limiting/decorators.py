"""The engine for function views."""

from __future__ import annotations

import functools
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asgiref.sync import sync_to_async

from rate_limiting import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from django.http import HttpRequest

View = TypeVar("View", bound="Callable[..., Any]")


def rate_limited(*, scope: str, methods: Collection[str] | None = None) -> Callable[[View], View]:
    """Count each request of a view, sync or async, under a scope.

    ``methods`` limits it to some (default: all). A refusal is raised and answered by garrison's
    middleware. :class:`~rate_limiting.middleware.RateLimitMiddleware` adds the headers.
    """

    def decorate(view: View) -> View:
        def check(request: HttpRequest) -> None:
            if methods is None or request.method in methods:
                count_view(request, view, scope=scope)

        if iscoroutinefunction(view):

            @functools.wraps(view)
            async def counted_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                # The store's line is a blocking one: away from the event loop with it.
                await sync_to_async(check)(request)
                return await view(request, *args, **kwargs)

            return cast("View", counted_async)

        @functools.wraps(view)
        def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            check(request)
            return view(request, *args, **kwargs)

        return cast("View", counted)

    return decorate


def count_view(
    request: HttpRequest, view: object, *, scope: str, refund_statuses: Collection[int] = ()
) -> None:
    """Count a request of a plain Django view; raises the refusal."""
    requests.check(
        request,
        view,
        scope=scope,
        user=getattr(request, "user", None),
        read_body=lambda: request.POST,
        refund_statuses=refund_statuses,
    )
