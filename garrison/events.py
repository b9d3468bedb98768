"""How anything security-relevant is said.

An app declares its kinds as constants in its ``events.py`` and says them with :func:`emit`. The
emitter knows no listener. Two rules decide when listeners run:

* A **success** describes a change: listeners run at once, inside the caller's transaction, so the
  event commits with the change or not at all.
* A **refusal** must survive the rollback of what was refused: it is kept until the request (or the
  Celery task) has ended its transactions, and only then given to the listeners.
"""

from __future__ import annotations

import enum
import functools
import logging
import re
import threading
import uuid
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.dispatch import Signal
from django.utils import timezone

from garrison import context as request_context
from garrison.errors import ConfigurationError, EventNotRecorded

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import datetime

    from garrison.context import RequestContext

logger = logging.getLogger("garrison.events")

KIND_NAME = re.compile(r"^[a-z_]+(\.[a-z_]+){2}$")


class Severity(enum.IntEnum):
    """How much it matters; the numbers are OCSF's ``severity_id``."""

    INFO = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


class Outcome(enum.StrEnum):
    """Whether a change happened or was refused; decides when listeners run."""

    SUCCESS = "success"
    REFUSED = "refused"


_kinds: dict[str, EventKind] = {}


@dataclass(frozen=True, slots=True)
class EventKind:
    """A constant naming one kind of event: ``app.subject.past_participle``.

    Creating one registers it; two kinds of one name are a mistake and raise. ``description`` is one
    sentence for ``docs/events.md`` and the dashboard.
    """

    name: str
    severity: Severity
    description: str
    outcome: Outcome = Outcome.SUCCESS

    def __post_init__(self) -> None:
        """Refuse a malformed or repeated name."""
        if not KIND_NAME.match(self.name):
            raise ConfigurationError(
                f"Event kind {self.name!r} is not app.subject.past_participle."
            )
        if self.name in _kinds and _kinds[self.name] != self:
            raise ConfigurationError(f"Event kind {self.name!r} is declared twice.")
        _kinds[self.name] = self

    def __str__(self) -> str:
        """Return the name."""
        return self.name


def kinds() -> dict[str, EventKind]:
    """Every declared kind by name, as far as its app's ``events`` has been imported."""
    return dict(sorted(_kinds.items()))


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

_kept: ContextVar[list[SecurityEvent] | None] = ContextVar("garrison_kept_refusals", default=None)


def emit(  # noqa: PLR0913 - an event has these parts, by keyword
    kind: EventKind,
    *,
    actor: Any = None,
    target: str = "",
    data: Mapping[str, Any] | None = None,
    severity: Severity | None = None,
    now: datetime | None = None,
) -> SecurityEvent:
    """Say that something happened, or was refused.

    ``actor`` is a user object or ``None`` (then the request context's actor is used);
    ``severity`` raises or lowers the kind's own. A success raises
    :class:`~garrison.errors.EventNotRecorded` where a listener must record it and cannot; a refusal
    never raises.
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
    if kind.outcome is Outcome.SUCCESS:
        security_event.send(sender=EventKind, event=event)
    else:
        _keep_or_send(event)
    return event


def _keep_or_send(event: SecurityEvent) -> None:
    kept = _kept.get()
    if kept is not None:
        kept.append(event)
    elif _inside_a_transaction():
        # A rollback would take the refusal with it, so it goes through connections of its own.
        thread = threading.Thread(target=_send_on_fresh_connections, args=(event,))
        thread.start()
        thread.join()
    else:
        _send_refusal(event)


def _inside_a_transaction() -> bool:
    """Return whether the caller holds a transaction that could still be rolled back.

    SQLite has one writer, so a second connection would wait for the first for ever; and a
    ``TestCase`` holds a transaction that nobody else can see into. In both the event is written
    with the caller's own connection.
    """
    open_ones = [c for c in connections.all(initialized_only=True) if c.in_atomic_block]
    return bool(open_ones) and not any(
        c.vendor == "sqlite"
        or any(getattr(block, "_from_testcase", False) for block in c.atomic_blocks)
        for c in open_ones
    )


def _send_on_fresh_connections(event: SecurityEvent) -> None:
    try:
        _send_refusal(event)
    finally:
        connections.close_all()


def _send_refusal(event: SecurityEvent) -> None:
    try:
        security_event.send(sender=EventKind, event=event)
    except Exception:  # the refusal itself already stands; losing the answer would help nobody
        logger.exception("Refusal %s (event %s) could not be recorded.", event.kind, event.id)


@contextmanager
def kept_refusals() -> Iterator[None]:
    """Keep refusals said inside the block, and give them to listeners when it has ended.

    The middleware holds one around every request, and Celery's signals one around every task; a
    management command that works in transactions may hold its own. Inside another such block,
    the refusals pass to the outer one.
    """
    outer = _kept.get()
    kept: list[SecurityEvent] = []
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)
        if outer is not None:
            outer.extend(kept)
        else:
            send_kept(kept)


def open_kept() -> tuple[list[SecurityEvent], Callable[[], None]]:
    """Start keeping refusals without a ``with`` block; for the middleware.

    Returns the list that fills, and a function that stops keeping. The caller then passes the list
    to :func:`send_kept`, where its transactions have ended.
    """
    kept: list[SecurityEvent] = []
    token = _kept.set(kept)
    return kept, functools.partial(_kept.reset, token)


def send_kept(kept: list[SecurityEvent]) -> None:
    """Return each kept refusal to the listeners; a failure is logged, never raised."""
    while kept:
        _send_refusal(kept.pop(0))


def flush_refusals() -> None:
    """Write what the present scope has kept so far; for tests and long-running commands."""
    kept = _kept.get()
    if kept:
        send_kept(kept)


def listener(
    receiver: Callable[[SecurityEvent], None],
    *,
    must_record: Callable[[], bool] = lambda: False,
    writes: bool = True,
    kinds: Collection[EventKind] | None = None,
) -> Callable[..., None]:
    """Turn a function of one event into a receiver that cannot poison its caller.

    It runs in a savepoint of its own. When it fails, the failure is logged and the caller goes on,
    unless ``must_record()`` is true: then a success raises
    :class:`~garrison.errors.EventNotRecorded`, and the change is rolled back with it. One that
    never touches the database says ``writes=False``, and one that hears of some ``kinds`` only
    names them: neither costs every event a savepoint.
    """
    guard: Callable[[], Any] = transaction.atomic if writes else nullcontext

    @functools.wraps(receiver)
    def receive(*, event: SecurityEvent, **_: object) -> None:
        if kinds is not None and event.kind not in kinds:
            return
        try:
            with guard():
                receiver(event)
        except Exception as failure:
            logger.exception("Listener %s failed on %s.", receiver.__qualname__, event.kind)
            if must_record() and event.kind.outcome is Outcome.SUCCESS:
                raise EventNotRecorded(
                    f"The event {event.kind} could not be stored. Look at the log for the cause; "
                    "AUDIT_ON_FAILURE decides whether changes go on without it."
                ) from failure

    return receive
