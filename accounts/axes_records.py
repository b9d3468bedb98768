"""The failures as django-axes records them, where it is installed.

``axes`` knows a name and an address by one row. What its stock handler would store besides, the
posted fields in clear and a row for each user agent, is left empty: evidence is in the event. Its
verdict is the lockout's (:mod:`accounts.axes_handler`), so the two never disagree.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.apps import apps
from django.db.models import Case, F, Value, When

from accounts.conf import settings
from accounts.login_name import fingerprint

if TYPE_CHECKING:
    from datetime import datetime

    from axes.models import AccessAttempt
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.db.models import QuerySet

NO_ADDRESS = "::"  # one row for whoever has no address: SQL holds that no NULL equals another
UNKNOWN = "unknown:"
LONGEST_RECORDED_NAME = 255  # characters, axes.models.AccessBase


def is_installed() -> bool:
    """Return whether there is anything to record in."""
    return apps.is_installed("axes")


def _attempts() -> QuerySet[AccessAttempt]:
    rows: QuerySet[AccessAttempt] = apps.get_model("axes.AccessAttempt")._default_manager.all()
    return rows


def name_of(*, login_name: str, account: AbstractBaseUser | None) -> str:
    """Return the name for the record: the account's own, or a fingerprint where there is none."""
    if account is None:
        return UNKNOWN + fingerprint(login_name)
    return account.get_username()[:LONGEST_RECORDED_NAME]


def record_failure(
    *, login_name: str, account: AbstractBaseUser | None, ip: str | None, now: datetime
) -> None:
    """Count the failure: one statement, and more for the first of a name and address."""
    if not is_installed():
        return
    row = {
        "username": name_of(login_name=login_name, account=account),
        "ip_address": ip or NO_ADDRESS,
        "user_agent": "",
    }
    if not _count_one_more(row, now=now):
        rows = _attempts()
        first = rows.model(**row, get_data="", post_data="", failures_since_start=0)
        rows.bulk_create([first], ignore_conflicts=True)
        _count_one_more(row, now=now)


def _count_one_more(row: dict[str, str], *, now: datetime) -> bool:
    over = now - timedelta(seconds=settings.lockout_window_seconds)
    anew = Case(When(attempt_time__lte=over, then=Value(1)), default=F("failures_since_start") + 1)
    rows = _attempts().filter(**row)
    return bool(rows.update(failures_since_start=anew, attempt_time=now))


def of(*, name: str, ip: str | None = None) -> QuerySet[AccessAttempt]:
    """Return the records of a name as they store it, from one address or from all."""
    rows = _attempts().filter(username=name)
    return rows.filter(ip_address=ip) if ip is not None else rows


def forget(*, account: AbstractBaseUser) -> int:
    """Remove the account's records; return how many there were."""
    if not is_installed():
        return 0
    deleted, _ = of(name=name_of(login_name="", account=account)).delete()
    return int(deleted)


def older_than(moment: datetime) -> QuerySet[AccessAttempt] | None:
    """Return the records that were last added to before that moment; ``None`` without axes."""
    return _attempts().filter(attempt_time__lt=moment) if is_installed() else None
