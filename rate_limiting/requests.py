"""Checks that belong to a request: the verdict travels with it until the headers are set."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from rate_limiting import limiter
from rate_limiting.errors import RateLimited
from rate_limiting.policy import policy_for
from rate_limiting.subject import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from django.http import HttpRequest, HttpResponseBase

    from rate_limiting.verdicts import Verdict

    BodyReader: TypeAlias = Callable[[], Mapping[str, object]]

ATTRIBUTE = "rate_limit_verdict"
REFUND_ATTRIBUTE = "rate_limit_refund_statuses"
UNSERVED = 503  # busy, or a store is gone: nothing was done, so nobody pays for it


def check(  # noqa: PLR0913 - what a check knows of a request, by keyword
    request: HttpRequest,
    view: object,
    *,
    scope: str,
    user: object,
    read_body: BodyReader,
    refund_statuses: Collection[int] = (),
) -> Verdict:
    """Count the request; raises what :func:`rate_limiting.limiter.count_request` raises.

    ``read_body`` is called only where a rate counts by account. ``refund_statuses`` are those of
    the answers after which the place is given back.
    """
    body = read_body() if policy_for(scope).needs_account else None
    subject = subject_of(request, endpoint=_endpoint(request, view), user=user, body=body)
    try:
        verdict = limiter.count_request(scope=scope, subject=subject)
    except RateLimited as refusal:
        setattr(request, ATTRIBUTE, refusal.verdict)
        raise
    setattr(request, ATTRIBUTE, verdict)
    setattr(request, REFUND_ATTRIBUTE, refund_statuses)
    return verdict


def finish(request: HttpRequest, response: HttpResponseBase) -> None:
    """Set the headers of the verdict, and give the place back where the answer earns it."""
    verdict: Verdict | None = getattr(request, ATTRIBUTE, None)
    if verdict is None:
        return
    for name, value in verdict.headers().items():
        response.headers[name] = value
    is_refundable = getattr(response, "is_refundable", True)  # a view may say: no success yet
    refunded = {*getattr(request, REFUND_ATTRIBUTE, ()), UNSERVED}
    if is_refundable and response.status_code in refunded:
        limiter.refund(verdict=verdict, is_served=response.status_code != UNSERVED)


def _endpoint(request: HttpRequest, view: object) -> str:
    """Name the view: by its URL's name where it has one, so that names in events can be read."""
    match = getattr(request, "resolver_match", None)
    if match is not None and match.view_name:
        return str(match.view_name)
    return f"{view.__module__}.{getattr(view, '__qualname__', type(view).__qualname__)}"
