"""Where Django's signals reach the services."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.utils import timezone

from accounts import browser
from accounts.backends import SIGN_IN_ATTRIBUTE
from accounts.services.signing_in import emit_signed_in
from accounts.sign_in import EXPIRES_AT, PASSWORD_METHOD


def complete_cookie_sign_in(request: Any, user: Any, **_: Any) -> None:
    """End a sign-in by Django's own ``login()``; one for tokens ends where its session starts."""
    now, sign_in = timezone.now(), getattr(user, SIGN_IN_ATTRIBUTE, None)
    if sign_in is not None:
        sign_in.clear(now=now)
        if expires_at := sign_in.notes.get(EXPIRES_AT):
            said = f"Your password expires on {expires_at[:10]}; choose a new one before that."
            messages.warning(request, said, fail_silently=True)
    browser.trust(request, user, sign_in, now=now)
    amr = getattr(request, "authentication_methods", [PASSWORD_METHOD])
    emit_signed_in(user=user, kind="cookie", amr=amr, now=now)
