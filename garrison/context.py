"""Who asks, from where, in which request: one frozen value, carried by a context variable.

The middleware binds it for a request; a Celery task inherits the one of the code that sent it.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADER = "garrison_context"  # the Celery message header
TRACE_HEADER = "traceparent"  # and the one that other software reads
LONGEST_USER_AGENT = 512
TEXTS = (
    "request_id",
    "ip",
    "user_agent",
    "actor_id",
    "session_id",
    "trace_id",
    "trace_flags",
)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What is known of the present request or task.

    ``ip`` is canonical text or ``None``; ``actor_id`` the user's key as text once they are known;
    ``session_id`` the tracked session's UUID as text; ``started_at`` is aware, in UTC;
    ``trace_id`` and ``trace_flags`` are those of W3C Trace Context, 32 and 2 hex digits.
    """

    request_id: str = ""
    ip: str | None = None
    user_agent: str = ""
    actor_id: str | None = None
    session_id: str | None = None
    started_at: datetime | None = None
    trace_id: str = ""
    trace_flags: str = "00"


_EMPTY = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("garrison_request_context", default=_EMPTY)


def current() -> RequestContext:
    """Return the bound context, or an empty one outside any request or task."""
    return _current.get()


@contextmanager
def bound(context: RequestContext) -> Iterator[RequestContext]:
    """Bind the context for a block."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def learn(*, actor_id: str | None = None, session_id: str | None = None) -> None:
    """Add what authentication found out; a value once known is kept when none is given.

    Outside any request or task there is nothing to add to: nobody would take it away again.
    """
    known = _current.get()
    if known is _EMPTY:
        return
    _current.set(
        replace(
            known,
            actor_id=actor_id or known.actor_id,
            session_id=session_id or known.session_id,
        )
    )


def new_request_id() -> str:
    """Return a fresh, unguessable id: 32 lower-case hex digits."""
    return uuid.uuid4().hex


def traceparent(context: RequestContext) -> str:
    """Return the field that names us as the parent (W3C Trace Context 1), or nothing without one.

    Each call makes up another span: we record none ourselves.
    """
    if not context.trace_id:
        return ""
    return f"00-{context.trace_id}-{uuid.uuid4().hex[16:]}-{context.trace_flags}"


def to_header(context: RequestContext) -> dict[str, Any]:
    """Flatten for a Celery header: JSON types only."""
    fields = asdict(context)
    fields["started_at"] = context.started_at.isoformat() if context.started_at else None
    return fields


def from_header(fields: Mapping[str, Any] | None) -> RequestContext:
    """Rebuild what :func:`to_header` wrote; unknown or damaged parts are dropped."""
    fields = fields or {}
    texts = {name: str(fields[name]) for name in TEXTS if fields.get(name)}
    try:
        started_at = datetime.fromisoformat(str(fields["started_at"]))
    except (KeyError, ValueError):
        started_at = timezone.now()
    return RequestContext(**texts, started_at=started_at)


def carry_into_tasks() -> None:
    """Connect Celery's signals, where Celery is installed.

    Each sent message carries the sender's context; a task runs with it bound, and what it defers is
    done when it ends, outside the task's own transactions.
    """
    try:
        from celery import signals
    except ImportError:  # a host without Celery: nothing to carry
        return
    signals.before_task_publish.connect(_write_header, dispatch_uid="garrison.context.publish")
    signals.task_prerun.connect(_enter_task, dispatch_uid="garrison.context.prerun")
    signals.task_postrun.connect(_leave_task, dispatch_uid="garrison.context.postrun")


_entered: ContextVar[tuple[ExitStack, ...]] = ContextVar("garrison_entered_tasks", default=())


def _write_header(headers: dict[str, Any] | None = None, **_: object) -> None:
    if headers is None:
        return
    known = current()
    headers[HEADER] = to_header(known)
    if parent := traceparent(known):
        headers.setdefault(TRACE_HEADER, parent)  # a tracer's own names its span


def _enter_task(task: Any = None, **_: object) -> None:
    from garrison.deferral import deferred_events

    request = getattr(task, "request", None)
    # A worker puts the message's headers on the request itself, an eager call into its headers.
    fields = getattr(request, HEADER, None) or (getattr(request, "headers", None) or {}).get(HEADER)
    scope = ExitStack()
    scope.enter_context(bound(from_header(fields)))
    scope.enter_context(deferred_events())
    _entered.set((*_entered.get(), scope))  # an eager task runs inside another one


def _leave_task(**_: object) -> None:
    *outer, scope = _entered.get() or (ExitStack(),)
    _entered.set(tuple(outer))
    scope.close()
