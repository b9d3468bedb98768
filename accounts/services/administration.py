"""What staff do to accounts; each is an event that names who did it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.hashers import is_password_usable
from django.db import transaction
from django.utils import timezone

from accounts import axes_records, codes, events, lockout, mails, pending
from accounts.attempt import target_of
from accounts.errors import AccountUnknown, AddressMalformed
from accounts.models import LockoutBucket
from accounts.password import history
from accounts.services.deletion import require_superuser_left
from accounts.user_model import find_account
from garrison import client_ip
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

    from accounts.models import User
    from accounts.models.lockout_bucket import LockoutBucketQuerySet

DEACTIVATED = "deactivated"


def unlock_account(*, login_name: str, by: Any = None) -> bool:
    """End an account's lock and forget its failures; return whether there were any.

    Raises :class:`~accounts.errors.AccountUnknown` where nobody has the name.
    """
    account = find_account(login_name)
    if account is None:
        raise AccountUnknown
    return _unlock(lockout.account_buckets(account.get_username()), account=account, by=by)


def unlock_address(*, ip: str, by: Any = None) -> bool:
    """End an address's lock (an IPv6 /64) and forget its failures; return whether there were any.

    Raises :class:`~accounts.errors.AddressMalformed` where it is not an address.
    """
    if client_ip.parse(ip) is None:
        raise AddressMalformed
    key = lockout.address_key(ip)
    return _unlock(LockoutBucket.objects.filter(key=key), target=key, by=by)


def unlock_bucket(*, bucket: LockoutBucket, by: Any = None) -> None:
    """End one bucket's lock, for staff who look at the buckets; names of nobody included."""
    rows = LockoutBucket.objects.filter(key=bucket.key)
    _unlock(rows, account=bucket.user, target=bucket.key, by=by)


def _unlock(
    buckets: LockoutBucketQuerySet,
    *,
    account: AbstractBaseUser | None = None,
    target: str = "",
    by: Any,
) -> bool:
    with transaction.atomic():
        had_failures = bool(buckets.delete()[0])
        if account is not None:
            axes_records.forget(account=account)
        if had_failures:
            emit(events.ACCOUNT_UNLOCKED, actor=by, target=target_of(account) or target)
    return had_failures


def forget_lockout(*, login_name: str | None, ip: str | None) -> None:
    """Forget what ``axes_reset`` and its like ask for; with neither name nor address, all of it."""
    keys = [] if login_name is None else [lockout.account_key(login_name)]
    keys += [] if ip is None else [lockout.address_key(ip)]
    buckets = LockoutBucket.objects.filter(key__in=keys) if keys else LockoutBucket.objects.all()
    if login_name is not None:
        buckets |= lockout.account_buckets(login_name)
    account = find_account(login_name) if login_name else None
    with transaction.atomic():
        if buckets.delete()[0]:
            emit(events.ACCOUNT_UNLOCKED, target=target_of(account), data={"buckets": keys})


def set_active(*, user: User, is_active: bool, by: Any = None) -> bool:
    """Activate or deactivate an account; deactivating ends its sessions.

    Return whether it changed. Raises :class:`~accounts.errors.LastSuperuser`.
    """
    with transaction.atomic():
        if not is_active:
            require_superuser_left(accounts=[user])
        rows = type(user)._default_manager.filter(pk=user.pk).exclude(is_active=is_active)
        if not rows.update(is_active=is_active):
            return False
        kind = events.USER_ACTIVATED if is_active else events.USER_DEACTIVATED
        emit(kind, actor=by, target=target_of(user))
        if not is_active:
            codes.void(user_id=user.pk)
            pending.end_access(user, reason=DEACTIVATED)
    return True


def conclude_password_set(*, user: AbstractBaseUser) -> None:
    """End the sessions of an account whose password staff have set, and mail its owner."""
    with transaction.atomic():
        locked = type(user)._default_manager.select_for_update().get(pk=user.pk)
        if is_password_usable(locked.password):
            history.record(account=locked, now=timezone.now())
        pending.end_access(user, reason="password_set_by_staff")
        emit(events.PASSWORD_SET_BY_STAFF, target=target_of(user))
        mails.queue("password_set_notice", user_id=user.pk)


def send_reset(*, user: AbstractBaseUser, by: Any = None) -> bool:
    """End an account's password and sessions, and mail its owner a code for a new one.

    Return whether it was done: nobody is left without a password who cannot be mailed. Second
    factors stay, and no limit of strangers' mails counts: staff stand behind this one.
    """
    if not user.is_active or not getattr(user, user.get_email_field_name(), ""):
        return False
    with transaction.atomic():
        history.keep_present(account=user, now=timezone.now())
        user.set_unusable_password()
        user.save(update_fields=["password"])
        codes.void(user_id=user.pk)
        pending.end_access(user, reason="reset_by_staff")
        emit(events.PASSWORD_RESET_SENT, actor=by, target=target_of(user))
        mails.queue("reset_by_staff", user_id=user.pk)
    return True


def end_sessions_of(*, user: AbstractBaseUser, by: Any = None) -> bool:  # noqa: ARG001 - as the others; the request's actor is in the event
    """End an account's sessions and half-done sign-ins; return whether there was a session."""
    with transaction.atomic():
        return bool(pending.end_access(user, reason="ended_by_staff"))


def mark_email_verified(*, user: User, by: Any = None, now: datetime | None = None) -> bool:
    """Take staff's word that the address is the person's; return whether it was unverified."""
    with transaction.atomic():
        rows = type(user)._default_manager.filter(pk=user.pk, email_verified_at__isnull=True)
        if not rows.update(email_verified_at=now or timezone.now()):
            return False
        emit(events.EMAIL_VERIFIED, actor=by, target=target_of(user), data={"by": "staff"})
    return True
