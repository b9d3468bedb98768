"""What a restore drill checks of audit: the chain verifies in the restored copy."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from audit.keys import instant_of
from audit.models import EventSeal, SecurityEvent
from audit.verification.report import Verdict
from audit.verification.verify import Question, verify
from garrison import drills
from garrison.drills import DrillResult

if TYPE_CHECKING:
    from datetime import datetime

    from garrison.drills import Restored

SEALED_WITHIN = timedelta(days=1)  # the nightly run seals what came late


@drills.register("audit")
def chain_verifies(restored: Restored) -> DrillResult:
    """Verify every seal and the checkpoints of the copy; only its own data counts.

    What had no seal yet when the copy was made is told and is no fault, unless it happened a day
    before the newest sealed event: then the sealer had passed it over, or it was written in.
    """
    report = verify(Question(now=timezone.now(), using=restored.using, unsealed_after=None))
    if newest := _newest_sealed(restored.using):
        old = SecurityEvent.objects.using(restored.using).before(newest - SEALED_WITHIN)
        if count := old.filter(seal__isnull=True).count():
            sentence = f"{count:,} events have no seal, although others a day younger have."
            report.add("unsealed", sentence)
    sentence = " ".join([report.summary(), *report.remarks[:3]])
    is_whole = report.verdict is not Verdict.BROKEN
    return DrillResult(is_whole, report.looked_at, sentence)


def _newest_sealed(using: str) -> datetime | None:
    newest = EventSeal.objects.using(using).order_by("-event_id").first()
    # An event may be dated in the future, where a clock was wrong.
    return min(instant_of(newest.event_id), newest.sealed_at) if newest else None
