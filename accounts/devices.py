"""Trusted devices: where an account was signed in to before, an outsider cannot lock it.

A complete sign-in makes its device a trusted one, and hands it a token; failures that come with it
are counted in the bucket (account, device), and everybody else's in (account, elsewhere). The token
is all that is trusted by it: it replaces neither a password nor a step. It is the row's id, signed
under the site's secrets, so a forged one costs no statement. Forged, foreign, expired or revoked,
it is no token: the request counts as a stranger's, and nothing in the answer shows it.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts import events
from accounts.conf import settings
from accounts.errors import DeviceNotFound
from accounts.login_name import acceptable
from accounts.models import TrustedDevice
from accounts.models.trusted_device import LONGEST_DEVICE_NAME
from garrison import context
from garrison.events import emit
from garrison.keys import site_secrets
from garrison.mails import device_name

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

LONGEST_DEVICE_TOKEN = 128  # characters; ours has 97
NEW_TOKEN_ATTRIBUTE = "accounts_device_token"  # noqa: S105 - on a request, for the middleware
_SALT = "accounts.devices"


def _signed(device_id: uuid.UUID) -> list[str]:
    """Return the device's token under each secret of the site, the one in use first."""
    return [
        f"{device_id.hex}-"
        + salted_hmac(_SALT, device_id.hex, secret=secret, algorithm="sha256").hexdigest()
        for secret in site_secrets()
    ]


def token_of(device: TrustedDevice) -> str:
    """Return what its device keeps: 97 characters, a secret."""
    return _signed(device.pk)[0]


def recognise(token: str, *, login_name: str, now: datetime | None = None) -> TrustedDevice | None:
    """Return the device of this name's account, with its user; ``None`` for any other token.

    One statement for a token that this site has signed, none for the rest.
    """
    if acceptable(login_name) is None:
        return None
    try:
        device_id = uuid.UUID(token[:32])
    except ValueError:
        return None
    given = token.encode(errors="surrogatepass")
    if not any(constant_time_compare(given, known.encode()) for known in _signed(device_id)):
        return None
    alive = TrustedDevice.objects.alive(now=now or timezone.now()).select_related("user")
    device = alive.filter(pk=device_id).first()
    return device if device and _is_named(device.user, login_name) else None


def _is_named(user: Any, login_name: str) -> bool:
    """Return whether the name is the user's, as the column would store it.

    A host's model may tell cases apart, and have a namesake.
    """
    column = user._meta.get_field(user.USERNAME_FIELD)
    return bool(column.to_python(login_name) == user.get_username())


def trust(
    user: AbstractBaseUser, *, device_id: str = "", now: datetime | None = None
) -> TrustedDevice:
    """Make the device that asks a trusted one, or renew it; one statement each.

    A person's last used count, ``ACCOUNTS_MOST_TRUSTED_DEVICES`` of them: the oldest is out.
    """
    known, now = context.current(), now or timezone.now()
    seen: dict[str, Any] = {
        "session_id": known.session_id or "",
        "name": device_name(known.user_agent)[:LONGEST_DEVICE_NAME],
        "ip": known.ip,
        "last_used_at": now,
        "expires_at": now + timedelta(days=settings.trusted_device_days),
    }
    if device_id:
        key = uuid.UUID(device_id)
        if TrustedDevice.objects.of_user(user).filter(pk=key).update(**seen):
            return TrustedDevice(pk=key, user_id=user.pk, **seen)
    return TrustedDevice.objects.create(user_id=user.pk, created_at=now, **seen)


def revoke(*, user: Any, device_id: uuid.UUID, by: Any = None) -> None:
    """Trust the device no longer; raises :class:`DeviceNotFound` unless it is this person's."""
    if not TrustedDevice.objects.of_user(user).filter(pk=device_id).delete()[0]:
        raise DeviceNotFound
    data = {"device": device_id.hex}
    emit(events.DEVICE_REVOKED, actor=by or user, target=f"user:{user.pk}", data=data)


def revoke_all(user: AbstractBaseUser, *, except_session_id: str | None = None) -> None:
    """Trust none of the account's devices any longer, but the one that holds this session."""
    rows = TrustedDevice.objects.of_user(user)
    if except_session_id:
        rows = rows.exclude(session_id=except_session_id)
    rows.delete()


def presented(request: HttpRequest | None) -> str:
    """Return the token in the request's cookie; empty where there is none."""
    if request is None:
        return ""
    return str(getattr(request, "COOKIES", {}).get(settings.device_cookie_name, ""))


def hand_out(request: Any, token: str) -> None:
    """Have the token set as a cookie on the answer, where the middleware is installed."""
    setattr(getattr(request, "_request", request), NEW_TOKEN_ATTRIBUTE, token)
