"""The mails of accounts.

Called after the commit. A mail server that is down or slow is an operator's problem and not a
client's: the failure is logged, and the answer is the same.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.conf import settings
from garrison import context

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger("accounts.mails")


@sensitive_variables("code")
def send_code(*, address: str, code: str, choose_password: bool = False) -> None:
    """Mail a verification code."""
    _send(
        "verification_code",
        subject=f"Your code for {settings.site_name}",
        address=address,
        values={
            "code": code,
            "minutes": settings.code_seconds // 60,
            "choose_password": choose_password,
        },
    )


@sensitive_variables("code")
def send_reset_code(*, address: str, code: str) -> None:
    """Mail a code for choosing a new password."""
    _send(
        "reset_code",
        subject=f"Choose a new password for {settings.site_name}",
        address=address,
        values={"code": code, "minutes": settings.code_seconds // 60},
    )


def send_password_notice(*, address: str, by_code: bool) -> None:
    """Tell somebody that their password was changed, by a mailed code or by the present one."""
    _send(
        "password_notice",
        subject=f"Your password for {settings.site_name} was changed",
        address=address,
        values={"by_code": by_code},
    )


def send_registration_notice(*, address: str) -> None:
    """Tell the owner of an account that somebody tried to register with its address."""
    _send(
        "registration_notice",
        subject=f"You already have an account at {settings.site_name}",
        address=address,
        values={},
    )


@sensitive_variables("values", "body")
def _send(template: str, *, subject: str, address: str, values: Mapping[str, Any]) -> None:
    known = context.current()
    about = {
        "site_name": settings.site_name,
        "ip": known.ip,
        "at": known.started_at or timezone.now(),
    }
    body = render_to_string(f"accounts/mail/{template}.txt", {**about, **values})
    try:
        EmailMessage(subject=subject, body=body, to=[address]).send()
    except Exception as failure:  # noqa: BLE001 - whatever a mail backend raises
        # The class only: a mail server's answer may hold the address, and a traceback the code.
        logger.error(  # noqa: TRY400
            "The mail %s could not be sent: %s.", template, type(failure).__name__
        )
