"""The lockout as a handler for django-axes, in ``AXES_HANDLER``.

``axes`` checks before the hash and counts after it, so forty guesses at once are all evaluated.
Here its question "is this locked?" is answered by :mod:`accounts.lockout`, which counts before; its
records are kept in one statement; and the failures of other authentication backends, which reach
it by Django's signal, are counted in the same buckets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from axes.handlers.database import AxesDatabaseHandler
from django.contrib.auth import get_user_model
from django.db.models import Sum
from django.utils import timezone

from accounts import axes_records, devices, lockout
from accounts.attempt import Attempt, Reason
from accounts.backends import OWN_BACKEND, refusal_of
from accounts.errors import LockedOut
from accounts.services.administration import forget_lockout
from accounts.user_model import find_account
from garrison.client_ip import client_ip

if TYPE_CHECKING:
    from django.http import HttpRequest


def client_ip_of(request: HttpRequest) -> str | None:
    """Decide the client's address, for ``AXES_CLIENT_IP_CALLABLE``."""
    return client_ip(request.META)


def login_name_of(credentials: dict[str, Any] | None) -> str:
    """Read the typed name off what Django's signal or a backend passes."""
    given = credentials or {}
    return str(given.get("username") or given.get(get_user_model().USERNAME_FIELD) or "")


def own_device(request: HttpRequest | None, login_name: str) -> str:
    """Name the bucket of the account's own device, where the request comes from one."""
    device = devices.recognise(devices.presented(request), login_name=login_name)
    return device.pk.hex if device else lockout.ELSEWHERE


class LockoutHandler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """axes' records, under this app's lockout."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        """Return whether the name's bucket, or the address's, is locked."""
        name, now = login_name_of(credentials), timezone.now()
        device = own_device(request, name)
        buckets = lockout.buckets_for(login_name=name, ip=client_ip_of(request), device=device)
        return any(lockout.is_locked(key=bucket.key, now=now) for bucket in buckets)

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Count what is recorded of the name and the address."""
        name = login_name_of(credentials)
        recorded = axes_records.of(
            name=axes_records.name_of(login_name=name, account=find_account(name)),
            ip=client_ip_of(request),
        )
        return recorded.aggregate(total=Sum("failures_since_start"))["total"] or 0

    def user_login_failed(
        self,
        sender: Any,  # noqa: ARG002 - the signal's
        credentials: dict[str, Any],
        request: HttpRequest | None = None,
        **_: Any,
    ) -> None:
        """Count a failure of another backend; this app's own has counted its own."""
        if request is None or refusal_of(request) is not None:
            return
        name = login_name_of(credentials)
        attempt = Attempt.of(name, now=timezone.now(), device=own_device(request, name))
        account = find_account(attempt.login_name)
        try:
            attempt.reserve()
        except LockedOut:  # emitted; a signal's receiver has nobody to refuse
            attempt.emit_failed(account=account, reason=Reason.LOCKED)
            return
        attempt.fail(account=account, reason=Reason.OTHER_BACKEND)

    def user_logged_in(
        self,
        sender: Any,  # noqa: ARG002 - the signal's
        request: HttpRequest,
        user: Any,
        **_: Any,
    ) -> None:
        """Forget the failures where another backend let the user in; ours clears its own."""
        if getattr(user, "backend", OWN_BACKEND) != OWN_BACKEND:
            name = user.get_username()
            lockout.forget(keys=[lockout.account_key(name, device=own_device(request, name))])
            axes_records.forget(account=user)

    def user_logged_out(self, sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
        """Do nothing: sessions are tracked elsewhere."""

    def reset_attempts(
        self,
        *,
        ip_address: str | None = None,
        username: str | None = None,
        ip_or_username: bool = False,
    ) -> int:
        """Remove records for axes' own commands, and the locks with them."""
        account = find_account(username) if username else None
        name = account.get_username() if account is not None else username
        count = super().reset_attempts(
            ip_address=ip_address, username=name, ip_or_username=ip_or_username
        )
        forget_lockout(login_name=username, ip=ip_address)
        return int(count)
