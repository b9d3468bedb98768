"""The engine as a DRF throttle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rest_framework.throttling import BaseThrottle

from rate_limiting import requests
from rate_limiting.policy import DEFAULT_SCOPE

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

SUCCESSES = range(200, 300)


class ScopedThrottle(BaseThrottle):
    """Count a request under its view's ``throttle_scope``, which is ``api`` unless the view says.

    ``throttle_scope = None`` leaves a view uncounted. ``throttle_refunds_success = True`` gives the
    place back when the view answers 2xx, so that only failures are counted: right for a sign-in,
    wrong for anything that sends mail.

    A request that its view has refused already (``view.is_refused``: a bad token, a missing
    permission) counts against its address alone, and its body is not read for it.

    A refusal is raised, as :class:`~rate_limiting.errors.RateLimited`, and not returned: it then
    carries the exact wait and the headers through any exception handler.
    """

    counts_by_scope = True
    """By this :mod:`rate_limiting.endpoints` knows a counted view, whether or not DRF is there."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Return that the request may go on, or raise."""
        scope: str | None = getattr(view, "throttle_scope", DEFAULT_SCOPE)
        if scope is None:
            return True
        is_refused = getattr(view, "is_refused", False)
        failures: list[Exception] = []

        # A body that cannot be parsed is counted all the same, and refused afterwards; DRF parses
        # once and hands an empty body to whoever asks again, so the failure must be kept.
        def read_body() -> Mapping[str, object]:
            try:
                data = request.data
            except Exception as failure:  # noqa: BLE001 - raised again, once it is counted
                failures.append(failure)
                return {}
            return data if isinstance(data, Mapping) else {}

        refunds = getattr(view, "throttle_refunds_success", False)
        requests.check(
            request._request,
            view,
            scope=scope,
            user=None if is_refused else request.user,
            read_body=dict if is_refused else read_body,
            refund_statuses=SUCCESSES if refunds else (),
        )
        if failures:
            raise failures[0]
        return True
