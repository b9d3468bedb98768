"""Work that a request starts and does not wait for, on a few threads of this process.

A job is lost when the process is killed or too many wait: what must not be lost stands in a row,
which the job and every later one find.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

from django.db import connections

from garrison import context
from garrison.deferral import deferred_events

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("garrison.background")

THREADS = 2
MOST_WAITING = 100  # jobs; beyond them one is dropped, so that a flood cannot fill the memory

_waiting = threading.BoundedSemaphore(MOST_WAITING)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="garrison")


def run(job: Callable[[], object]) -> None:
    """Do the job soon, with the present request's context; its failure is logged and not raised."""
    if not _waiting.acquire(blocking=False):
        logger.error("%d jobs are waiting; another one was dropped.", MOST_WAITING)
        return
    _pool().submit(_run, job, context.current())


def _run(job: Callable[[], object], known: context.RequestContext) -> None:
    try:
        with context.bound(known), deferred_events():
            job()
    except Exception:  # nobody waits for the result, so the log is the only place to report it
        logger.exception("A job failed.")
    finally:
        connections.close_all()
        _waiting.release()
