"""Where Django's signals reach the services."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts import browser
from accounts.backends import SIGN_IN_ATTRIBUTE
from accounts.services.signing_in import emit_signed_in
from accounts.sign_in import PASSWORD_METHOD


def complete_cookie_sign_in(request: Any, user: Any, **_: Any) -> None:
    """End a sign-in by Django's own ``login()``; one for tokens ends where its session starts."""
    now, sign_in = timezone.now(), getattr(user, SIGN_IN_ATTRIBUTE, None)
    if sign_in is not None:
        sign_in.clear(now=now)
    browser.trust(request, user, sign_in, now=now)
    amr = getattr(request, "authentication_methods", [PASSWORD_METHOD])
    emit_signed_in(user=user, kind="cookie", amr=amr, now=now)
