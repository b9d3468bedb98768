"""Whether a password is right, found out at one cost for everybody."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth.hashers import get_hashers, identify_hasher, is_password_usable
from django.views.decorators.debug import sensitive_variables

from accounts.password.hashers import hashing_slot
from accounts.password.rules import LONGEST_PASSWORD, is_encodable

if TYPE_CHECKING:
    from django.contrib.auth.hashers import BasePasswordHasher

logger = logging.getLogger("accounts.password")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the password is right, and whether its stored hash is to be renewed."""

    is_right: bool
    is_outdated: bool = False


@sensitive_variables()
def verify(password: str, encoded: str | None) -> Verdict:
    """Compare a password with a stored hash, or with nothing where there is no account.

    Every hasher in ``PASSWORD_HASHERS`` works once, the stored hash's own on the stored hash and
    each other one on a fresh salt. So an unknown name, an unusable password and a hash of an older
    algorithm cost the same, and the time of an answer tells nobody who has which. A site with one
    hasher pays for one. Raises :class:`~accounts.errors.HashingBusy`, for an unknown name alike.
    """
    own = _hasher_of(encoded)
    is_possible = len(password) <= LONGEST_PASSWORD and is_encodable(password)
    password = password if is_possible else ""
    is_right = False
    with hashing_slot():
        for hasher in get_hashers():
            if own is not None and hasher.algorithm == own.algorithm:
                is_right = _compare(hasher, password, str(encoded))
            else:
                hasher.encode(password, hasher.salt())
    if own is None or not is_possible or not is_right:
        return Verdict(is_right=False)
    return Verdict(is_right=True, is_outdated=_is_outdated(own, str(encoded)))


def _hasher_of(encoded: str | None) -> BasePasswordHasher | None:
    if not encoded or not is_password_usable(encoded):
        return None
    try:
        return identify_hasher(encoded)
    except ValueError:  # a hash of an algorithm that PASSWORD_HASHERS does not list
        logger.warning("A stored password hash is of an algorithm PASSWORD_HASHERS lacks.")
        return None


def _compare(hasher: BasePasswordHasher, password: str, encoded: str) -> bool:
    try:
        is_right = hasher.verify(password, encoded)
        if hasher.must_update(encoded):
            # A hash with a lower work factor must not answer sooner.
            hasher.harden_runtime(password, encoded)
    except (ValueError, AssertionError):
        logger.exception("A stored password hash is damaged; its owner cannot sign in.")
        return False
    return is_right


def _is_outdated(own: BasePasswordHasher, encoded: str) -> bool:
    preferred = get_hashers()[0]
    return own.algorithm != preferred.algorithm or preferred.must_update(encoded)
