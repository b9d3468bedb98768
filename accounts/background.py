"""Work that a request starts and does not wait for.

An answer must take as long for an address that has an account as for one that has none. What is
looked up and mailed only for the former is therefore done after the answer, on a few threads of
this process. It is lost when the process is killed, so it is only used where the person can ask
again.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

from django.db import connections

from garrison import context, events

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("accounts.background")

THREADS = 2
MOST_WAITING = 100  # jobs; beyond them one is dropped, so that a flood cannot fill the memory

_waiting = threading.BoundedSemaphore(MOST_WAITING)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="accounts")


def run(job: Callable[[], object]) -> None:
    """Do the job soon, with the present request's context; its failure is logged and not raised."""
    if not _waiting.acquire(blocking=False):
        logger.error("%d jobs are waiting; another one was dropped.", MOST_WAITING)
        return
    _pool().submit(_run, job, context.current())


def _run(job: Callable[[], object], known: context.RequestContext) -> None:
    try:
        with context.bound(known), events.kept_refusals():
            job()
    except Exception:  # nobody waits for the result, so the log is the only place to report it
        logger.exception("A job failed.")
    finally:
        connections.close_all()
        _waiting.release()
