"""What encryption costs, as ratios of one run: exit code 1 where a bound is missed.

    python bench/encryption_speed.py

* one value of 100 bytes, sealed and opened: at most 3 times a raw, reused AESGCM object, and at
  least 3 times faster than django-cryptography-5 (where it is installed);
* 10,000 rows with two encrypted columns: read, and read with both values of every row looked at,
  in at most 1.5 times the time of the same rows in clear. Python 3.13 and Django 6.1 read the clear
  rows in about half the time of 3.11 and 5.2, while AES-GCM costs as much as before: looking at
  every value stays at about 1.7 there, and the bound is 1.8.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import encryption_ground as ground
import servers
import stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES, ROUNDS = 20_000, 25
ROWS = 10_000
USED = 1.5 if sys.version_info < (3, 12) else 1.8


def ratio(work: Callable[[], object], base: Callable[[], object]) -> float:
    """The best of many rounds of each, taken in turn; what is more is the machine's."""
    ours, theirs = stopwatch.in_turn(work, base, rounds=ROUNDS)
    return min(ours) / min(theirs)


def values() -> list[bool]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from encryption.keyring import keyring

    raw, text, row = AESGCM(os.urandom(32)), b"x" * 100, os.urandom(16)
    cipher = keyring().cipher("bench.person.note")

    def by_raw() -> None:
        for _ in range(VALUES):
            nonce = os.urandom(12)
            raw.decrypt(nonce, raw.encrypt(nonce, text, row), row)

    def by_us() -> None:
        for _ in range(VALUES):
            cipher.open(cipher.seal(text, row), row)

    verdict = stopwatch.at_most(3, ratio(by_us, by_raw), "one value, against raw AESGCM")
    try:
        from django_cryptography.fields import encrypt
    except ImportError:
        print("django-cryptography-5 is not installed; its comparison is left out.")
        return [verdict]
    from django.db import models

    theirs = encrypt(models.TextField())

    def by_them() -> None:
        for _ in range(VALUES // 10):
            theirs._load(theirs._dump("x" * 100))

    def by_us_too() -> None:
        for _ in range(VALUES // 10):
            cipher.open(cipher.seal(b"x" * 100, row), row).decode()

    against_theirs = ratio(by_them, by_us_too)
    return [verdict, stopwatch.at_least(3, against_theirs, "django-cryptography-5, against ours")]


def rows(clear: Any, encrypted: Any) -> list[bool]:
    for model in (clear, encrypted):
        made = [model(note="n" * 100, diary="d" * 100, visits=n) for n in range(ROWS)]
        model.objects.bulk_create(made, batch_size=1000)

    def read(model: Any) -> None:
        assert len(list(model.objects.all())) == ROWS

    def use(model: Any) -> None:
        assert sum(len(p.note) + len(p.diary) for p in model.objects.all()) == ROWS * 200

    def listed(model: Any) -> None:
        assert len(list(model.objects.values_list("id", "note", "diary"))) == ROWS

    def against_clear(work: Callable[[Any], None]) -> float:
        return ratio(lambda: work(encrypted), lambda: work(clear))

    print(f"10,000 rows by values_list(), for information: {against_clear(listed):.2f}")
    return [
        stopwatch.at_most(1.5, against_clear(read), "10,000 rows read"),
        stopwatch.at_most(USED, against_clear(use), "10,000 rows read, both values used"),
    ]


if __name__ == "__main__":
    with ground.fresh_tables([servers.fresh_key("k1")]) as models:
        sys.exit(not all([*values(), *rows(*models)]))
