"""What a restore drill checks of accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import identify_hasher, is_password_usable

from accounts.login_name import acceptable, fold
from accounts.user_model import missing_fields
from garrison import drills

if TYPE_CHECKING:
    from garrison.drills import DrillResult, Restored

SAMPLE = 1_000  # accounts


@drills.register("accounts")
def people_can_sign_in(restored: Restored) -> DrillResult:
    """Look whether a sample of people would be found by their names and verified by their hashes.

    No password is needed: a name must be one that can be typed, and a hash must be of an algorithm
    that this site lists.
    """
    rows = get_user_model()._default_manager.using(restored.using).order_by("-pk")[:SAMPLE]
    people = list(rows)
    broken = [p for p in people if not (_has_name(p.get_username()) and _has_hash(p.password))]
    return drills.DrillResult(
        is_whole=not broken,
        looked_at=len(people),
        detail=f"{len(people) - len(broken)} of {len(people)} accounts could sign in.",
    )


def _has_name(name: str) -> bool:
    # Only our own model stores names folded; a host's may tell upper from lower case.
    return acceptable(name) is not None and (bool(missing_fields()) or fold(name) == name)


def _has_hash(encoded: str) -> bool:
    if not is_password_usable(encoded):
        return True  # somebody who signs in otherwise, or has to choose a password first
    try:
        identify_hasher(encoded)
    except ValueError:  # of no hasher that is known here: the finding this drill is for
        return False
    return True
