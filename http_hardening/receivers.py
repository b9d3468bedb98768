"""What http_hardening listens to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from http_hardening.headers import SIGNED_OUT

if TYPE_CHECKING:
    from django.http import HttpRequest


def clear_site_data(request: HttpRequest | None, **_: object) -> None:
    """Let the answer clear what the browser has kept: whoever asked has signed out."""
    if request is not None:
        setattr(request, SIGNED_OUT, True)
