"""Proving an address by the code that was mailed to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts import codes, devices, events, mails
from accounts.attempt import target_of
from accounts.errors import CodeExpired, CodeInvalid, LockedOut
from accounts.login_name import acceptable, fingerprint
from accounts.models.mailed_code import Purpose
from accounts.user_model import find_account
from garrison import client_ip, context
from garrison.events import emit

if TYPE_CHECKING:
    from datetime import datetime

    from accounts.models import MailedCode


def verify_code(
    *, email: str, purpose: Purpose, code: str, device_token: str = "", now: datetime
) -> tuple[Any, MailedCode]:
    """Return the account and the row of a right code; a refusal is an event, and is raised.

    Tries of a code that opens an account are counted for each trusted device and each address.
    An unknown address takes the same statements as a wrong code: it is asked for by a key that
    nobody has.
    """
    user = find_account(email)
    user_id = user.pk if user is not None else _nobody()
    try:
        return user, codes.verify(
            user_id=user_id,
            purpose=purpose,
            code=code,
            now=now,
            guesser=f"{fingerprint(email)}:{_where(email, device_token, now=now)}",
        )
    except (CodeInvalid, CodeExpired, LockedOut) as refusal:
        reason = {"reason": refusal.code, "purpose": str(purpose)}
        emit(events.CODE_REFUSED, target=target_of(user), data=reason, now=now)
        raise


def _where(email: str, device_token: str, *, now: datetime) -> str:
    device = devices.recognise(device_token, login_name=email, now=now)
    return device.pk.hex if device else client_ip.bucket(context.current().ip)


def resend_code(*, email: str) -> None:
    """Mail a fresh code where the address waits for one; nobody else is mailed.

    One statement, whoever it is: the account is looked up when the mail is sent.
    """
    if address := acceptable(email):
        mails.queue("verification_code", address=address)


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
