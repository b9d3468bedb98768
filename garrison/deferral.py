"""What has to wait for the end of a request or a task, and then must not be lost.

A refusal is written when the transactions of the request have ended, so that no rollback takes it
along; and it is written however the request ends.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.db import connections, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

    Act = Callable[[], None]  # it raises nothing

LONGEST_WAIT_SECONDS = 2.0  # of a transaction for an act on other connections


class Deferral:
    """Acts that wait for the end of a request or a task.

    Others may hold it longer than the request lasts: where an ASGI client hangs up, the request is
    cancelled while its view goes on in a thread. What is added after :meth:`close` is done at once.
    """

    __slots__ = ("_lock", "_waiting", "is_open")

    def __init__(self) -> None:
        """Begin open, with nothing waiting."""
        self._lock = threading.Lock()
        self._waiting: list[Act] = []
        self.is_open = True

    @contextmanager
    def bound(self) -> Iterator[None]:
        """Make this the deferral of what happens inside the block."""
        token = _bound.set(self)
        try:
            yield
        finally:
            _bound.reset(token)

    def add(self, act: Act) -> None:
        """Keep the act for the end; do it at once where that has come already."""
        with self._lock:
            if self.is_open:
                self._waiting.append(act)
                return
        _do_durably(act)

    def close(self) -> None:
        """End it, and do what waits; call where the transactions of the scope have ended."""
        self._end()
        self._do_all()

    async def aclose(self) -> None:
        """Do the same for a coroutine, to the end, however often its task is cancelled.

        The view of a cancelled task may still run in the request's thread, in a transaction. There
        the end comes behind it, so that what it defers does not have to be done beside it.
        """
        task = asyncio.current_task()
        if not self._waiting and not (task and task.cancelling()):
            self._end()
            return
        doing, is_cancelled = asyncio.ensure_future(sync_to_async(self.close)()), False
        while not doing.done():
            try:
                await asyncio.shield(asyncio.wait([doing]))
            except asyncio.CancelledError:
                is_cancelled = True
        self._end()
        if self._waiting:  # the request's thread, or the whole loop, is being shut down
            _do_in_own_thread(self._do_all)
        if is_cancelled:
            raise asyncio.CancelledError

    def _end(self) -> None:
        with self._lock:
            self.is_open = False

    def _do_all(self) -> None:
        while act := self._next():
            act()

    def _next(self) -> Act | None:
        with self._lock:
            return self._waiting.pop(0) if self._waiting else None


_bound: ContextVar[Deferral | None] = ContextVar("garrison_deferral", default=None)


@contextmanager
def deferred_events() -> Iterator[None]:
    """Defer what is to happen after a rollback until the end of the block.

    The middleware does so for every request, and Celery's signals for every task; a management
    command that works in transactions may hold its own. Inside another such block, everything waits
    for the end of the outer one.
    """
    outer = _bound.get()
    if outer and outer.is_open:
        yield
        return
    deferral = Deferral()
    try:
        with deferral.bound():
            yield
    finally:
        deferral.close()


def defer(act: Act) -> None:
    """Do the act where no rollback of the caller's undoes it: at the end, or else at once."""
    if deferral := _bound.get():
        deferral.add(act)
    else:
        _do_durably(act)


def _do_durably(act: Act) -> None:
    if all(map(_commits_here, connections.all(initialized_only=True))):
        act()
    else:
        _do_in_own_thread(act)


def _commits_here(connection: BaseDatabaseWrapper) -> bool:
    """Return whether what is written now is there to stay.

    SQLite has one writer: a second connection would wait for the first for ever, so there the act
    shares the fate of the caller's transaction.
    """
    if connection.vendor == "sqlite" or not connection.in_atomic_block:
        return True
    try:
        with transaction.atomic(using=connection.alias, durable=True):
            return True
    except RuntimeError:  # Django's answer where an outer block could roll this one back
        return False


def _do_in_own_thread(act: Act) -> None:
    """Do it on connections of its own, and wait for it.

    Not for ever: where the act needs a row that the caller's transaction has locked, it is done
    when that ends, and the caller waiting for the act would never end it.
    """

    def run() -> None:
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(LONGEST_WAIT_SECONDS)
