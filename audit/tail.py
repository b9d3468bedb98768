"""The stream of events in sealed order: no gap, at least once, from where a reader stopped.

Numbers are given by one sealer at a time, and those of a batch become visible at once. So whoever
has read up to a number has read everything before it, which no order by time can promise: an event
becomes visible when its transaction commits. What is not sealed yet is not here yet.

An event whose row somebody removed is passed over, and one that Python cannot read, which no
application wrote: ``audit_verify`` names both.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DataError, connection
from django.utils import timezone

from audit.errors import CursorLost, ReaderOvertaken
from audit.models import MAIN_STREAM, Checkpoint, EventReader, EventSeal, SecurityEvent
from audit.sealing import rows
from audit.sealing.encoding import GENESIS
from audit.sealing.sealer import head_of
from garrison import events as garrison_events
from garrison.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from django.db.models import QuerySet

BATCH = 500  # events read and handled between two advances of a reader
UNREADABLE = (ValueError, RecursionError, DataError)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a stream: behind number ``seq``, whose seal has this MAC.

    The MAC tells another history under the same numbers apart, as after a restored backup. The
    default is before the oldest event that is kept.
    """

    stream: str = MAIN_STREAM
    seq: int = 0
    mac: bytes = GENESIS

    def __str__(self) -> str:
        """Write it as one word, which :meth:`parse` reads."""
        return f"{self.stream}:{self.seq}:{self.mac.hex()}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what ``str()`` wrote; raises :class:`~audit.errors.CursorLost` for anything else."""
        try:
            stream, seq, mac = text.rsplit(":", 2)
            return cls(stream, int(seq), bytes.fromhex(mac))
        except ValueError:
            raise CursorLost(f"{text[:200]!r} is no cursor of the stream of events.") from None


START = Cursor()


def cursor_of(event: SecurityEvent) -> Cursor:
    """Return the place behind a sealed event."""
    return Cursor(event.seal.stream, event.seal.seq, bytes(event.seal.mac))


def newest(stream: str = MAIN_STREAM) -> Cursor:
    """Return the place behind everything that is sealed."""
    head = head_of(stream)
    return Cursor(stream, head.seq, head.mac)


def tail(*, after: Cursor = START, kinds: Collection[str] | None = None) -> Iterator[SecurityEvent]:
    """Return every sealed event behind a cursor, in order, each with its ``seal``.

    ``kinds`` are names. Raises :class:`~audit.errors.CursorLost` where the next event is not here
    any more or the cursor is of another history, and
    :class:`~garrison.errors.ConfigurationError` for a kind that an installed app does not declare.
    """
    for events, _ in _batches(after, kinds):
        yield from events


def follow(
    *,
    reader: str,
    handle: Callable[[SecurityEvent], object],
    kinds: Collection[str] | None = None,
    stream: str = MAIN_STREAM,
) -> int:
    """Hand each sealed event that ``reader`` has not handled to ``handle``; return how many.

    The reader's cursor moves when a batch is handled. Where ``handle`` raises or the process dies,
    the batch comes again: an event comes at least once, and always in order. Raises as
    :func:`tail` does, and :class:`~audit.errors.ReaderOvertaken` where another process works under
    the same name.
    """
    row, _ = EventReader.objects.get_or_create(name=reader, defaults={"stream": stream})
    if row.stream != stream:
        raise ConfigurationError(f"{reader!r} reads {row.stream!r}; {stream!r} needs another name.")
    after, handled = Cursor(row.stream, row.seq, bytes(row.mac)), 0
    for events, cursor in _batches(after, kinds):
        for event in events:
            handle(event)
        _advance(reader, after, cursor)
        after, handled = cursor, handled + len(events)
    return handled


def move(*, reader: str, to: Cursor) -> None:
    """Let a reader go on from another place: the answer of an operator to ``CursorLost``."""
    place = {"stream": to.stream, "seq": to.seq, "mac": to.mac, "moved_at": timezone.now()}
    EventReader.objects.update_or_create(name=reader, defaults=place)


def _advance(reader: str, before: Cursor, to: Cursor) -> None:
    there = EventReader.objects.filter(name=reader, stream=before.stream, seq=before.seq)
    if not there.update(seq=to.seq, mac=to.mac, moved_at=timezone.now()):
        raise ReaderOvertaken(
            f"Another process reads as {reader!r} and was faster. Give each reader its own name."
        )


def _batches(
    after: Cursor, kinds: Collection[str] | None
) -> Iterator[tuple[list[SecurityEvent], Cursor]]:
    _require_declared(kinds or ())
    after = _found(after)
    while True:
        following = EventSeal.objects.filter(stream=after.stream, seq__gt=after.seq)
        seals = list(following.order_by("seq")[:BATCH])
        if not seals:
            return
        if seals[-1].seq != after.seq + len(seals):
            raise CursorLost(
                f"Numbers behind {after.seq} of {after.stream!r} are missing: they were removed "
                "by retention or by somebody else. Run `manage.py audit_verify`."
            )
        if not hmac.compare_digest(bytes(seals[0].prev), after.mac):
            raise _other_history(after)
        after = Cursor(after.stream, seals[-1].seq, bytes(seals[-1].mac))
        yield _events(seals, kinds), after
        if len(seals) < BATCH:
            return


def _events(seals: list[EventSeal], kinds: Collection[str] | None) -> list[SecurityEvent]:
    wanted = SecurityEvent.objects.filter(pk__in=[seal.pk for seal in seals])
    if kinds is not None:
        wanted = wanted.of_kinds(kinds)
    by_key = {event.pk: event for event in _readable(wanted)}
    found = [seal for seal in seals if seal.pk in by_key]
    for seal in found:
        seal.event = by_key[seal.pk]  # and so event.seal, without a query
    return [seal.event for seal in found]


def _readable(events: QuerySet[SecurityEvent]) -> list[SecurityEvent]:
    with rows.any_text(connection):
        try:
            return list(events)
        except UNREADABLE:  # one of them; which one, the driver does not say
            found: list[SecurityEvent] = []
            for key in list(events.values_list("pk", flat=True)):
                with suppress(*UNREADABLE):
                    found += events.filter(pk=key)
            return found


def _found(cursor: Cursor) -> Cursor:
    """Return the cursor if the chain has it, and the oldest place of all for :data:`START`."""
    anchor = Checkpoint.objects.last_anchor(cursor.stream)
    if cursor.seq == 0:
        return Cursor(cursor.stream, *((anchor.seq, bytes(anchor.mac)) if anchor else ()))
    seal = EventSeal.objects.filter(stream=cursor.stream, seq=cursor.seq).first()
    there = seal or (anchor if anchor and anchor.seq == cursor.seq else None)
    if there and hmac.compare_digest(bytes(there.mac), cursor.mac):
        return cursor
    if anchor and cursor.seq < anchor.seq:
        raise CursorLost(
            f"Retention has removed {cursor.stream!r} up to number {anchor.seq}, and only up to "
            f"{cursor.seq} was it read: what lies between is lost to this reader."
        )
    raise _other_history(cursor)


def _other_history(cursor: Cursor) -> CursorLost:
    return CursorLost(
        f"Number {cursor.seq} of {cursor.stream!r} is not the one that was read: a backup was "
        "restored, or the chain was rewritten (`manage.py audit_verify`). What came before it may "
        "have to be read again, from an older cursor."
    )


def _require_declared(kinds: Collection[str]) -> None:
    if isinstance(kinds, str):  # its letters name nothing, so the reader would pass over all
        raise ConfigurationError(f"kinds={kinds!r} is one name; a collection is needed.")
    for name, near in garrison_events.undeclared(kinds).items():
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ConfigurationError(f"No app declares the event kind {name!r}.{hint}")
