"""Who is counted: the parts of a key, read off a request and made unreadable for the store.

Each value is hashed under a key derived from ``RATE_LIMITING_KEY``, or else ``SECRET_KEY``. So
nobody who reads the store learns a name, and nobody outside can compute when a window of
``django-ratelimit``, whose edge depends on the value, will turn.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from garrison import context
from garrison.client_ip import bucket, client_ip
from rate_limiting.conf import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

    from rate_limiting.rates import Rate

LONGEST_ACCOUNT_NAME = 254  # characters; RFC 5321 has no longer address
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks for what.

    ``user_id`` is the signed-in person's key as text; ``account`` the folded name of the account
    that the request is about; ``address`` a bucket of :func:`garrison.client_ip.bucket`;
    ``endpoint`` the view's name. ``request`` is what custom keys are given.
    """

    address: str | None
    endpoint: str = ""
    user_id: str | None = None
    account: str | None = None
    request: HttpRequest | None = None

    def value(self, rate: Rate) -> str | None:
        """Get what the rate counts this subject under, or ``None`` where it does not count it."""
        parts: list[str] = []
        for name in rate.key:
            part = self._part(name)
            if part is None:
                return None
            parts.append(f"{len(part)}:{part}")  # lengths keep "ab"+"c" and "a"+"bc" apart
        return _digest(f"{'+'.join(rate.key)}={''.join(parts)}")

    def _part(self, name: str) -> str | None:
        person = f"user {self.user_id}" if self.user_id else None
        if name == "user":
            return person or (f"address {self.address}" if self.address else None)
        if name == "account":
            return person or self.account
        known = {"address": self.address, "endpoint": self.endpoint, "site": "site"}
        if name in known:
            return known[name]
        value = None if self.request is None else import_string(name)(self.request)
        return None if value is None else str(value)


def subject_of(
    request: HttpRequest,
    *,
    endpoint: str,
    user: object = None,
    body: Mapping[str, object] | None = None,
) -> Subject:
    """Read the subject off a request.

    ``user`` is whoever the caller has authenticated; ``body`` the parsed body, looked at only for
    the account it names.
    """
    is_known = bool(getattr(user, "is_authenticated", False))
    known = context.current()
    ip = known.ip if known.request_id else client_ip(request.META)
    return Subject(
        address=bucket(ip),
        endpoint=endpoint,
        user_id=str(getattr(user, "pk", "")) if is_known else None,
        account=_account(body or {}),
        request=request,
    )


def _account(body: Mapping[str, object]) -> str | None:
    for field in settings.account_fields if body else ():
        name = body.get(field)
        if isinstance(name, str) and (folded := fold(name)):
            return folded
    return None


def fold(name: str) -> str:
    """Get the one form of a name: NFKC, case-folded, without outer spaces, at most 254 characters.

    ``Ana``, ``ANA`` and the full-width letters are one account, and share its places.
    """
    cut = name[: LONGEST_ACCOUNT_NAME * 4]
    return unicodedata.normalize("NFKC", cut).casefold().strip()[:LONGEST_ACCOUNT_NAME]


def _digest(text: str) -> str:
    encoded = text.encode("utf-8", "surrogatepass")
    key = _key(settings.key or str(django_settings.SECRET_KEY))
    return hashlib.blake2b(encoded, key=key, digest_size=DIGEST_BYTES).hexdigest()


@lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hashlib.blake2b(secret.encode(), person=b"rate_limiting", digest_size=32).digest()
