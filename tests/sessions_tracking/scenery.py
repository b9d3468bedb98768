"""A moment, keys, and many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, connections
from django.db.models.functions import Now

from sessions_tracking.models import Session

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
OLD = "k1:the-first-signing-secret-0123456789-abcdefghij"
NEW = "k2:another-signing-secret-9876543210-zyxwvutsrq"


def ed25519_pem() -> str:
    """Make a private key as an operator would store it."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def used(pair: Any, *, seconds_ago: float = 30) -> Any:
    """Let the session have been used so long ago, by the database's clock."""
    session = getattr(pair, "session", pair)
    noted = Now() - timedelta(seconds=seconds_ago)
    Session.objects.filter(pk=session.pk).update(last_seen_at=noted)
    return pair


def in_threads(count: int, work: Callable[[], Any]) -> list[Any]:
    """Run ``work`` in so many threads, each with a connection of its own, all at once."""
    barrier = threading.Barrier(count)
    results: list[Any] = []

    def run() -> None:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            results.append(work())
        except Exception as failure:  # noqa: BLE001 - the test looks at what came
            results.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == count
    return results
