"""How passwords are hashed: Argon2id in the profile OWASP names, a bounded number at once."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from django.contrib.auth.hashers import Argon2PasswordHasher

from accounts.conf import settings
from accounts.errors import HashingBusy

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY_COST_KIB = 47_104  # OWASP Password Storage Cheat Sheet, Argon2id: m=46 MiB, t=1, p=1
TIME_COST = 1
PARALLELISM = 1


_held = threading.local()


@lru_cache(maxsize=4)
def _slots(size: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(size)


@contextmanager
def hashing_slot() -> Iterator[None]:
    """Hold one of this process's ``ACCOUNTS_HASHING_SLOTS``; a thread that holds one keeps it.

    Raises :class:`~accounts.errors.HashingBusy` at once where all are taken: who waits here
    occupies a thread that could answer others (docs/decisions/0007). Whatever compares and then
    hashes again holds one slot over both, so that it is refused before the first or not at all.
    """
    if getattr(_held, "slot", False):
        yield
        return
    slots = _slots(settings.hashing_slots)
    if not slots.acquire(blocking=False):
        raise HashingBusy(retry_after_seconds=1)
    _held.slot = True
    try:
        yield
    finally:
        _held.slot = False
        slots.release()


class GarrisonArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id with 46 MiB, one pass, one lane.

    Hashes of other Argon2 parameters verify, and are renewed when their owner signs in.
    """

    time_cost = TIME_COST
    memory_cost = MEMORY_COST_KIB
    parallelism = PARALLELISM

    def encode(self, password: str, salt: str) -> str:
        """Hash, in a slot."""
        with hashing_slot():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Compare, in a slot."""
        with hashing_slot():
            return super().verify(password, encoded)

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Spend what a cheaper hash saved, so that its age does not show in the time.

        Argon2's time goes with memory times passes, so the rest is one pass over the difference.
        A hash that is dearer than the present profile cannot be made cheaper: it shows until its
        owner has signed in once.
        """
        spent = self.decode(encoded)
        missing_kib = self.memory_cost * self.time_cost - (
            spent["memory_cost"] * spent["time_cost"]
        )
        if missing_kib >= 8 * self.parallelism:  # Argon2's smallest memory
            top_up = GarrisonArgon2PasswordHasher()
            top_up.memory_cost, top_up.time_cost = missing_kib, 1
            top_up.encode(password, self.salt())
