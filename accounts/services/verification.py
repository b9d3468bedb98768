"""Proving an address by the code that was mailed to it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import is_password_usable
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import codes, events, lockout, mails
from accounts.attempt import target_of
from accounts.conf import settings
from accounts.errors import CodeExpired, CodeInvalid, LockedOut
from accounts.models.mailed_code import Purpose
from accounts.user_model import find_account
from garrison.events import emit

if TYPE_CHECKING:
    from accounts.models import MailedCode, User

MAIL_WINDOW = timedelta(hours=1)


def verify_code(
    *, email: str, purpose: Purpose, code: str, now: datetime
) -> tuple[Any, MailedCode]:
    """Return the account and the row of a right code; a refusal is an event, and is raised.

    An unknown address takes the same statements as a wrong code: it is asked for by a key that
    nobody has.
    """
    user = find_account(email)
    user_id = user.pk if user is not None else _nobody()
    try:
        return user, codes.verify(user_id=user_id, purpose=purpose, code=code, now=now)
    except (CodeInvalid, CodeExpired) as refusal:
        reason = {"reason": refusal.code, "purpose": str(purpose)}
        emit(events.CODE_REFUSED, target=target_of(user), data=reason, now=now)
        raise


def may_mail(*, user: User, now: datetime) -> bool:
    """Return whether strangers may make the site mail this person once more; counts the mail.

    The limit is the account's, whatever the address the requests come from: nobody's mailbox is
    flooded through us.
    """
    bucket = lockout.Bucket(f"mail:{user.pk}", settings.mails_per_hour)
    try:
        lockout.reserve(buckets=[bucket], now=now, window=MAIL_WINDOW)
    except LockedOut:  # no lock of anybody's: the hour's mails are used up
        return False
    return True


def send_new_code(*, user: User, now: datetime) -> None:
    """Replace the live code by a new one, and mail it after the commit; within the mail limit."""
    if not may_mail(user=user, now=now):
        return
    code = codes.issue(user_id=user.pk, purpose=Purpose.VERIFY_EMAIL, now=now)
    choose_password = not is_password_usable(user.password)
    mails.send("verification_code", address=user.email, code=code, choose_password=choose_password)


def resend_code(*, email: str, now: datetime | None = None) -> None:
    """Mail a fresh code where the address waits for one; do nothing otherwise, and report nothing.

    Takes longer where there is something to mail, so a view runs it in the background.
    """
    user = find_account(email)
    if user is None or user.is_email_verified or not user.is_active:  # type: ignore[attr-defined]
        return
    with transaction.atomic():
        send_new_code(user=user, now=now or timezone.now())  # type: ignore[arg-type]


@sensitive_variables("code")
def verify_email(*, email: str, code: str, now: datetime | None = None) -> None:
    """Take the code as proof of the address.

    Raises :class:`~accounts.errors.CodeInvalid`, alike for a wrong code and an unknown address, or
    :class:`~accounts.errors.CodeExpired`. A try counts even where the request fails.
    """
    now = now or timezone.now()
    user, row = verify_code(email=email, purpose=Purpose.VERIFY_EMAIL, code=code, now=now)
    with transaction.atomic():
        codes.use_up(row)
        type(user)._default_manager.filter(pk=user.pk).update(email_verified_at=now)
        emit(events.EMAIL_VERIFIED, actor=user, target=target_of(user), data={"by": "code"})


def _nobody() -> Any:
    key = get_user_model()._meta.pk
    return key.get_default() or 0
