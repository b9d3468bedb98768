"""How anything security-relevant is reported.

An app declares its kinds as constants in its ``events.py`` and reports them with :func:`emit`. The
emitter knows no listener. A kind says two things: its **outcome**, which is what happened, and its
**delivery**, which is when listeners run:

* ``with_change``: at once, inside the caller's transaction, so that the event commits with the
  change it describes or not at all.
* ``after_rollback``: when the request (or the Celery task) has ended its transactions, so that the
  event survives the rollback of what was refused or failed.
"""

from __future__ import annotations

import difflib
import enum
import functools
import logging
import re
import sys
import uuid
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from garrison import context as request_context
from garrison import deferral
from garrison.errors import ConfigurationError, EventNotRecorded
from garrison.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime

    from garrison.context import RequestContext

logger = logging.getLogger("garrison.events")

KIND_NAME = re.compile(r"^[a-z_]+(\.[a-z_]+){2}$")


class Severity(enum.IntEnum):
    """How soon somebody must look, whoever caused it; the numbers are OCSF's ``severity_id``.

    * INFO: expected; nobody needs to look.
    * LOW: one refusal, or routine work of staff; telling only in number.
    * MEDIUM: what protects somebody was changed or refused in earnest; look at the next review.
    * HIGH: a protection is gone, somebody gained power over others, or probably acts in another's
      name; look today.
    * CRITICAL: evidence is false, or no backup restores: what everything else rests on; look now.
    """

    INFO = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


class Outcome(enum.StrEnum):
    """What happened: something was done, could not be done, or was not allowed."""

    SUCCESS = "success"
    FAILURE = "failure"
    REFUSED = "refused"


class Delivery(enum.StrEnum):
    """When listeners run: within the caller's transaction, or after it, whatever became of it."""

    WITH_CHANGE = "with_change"
    AFTER_ROLLBACK = "after_rollback"


# A failure is recorded with a change of state as often as it ends in a rollback: its kind says so.
_USUAL_DELIVERY = {
    Outcome.SUCCESS: Delivery.WITH_CHANGE,
    Outcome.REFUSED: Delivery.AFTER_ROLLBACK,
}


@dataclass(frozen=True, slots=True)
class EventKind:
    """A constant naming one kind of event: ``app.subject.past_participle``.

    Creating one registers it; two kinds of one name are a mistake and raise. ``description`` is one
    sentence for ``docs/events.md`` and the dashboard. A success is delivered with its change and a
    refusal after the rollback, unless ``delivery`` says otherwise; a failure must say which.
    """

    name: str
    severity: Severity
    description: str
    outcome: Outcome = Outcome.SUCCESS
    delivery: Delivery = None  # type: ignore[assignment]  # filled in below

    def __post_init__(self) -> None:
        """Fill in the usual delivery; refuse a malformed or repeated name, an unclear delivery."""
        delivery = self.delivery or _USUAL_DELIVERY.get(self.outcome)
        if delivery is None:
            raise ConfigurationError(
                f"Event kind {self.name!r} is a {self.outcome}: add delivery=."
            )
        object.__setattr__(self, "delivery", delivery)
        if not KIND_NAME.match(self.name):
            raise ConfigurationError(
                f"Event kind {self.name!r} is not app.subject.past_participle."
            )
        # Behind the generated __init__ is the module that declares it.
        KINDS.add(self.name, self, source=sys._getframe(2).f_globals["__name__"])

    def __str__(self) -> str:
        """Return the name."""
        return self.name


KINDS: Registry[EventKind] = Registry("event kind")


def kinds() -> dict[str, EventKind]:
    """Every declared kind by name, as far as its app's ``events`` has been imported."""
    return dict(KINDS.items())


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """What listeners receive.

    ``at`` is aware, in UTC; ``actor_id`` and ``actor_label`` are a snapshot, so the event outlives
    the account; ``target`` is text such as ``session:6f0c…``; ``data`` holds JSON types and never a
    secret.
    """

    kind: EventKind
    severity: Severity
    at: datetime
    context: RequestContext
    actor_id: str | None = None
    actor_label: str = ""
    target: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    id: uuid.UUID = field(default_factory=uuid.uuid4)


security_event = Signal()
"""Sent once for each event with ``event=SecurityEvent``; connect a :func:`listener`."""


def emit(  # noqa: PLR0913 - an event has these parts, by keyword
    kind: EventKind,
    *,
    actor: Any = None,
    target: str = "",
    data: Mapping[str, Any] | None = None,
    severity: Severity | None = None,
    now: datetime | None = None,
) -> SecurityEvent:
    """Report that something happened, failed or was refused.

    ``actor`` is a user object or ``None`` (then the request context's actor is used);
    ``severity`` raises or lowers the kind's own. What is delivered with its change raises
    :class:`~garrison.errors.EventNotRecorded` where a listener must record it and cannot; what is
    delivered after the rollback never raises.
    """
    known = request_context.current()
    event = SecurityEvent(
        kind=kind,
        severity=severity or kind.severity,
        at=now or timezone.now(),
        context=known,
        actor_id=str(actor.pk) if actor is not None and actor.pk else known.actor_id,
        actor_label=str(actor) if actor is not None else "",
        target=target,
        data=dict(data or {}),
    )
    if kind.delivery is Delivery.WITH_CHANGE:
        security_event.send(sender=EventKind, event=event)
    else:
        deferral.defer(functools.partial(_send, event))
    return event


def _send(event: SecurityEvent) -> None:
    try:
        with request_context.bound(event.context):  # the request itself has ended by now
            security_event.send(sender=EventKind, event=event)
    except Exception:  # what was refused stays refused; losing the answer would help nobody
        logger.exception("%s (event %s) could not be recorded.", event.kind, event.id)


_referred: dict[str, set[str]] = {}


def kind_name(name: str, *, used_by: str) -> str:
    """Return the name of a kind that another app declares; ``used_by`` is your ``__name__``.

    The check ``garrison.E006`` reports a name that an installed app should declare and does not.
    """
    _referred.setdefault(name, set()).add(used_by)
    return name


def undeclared(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names that nobody declares although their app is here, each with its likeliest.

    An app is here when it declares any kind; a name of one that is not installed is fine.
    """
    declared = kinds()
    apps = {name.partition(".")[0] for name in declared}
    return {
        name: difflib.get_close_matches(name, declared, n=3)
        for name in names
        if name not in declared
        and difflib.get_close_matches(name.partition(".")[0], apps, n=1, cutoff=0.85)
    }


def referred() -> dict[str, set[str]]:
    """Return every name given to :func:`kind_name` or :func:`listener`, and where."""
    return _referred


def listener(
    receiver: Callable[[SecurityEvent], None],
    *,
    must_record: Callable[[], bool] = lambda: False,
    writes: bool = True,
    kinds: Collection[str] | None = None,
) -> Callable[..., None]:
    """Turn a function of one event into a receiver that cannot poison its caller.

    It runs in a savepoint of its own. When it fails, the failure is logged and the caller goes on,
    unless ``must_record()`` is true: then an event that is delivered with its change raises
    :class:`~garrison.errors.EventNotRecorded`, and the change is rolled back with it. One that
    never touches the database says ``writes=False``, and one that hears of some ``kinds`` only
    names them (checked like :func:`kind_name`): neither costs every event a savepoint.
    """
    guard: Callable[[], Any] = transaction.atomic if writes else nullcontext
    for name in kinds or ():
        kind_name(name, used_by=receiver.__module__)

    def receive(*, event: SecurityEvent, **_: object) -> None:
        if kinds is not None and event.kind.name not in kinds:
            return
        try:
            with guard():
                receiver(event)
        except Exception as failure:
            logger.exception("Listener %s failed on %s.", receiver.__qualname__, event.kind)
            if must_record() and event.kind.delivery is Delivery.WITH_CHANGE:
                raise EventNotRecorded(
                    f"The event {event.kind} could not be stored. Look at the log for the cause; "
                    "AUDIT_ON_FAILURE decides whether changes go on without it."
                ) from failure

    # Not functools.wraps: with DEBUG on, Django looks through it for a **kwargs of the receiver's.
    receive.__doc__, receive.__module__ = receiver.__doc__, receiver.__module__
    receive.__qualname__ = receiver.__qualname__
    return receive
