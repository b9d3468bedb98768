"""Whether events can be stored, and stay as they are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.utils import timezone

from audit import append_only, rollups
from audit.chain_status import chain_status
from audit.checkpoints import copies
from audit.checkpoints.signing import signers
from audit.errors import AuditKeysUnusable
from audit.models import SecurityEvent
from audit.sealing.keyring import keyring
from garrison import health
from garrison.health import CheckResult, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audit.chain_status import ChainStatus

LATE = timedelta(minutes=15)


@health.register("audit")
def evidence() -> CheckResult:
    """Look for the triggers, try to add a row, and look how far counting has come."""
    if missing := append_only.missing(connection):
        return CheckResult(
            Status.UNHEALTHY,
            f"Events can be changed: {', '.join(missing)} is missing. "
            "Run `manage.py audit_protect`, and find out who removed it.",
        )
    with transaction.atomic():
        SecurityEvent.objects.create(kind="audit.health.tried")
        transaction.set_rollback(True)
    until = rollups.counted_until()
    if until and timezone.now() - until > LATE:
        return CheckResult(
            Status.DEGRADED,
            f"Events are counted until {until:%Y-%m-%d %H:%M} UTC only. "
            "Start Celery, or run `manage.py audit_count`.",
        )
    return CheckResult(Status.HEALTHY)


@health.register("audit chain")
def chain() -> CheckResult:
    """Look how far sealing is behind, and when the chain was last signed and verified."""
    try:
        keyring()
        signers()
    except AuditKeysUnusable as problem:
        return CheckResult(Status.UNHEALTHY, str(problem))
    known = chain_status(now=timezone.now())
    if known.is_broken:
        return CheckResult(Status.UNHEALTHY, known.detail or "")
    late = " ".join(_overdue(known))
    return CheckResult(Status.DEGRADED, late) if late else CheckResult(Status.HEALTHY)


def _overdue(known: ChainStatus) -> Iterator[str]:
    signed, verified = known.signed_at, known.verified_at
    if known.is_late:
        yield (
            f"Events since {known.waiting_since:%Y-%m-%d %H:%M} UTC have no seal. "
            "Start Celery's beat, or run `manage.py audit_seal`."
        )
    if known.is_unsigned:
        when = f"of {signed:%Y-%m-%d %H:%M} UTC" if signed else "missing"
        yield f"The last checkpoint is {when}. Start Celery, or run `manage.py audit_checkpoint`."
    elif signed and not known.stored_as and copies.storage():
        yield "The last checkpoint has no copy outside the database; look at the log."
    if known.is_unverified:
        when = f"last verified {verified:%Y-%m-%d %H:%M} UTC" if verified else "never verified"
        yield f"The audit log was {when}. Start Celery, or run `manage.py audit_verify`."
    if known.is_indeterminate and known.detail:
        yield known.detail
