"""What every test shares: fast hashing where hashing is not the subject, and an empty store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.db import connection


@pytest.fixture(autouse=True)
def _empty_store() -> Iterator[None]:
    """Begin with no counters: a limit reached in one test must not refuse the next."""
    cache.clear()
    yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, by name, what only PostgreSQL can show."""
    if connection.vendor == "postgresql":
        return
    skip = pytest.mark.skip(reason="needs PostgreSQL; the suite runs on SQLite")
    for item in items:
        if item.get_closest_marker("postgresql"):
            item.add_marker(skip)
