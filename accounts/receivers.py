"""Where Django's signals reach the services."""

from __future__ import annotations

from typing import Any

from accounts.services import say_signed_in


def tell_cookie_sign_in(user: Any, **_: Any) -> None:
    """Tell of a sign-in by Django's own ``login()``; one for tokens tells of itself."""
    say_signed_in(user=user, kind="cookie")
