"""Six-digit codes: made, kept as a digest, and guessed at no more than the row allows."""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import F
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.debug import sensitive_variables

from accounts.conf import settings
from accounts.errors import CodeExpired, CodeInvalid
from accounts.models import MailedCode
from accounts.models.mailed_code import Purpose

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

SIX_DIGITS = re.compile(r"[0-9]{6}", re.ASCII)
_SALT = "accounts.codes"


@sensitive_variables("code")
def _digest(*, user_id: Any, purpose: Purpose, code: str) -> str:
    bound = f"{purpose}:{user_id}:{code}"
    return salted_hmac(_SALT, bound, algorithm="sha256").hexdigest()


@sensitive_variables("code")
def issue(*, user_id: Any, purpose: Purpose, now: datetime) -> str:
    """Make a code and store its digest; an earlier one for this purpose is void from now on."""
    code = f"{secrets.randbelow(1_000_000):06}"
    row = MailedCode(
        user_id=user_id,
        purpose=purpose,
        digest=_digest(user_id=user_id, purpose=purpose, code=code),
        expires_at=now + timedelta(seconds=settings.code_seconds),
    )
    MailedCode.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["user", "purpose"],
        update_fields=["digest", "tries", "expires_at"],
    )
    return code


@sensitive_variables("code")
def judge(*, user_id: Any, purpose: Purpose, code: str, now: datetime) -> MailedCode:
    """Give the row whose code this is, or raise :class:`CodeInvalid` or :class:`CodeExpired`.

    A try is taken first, by one conditional ``UPDATE``: of any number of guesses at the same time,
    five are compared. It must commit at once. ``CodeExpired`` is said of the right code only, so it
    tells a stranger nothing. A user id that nobody has takes the same statements.
    """
    if not SIX_DIGITS.fullmatch(code):
        raise CodeInvalid
    rows = MailedCode.objects.filter(user_id=user_id, purpose=purpose)
    was_allowed = rows.filter(tries__lt=settings.code_tries).update(tries=F("tries") + 1)
    row = rows.first()
    if not was_allowed or row is None:
        raise CodeInvalid
    if not is_same(_digest(user_id=user_id, purpose=purpose, code=code), row.digest):
        raise CodeInvalid
    if row.is_expired(now=now):
        raise CodeExpired
    return row


def use_up(row: MailedCode) -> None:
    """Delete the code that was judged right; raise :class:`CodeInvalid` where it is gone by now."""
    if not MailedCode.objects.filter(pk=row.pk, digest=row.digest).delete()[0]:
        raise CodeInvalid


def void(*, user_id: Any, purposes: Collection[Purpose] = tuple(Purpose)) -> None:
    """Delete live codes: what they prove is no longer what it was when they were sent."""
    MailedCode.objects.filter(user_id=user_id, purpose__in=purposes).delete()


def is_same(digest: str, stored: str) -> bool:
    """Compare in constant time."""
    return constant_time_compare(digest, stored)
