"""Mailed codes: made, kept as a digest, and guessed at no more than the row allows.

A code that proves an address has six digits, and stands five guesses. One that opens an account has
ten characters, 50 bits, because strangers can have fresh ones mailed, and guess, for as long as
they like. Were five guesses all it stood, they would void every code before its owner had read the
mail; so its guesses are counted for each address and each trusted device, and not for the account.

Guessing from many addresses stays hopeless. An address has 5 guesses in 15 minutes, and at most
four codes of an account are alive at once. With 1,000 addresses that is 480,000 guesses a day, at
2**50 = 1.1e15 codes: one chance in 586 million a day, or 1.1 million years for an even chance. With
a million addresses, and a site that answers 5,556 guesses a second, it is 1,100 years.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import F
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.debug import sensitive_variables

from accounts import lockout
from accounts.conf import settings
from accounts.errors import CodeExpired, CodeInvalid
from accounts.models import MailedCode
from accounts.models.mailed_code import Purpose
from garrison.keys import site_secrets

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

_SALT = "accounts.codes"
_LOOK_ALIKES = str.maketrans("OIL", "011")  # Crockford's base 32 has none of the three, nor U


@dataclass(frozen=True, slots=True)
class Form:
    """How codes of one purpose look; ``group`` is how many characters stand before a hyphen."""

    alphabet: str
    length: int
    group: int

    @property
    def is_guessable(self) -> bool:
        """Return whether a code stands only so many guesses in all (NIST SP 800-63B-4 §3.2.2)."""
        return math.log2(len(self.alphabet)) * self.length < 40  # bits

    def make(self) -> str:
        """Return a fresh one, as it is mailed."""
        code = "".join(secrets.choice(self.alphabet) for _ in range(self.length))
        return "-".join(code[at : at + self.group] for at in range(0, self.length, self.group))

    @sensitive_variables()
    def read(self, typed: str) -> str | None:
        """Get what was typed without what people add or confuse; ``None`` where it is no code."""
        code = "".join(typed.split()).replace("-", "").upper().translate(_LOOK_ALIKES)
        is_code = len(code) == self.length and all(c in self.alphabet for c in code)
        return code if is_code else None


OPENING = Form("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 10, group=5)  # 50 bits
FORMS = {
    Purpose.VERIFY_EMAIL: Form("0123456789", 6, group=6),
    Purpose.RESET_PASSWORD: OPENING,
    Purpose.UNLOCK: OPENING,
}


@sensitive_variables("code")
def _digests(*, user_id: Any, purpose: Purpose, code: str) -> list[str]:
    """Return the digest under each secret of the site, the one in use first."""
    bound = f"{purpose}:{user_id}:{code}"
    return [
        salted_hmac(_SALT, bound, secret=secret, algorithm="sha256").hexdigest()
        for secret in site_secrets()
    ]


@sensitive_variables("code")
def issue(*, user_id: Any, purpose: Purpose, now: datetime, number: int = 0) -> str:
    """Make a code and store its digest; an earlier one of this number is void from now on."""
    code = FORMS[purpose].make()
    row = MailedCode(
        user_id=user_id,
        purpose=purpose,
        number=number,
        digest=_digests(user_id=user_id, purpose=purpose, code=code.replace("-", ""))[0],
        expires_at=now + timedelta(seconds=settings.code_seconds),
    )
    MailedCode.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["user", "purpose", "number"],
        update_fields=["digest", "tries", "expires_at"],
    )
    return code


@sensitive_variables("code")
def verify(
    *, user_id: Any, purpose: Purpose, code: str, now: datetime, guesser: str = ""
) -> MailedCode:
    """Return the row whose code this is, or raise :class:`CodeInvalid` or :class:`CodeExpired`.

    A try is taken first, by one statement that decides in the row: of any number of guesses at the
    same time, five are compared. It must commit at once. For codes that open an account, it is a
    try of the ``guesser`` (a name and where the request comes from), and
    :class:`~accounts.errors.LockedOut` is raised where none is left. ``CodeExpired`` is said of the
    right code only, so it tells a stranger nothing. A user id that nobody has takes the same
    statements.
    """
    form = FORMS[purpose]
    read = form.read(code)
    if read is None:
        raise CodeInvalid
    rows = MailedCode.objects.filter(user_id=user_id, purpose=purpose)
    was_allowed = True
    if form.is_guessable:
        untried = rows.filter(tries__lt=settings.code_tries)
        was_allowed = bool(untried.update(tries=F("tries") + 1))
    else:
        bucket = lockout.Bucket(f"code:{purpose}:{guesser}", settings.code_tries)
        lockout.reserve(buckets=[bucket], now=now)
    digests = _digests(user_id=user_id, purpose=purpose, code=read)
    live = list(rows)  # as many statements where no try is left, or nobody has the name
    if not was_allowed:
        raise CodeInvalid
    right = [row for row in live if any(constant_time_compare(d, row.digest) for d in digests)]
    if not right:
        raise CodeInvalid
    if right[0].is_expired(now=now):
        raise CodeExpired
    return right[0]


def use_up(row: MailedCode) -> None:
    """Delete the code that was right; raise :class:`CodeInvalid` where it is gone by now."""
    if not MailedCode.objects.filter(pk=row.pk, digest=row.digest).delete()[0]:
        raise CodeInvalid


def void(*, user_id: Any, purposes: Collection[Purpose] = tuple(Purpose)) -> None:
    """Delete live codes: what they prove is no longer what it was when they were sent."""
    MailedCode.objects.filter(user_id=user_id, purpose__in=purposes).delete()
