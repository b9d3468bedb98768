"""Holding a sign-in half-done, and finding it again by its token (``docs/decisions/0005-…``)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.debug import sensitive_variables

from accounts import devices, events
from accounts.attempt import Attempt, Reason, target_of
from accounts.conf import settings
from accounts.errors import SignInExpired
from accounts.lockout import Reservation
from accounts.models import PendingSignIn
from accounts.sign_in import SignIn
from garrison import client_ip, context
from garrison.events import emit
from garrison.keys import site_secrets
from sessions_tracking.services import end_sessions

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

TOKEN_BYTES = 32
MOST_TRIES = 5  # answers to one half-done sign-in, right and wrong
_SALT = "accounts.pending"


@sensitive_variables("token")
def digest_of(token: str) -> str:
    """Return the name of the token's row; the token has 256 random bits, so a plain hash hides it.

    >>> digest_of("abc")[:8]
    'ba7816bf'
    """
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def _origins() -> list[str]:
    """Return keyed digests of the device and the network that ask: user agent, IPv4 or /64.

    There is one under each secret of the site, the one in use first.
    """
    known = context.current()
    text = f"{client_ip.bucket(known.ip)}\n{known.user_agent}"
    return [
        salted_hmac(_SALT, text, secret=secret, algorithm="sha256").hexdigest()
        for secret in site_secrets()
    ]


def _states(account: Any) -> list[str]:
    """Return what the account's session hash is under each secret of the site, in the same order.

    A user model that is no ``AbstractBaseUser`` has no fallbacks.
    """
    fallbacks = getattr(account, "get_session_auth_fallback_hash", tuple)
    return [account.get_session_auth_hash(), *fallbacks()]


def _is_among(stored: str, known: list[str]) -> bool:
    return any(constant_time_compare(stored, each) for each in known)


@sensitive_variables("token")
def hold(sign_in: SignIn, *, methods: list[str], now: datetime) -> str:
    """Store the sign-in half-done, and return its token; one that was held before is replaced.

    Its minutes are counted from the first time. Raises :class:`SignInExpired` where another request
    has gone on with it meanwhile.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    lifetime = timedelta(seconds=settings.pending_sign_in_seconds)
    row = PendingSignIn(
        digest=digest_of(token),
        user=sign_in.account,  # type: ignore[misc]  # whatever AUTH_USER_MODEL is
        state=sign_in.account.get_session_auth_hash(),
        origin=_origins()[0],
        bucket=next((made.key for made in sign_in.attempt.reservations if made.is_account), ""),
        reservations=[_to_json(made) for made in sign_in.attempt.reservations],
        amr=sign_in.amr,
        passed=sign_in.passed,
        notes=sign_in.notes,
        expires_at=sign_in.pending.expires_at if sign_in.pending else now + lifetime,
    )
    with transaction.atomic():
        sign_in.require_claim()
        row.save(force_insert=True)
        target = target_of(sign_in.account)
        emit(events.LOGIN_CHALLENGED, target=target, data={"methods": methods}, now=now)
    return token


def resume(digest: str, *, now: datetime) -> SignIn:
    """Return the half-done sign-in of this device, and spend one of its tries.

    Raises :class:`SignInExpired`, alike for an unknown one, one of another device or network, one
    whose time or tries are over, and one whose account has changed since: each but the first is an
    event.
    """
    row = PendingSignIn.objects.select_related("user").filter(pk=digest).first()
    if row is None:
        raise SignInExpired
    account: Any = row.user
    attempt = Attempt.of(account.get_username(), now=now)
    reason = _why_void(row, account, now=now)
    if reason is not None:
        attempt.emit_failed(account=account, reason=reason)
        raise SignInExpired
    attempt.reservations = [_from_json(made) for made in row.reservations]
    if row.bucket:
        attempt.device = row.bucket.rpartition(":")[2]
    return SignIn(account, attempt, row.amr, row.passed, row.notes, pending=row)


def end_access(user: AbstractBaseUser, *, reason: str, **more: Any) -> int:
    """End the account's sessions, return how many, and void its half-done sign-ins.

    Its devices are trusted no longer, but the one of a session that is spared. ``more`` goes to
    :func:`~sessions_tracking.services.end_sessions`. A row that is being completed in this moment
    is passed over, lest the two wait for each other: completing it finds the account changed.
    """
    rows = PendingSignIn.objects.filter(user_id=user.pk).select_for_update(skip_locked=True)
    free = list(rows.values_list("pk", flat=True))
    PendingSignIn.objects.filter(pk__in=free).update(state="", bucket="")
    devices.revoke_all(user, except_session_id=more.get("except_session_id"))
    return end_sessions(user=user, reason=reason, **more)


def _why_void(row: PendingSignIn, account: Any, *, now: datetime) -> Reason | None:
    if not _is_among(row.origin, _origins()):
        return Reason.MOVED
    if not account.is_active or not _is_among(row.state, _states(account)):
        return Reason.CHANGED
    alive = PendingSignIn.objects.filter(pk=row.pk, expires_at__gt=now, tries__lt=MOST_TRIES)
    return None if alive.update(tries=F("tries") + 1) else Reason.EXPIRED


def _to_json(reservation: Reservation) -> dict[str, Any]:
    began_at = reservation.window_started_at.isoformat()
    return asdict(reservation) | {"window_started_at": began_at}


def _from_json(stored: dict[str, Any]) -> Reservation:
    began_at = datetime.fromisoformat(stored["window_started_at"])
    return Reservation(**stored | {"window_started_at": began_at})
