"""The mails of accounts, each sent after the commit.

A mail server that is down or slow is an operator's problem and not a client's: the failure is
logged, and the answer is the same.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.conf import settings
from garrison import context

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger("accounts.mails")

SUBJECTS = {  # by the name of the template
    "verification_code": "Your code for {site}",
    "reset_code": "Choose a new password for {site}",
    "password_notice": "Your password for {site} was changed",
    "registration_notice": "You already have an account at {site}",
}


@sensitive_variables("values")
def send(template: str, *, address: str, **values: Any) -> None:
    """Send one of :data:`SUBJECTS` after the commit, with what its template asks for."""

    def after_commit() -> None:  # Django names it in its log, which a partial would not survive
        _send(template, address=address, values=values)

    transaction.on_commit(after_commit, robust=True)


@sensitive_variables("values", "body")
def _send(template: str, *, address: str, values: Mapping[str, Any]) -> None:
    known = context.current()
    about = {
        "site_name": settings.site_name,
        "ip": known.ip,
        "at": known.started_at or timezone.now(),
        "minutes": settings.code_seconds // 60,
    }
    subject = SUBJECTS[template].format(site=settings.site_name)
    body = render_to_string(f"accounts/mail/{template}.txt", {**about, **values})
    try:
        EmailMessage(subject=subject, body=body, to=[address]).send()
    except Exception as failure:  # noqa: BLE001 - whatever a mail backend raises
        # The class only: a mail server's answer may hold the address, and a traceback the code.
        logger.error(  # noqa: TRY400
            "The mail %s could not be sent: %s.", template, type(failure).__name__
        )
