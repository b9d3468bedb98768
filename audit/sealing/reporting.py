"""What the sealer finds that no process of this site wrote, as events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.events import CHAIN_BROKEN
from audit.models import SecurityEvent
from audit.sealing.encoding import instant
from audit.sealing.rollout import rollout
from audit.verification.links import Reader
from garrison import events

if TYPE_CHECKING:
    from audit.models import EventSeal


@dataclass(slots=True)
class Unattested:
    """Events of a stream without the application's attestation: the last seal, and how many."""

    last: EventSeal
    count: int = 0


def no_event(key: str) -> str:
    """Report what is wrong with a row whose key no event has."""
    return (
        "A row of audit_securityevent was written by no process of this site: no event has a key "
        f"such as {key}. It can have no seal."
    )


def report_unattested(stream: str, found: Unattested) -> None:
    """Report what was sealed without an attestation, but for what is expected while rolling out."""
    last, accepted = found.last, rollout(stream, reader=Reader())
    if any(part.covers(last.seq, instant(last.sealed_at)) for part in accepted):
        return  # a rollout that covers the last one covers all before it
    detail = (
        f"{found.count:,} events of {stream!r} were sealed without this site's attestation, up to "
        f"number {last.seq} (event {last.event_id}): `manage.py audit_verify` names which of them "
        "no process of this site wrote."
    )
    emit_broken(stream=stream, detail=detail, number=last.seq, count=found.count)


def report_without_key(key: str) -> None:
    """Report a row that can have no seal, once."""
    target = f"event:{key}"
    if not SecurityEvent.objects.for_target(target).of_kinds([CHAIN_BROKEN]).exists():
        data = {"detail": no_event(key)}
        events.emit(CHAIN_BROKEN, target=target, data=data)


def emit_broken(*, stream: str, detail: str, **data: object) -> None:
    """Report that the chain does not verify."""
    events.emit(CHAIN_BROKEN, target=f"stream:{stream}", data={"detail": detail, **data})
