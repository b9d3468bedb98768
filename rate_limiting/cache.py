"""Django's cache over Valkey or Redis: counters in one round trip, values that cannot run code.

Name it in ``CACHES`` as ``rate_limiting.cache.CounterCache``; ``LOCATION`` is one address
(``redis://``, ``rediss://`` or ``unix://``) and ``OPTIONS`` are those of redis-py's connections.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from django.conf import settings as django_settings
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.utils.functional import cached_property

from garrison.errors import ConfigurationError
from rate_limiting import scripts
from rate_limiting.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Timeout: TypeAlias = float | object | None

NAMESPACE = "garrison"
LONGEST_MILLISECONDS = 10 * 366 * 24 * 3600 * 1000  # the store refuses lives near 2⁶³
KEYS_PER_SCAN = 500

_stores: dict[tuple[str, str], Store] = {}


def _shared_store(url: str, options: dict[str, Any]) -> Store:
    """Return the process' one store for an address, so that its breaker and connections are shared.

    Django makes one cache object per thread.
    """
    name = (url, repr(sorted(options.items(), key=repr)))
    if name not in _stores:
        _stores.setdefault(name, Store(url, **options))
    return _stores[name]


class CounterCache(BaseCache):
    """A cache of JSON values and plain integer counters.

    * ``add`` and ``incr`` of a ``django-ratelimit`` key are one atomic call between them.
    * ``incr`` is atomic and never loses the time to live.
    * Values are JSON, not pickle: whoever can write the store cannot run code here. A value that
      JSON would change (a tuple, a date, a key that is no text) is refused with a ``TypeError``.
    * ``clear`` deletes this cache's keys only; a broker in the same database keeps its queues.
    * A store that fails raises :class:`~rate_limiting.errors.StoreUnavailable`; nothing is ever
      made up in its place.

    A cluster is not supported: a check's keys live on several of its nodes.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        """Keep the address; nothing is opened before the first command."""
        super().__init__(params)
        if not isinstance(server, str):
            raise ConfigurationError(
                f"LOCATION is {type(server).__name__}; one address is needed, for every count must "
                "be in one place."
            )
        self._url = server
        self._options = dict(params.get("OPTIONS") or {})
        self._namespace: str = self._options.pop("namespace", NAMESPACE)
        self._planned: list[tuple[str, int]] | None = None
        self._counted: tuple[str, int] | None = None

    @cached_property
    def store(self) -> Store:
        """Return the line to the store: one for the process."""
        return _shared_store(self._url, self._options)

    # --- Counting ---------------------------------------------------------------------------------
    @contextmanager
    def plan(self) -> Iterator[list[tuple[str, int]]]:
        """Collect what ``add`` is asked inside the block, as ``(key, life in ms)``, and do nothing.

        ``django-ratelimit`` thereby names the counters of several rates, and one script counts
        them all.
        """
        planned: list[tuple[str, int]] = []
        self._planned = planned
        try:
            yield planned
        finally:
            self._planned = None

    def add(
        self, key: str, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Store the value where there is none yet.

        A counter of ``django-ratelimit`` that exists already is incremented in the same round trip,
        and the ``incr`` that follows is answered from it.
        """
        full, milliseconds = self._full(key, version), self._milliseconds(timeout)
        prefix = getattr(django_settings, "RATELIMIT_CACHE_PREFIX", "rl:")
        if milliseconds is not None and value == 1 and key.startswith(prefix):
            if self._planned is not None:
                self._planned.append((full, milliseconds))
                return True
            count = int(self.store.run(scripts.COUNT, [full], milliseconds))
            self._counted = None if count == 1 else (full, count)
            return count == 1
        if milliseconds == 0:
            return not self.store.call("EXISTS", full)
        return bool(self._set(full, value, milliseconds, "NX"))

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add ``delta``, atomically, and give the new number; the time to live stays.

        Raises ``ValueError`` where there is no such key, as Django's contract has it.
        """
        full = self._full(key, version)
        counted, self._counted = self._counted, None
        if counted is not None and counted[0] == full and delta == 1:
            return counted[1]
        answer = self.store.run(scripts.INCREMENT, [full], delta)
        if answer is None:
            raise ValueError(f"Key {key!r} not found.")
        return int(answer)

    # --- Values -----------------------------------------------------------------------------------
    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Return the value, or the default where there is none."""
        return _decode(self.store.call("GET", self._full(key, version)), default)

    def set(
        self, key: str, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        """Store the value; a timeout of 0 or less deletes it, ``None`` keeps it for ever."""
        milliseconds = self._milliseconds(timeout)
        if milliseconds == 0:
            self.delete(key, version)
        else:
            self._set(self._full(key, version), value, milliseconds)

    def _set(self, full: str, value: Any, milliseconds: int | None, *flags: str) -> Any:
        life = () if milliseconds is None else ("PX", milliseconds)
        return self.store.call("SET", full, _encode(value), *flags, *life)

    def touch(
        self, key: str, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Return the key a new time to live; tell whether it exists."""
        full, milliseconds = self._full(key, version), self._milliseconds(timeout)
        if milliseconds is None:
            return bool(self.store.call("PERSIST", full) or self.store.call("EXISTS", full))
        return bool(self.store.call("PEXPIRE", full, milliseconds))

    def delete(self, key: str, version: int | None = None) -> bool:
        """Delete the key; tell whether it existed."""
        return bool(self.store.call("DEL", self._full(key, version)))

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        """Return those that exist, in one round trip."""
        wanted = list(keys)
        if not wanted:
            return {}
        answers = self.store.call("MGET", *(self._full(key, version) for key in wanted))
        absent = object()
        values = zip(wanted, (_decode(answer, absent) for answer in answers), strict=True)
        return {key: value for key, value in values if value is not absent}

    def set_many(
        self,
        data: Mapping[str, Any],
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[str]:
        """Store all, atomically, in one round trip; gives the keys that failed, which is none."""
        milliseconds = self._milliseconds(timeout)
        if milliseconds == 0:
            self.delete_many(data, version=version)
        elif data:
            life = "" if milliseconds is None else milliseconds
            keys = [self._full(key, version) for key in data]
            self.store.run(scripts.SET_MANY, keys, life, *map(_encode, data.values()))
        return []

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> None:
        """Delete all, in one round trip."""
        if full := [self._full(key, version) for key in keys]:
            self.store.call("DEL", *full)

    def clear(self) -> None:
        """Delete every key of this cache, of every version and prefix, and nothing else."""
        pattern = "".join(f"\\{c}" if c in "*?[]\\^-" else c for c in self._namespace) + ":*"
        cursor: bytes | int = 0
        while True:
            cursor, keys = self.store.call("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_PER_SCAN)
            if keys:
                self.store.call("UNLINK", *keys)
            if int(cursor) == 0:
                return

    # --- Keys and lives ---------------------------------------------------------------------------
    def _full(self, key: str, version: int | None = None) -> str:
        return f"{self._namespace}:{self.make_and_validate_key(key, version=version)}"

    def _milliseconds(self, timeout: Timeout) -> int | None:
        seconds: Any = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return None if seconds is None else min(LONGEST_MILLISECONDS, max(0, int(seconds * 1000)))


def _encode(value: Any) -> str:
    """Write JSON; refuse what would come back as something else."""
    try:
        text = json.dumps(value, allow_nan=False)
        is_faithful = json.loads(text) == value
    except (TypeError, ValueError, RecursionError) as failure:
        raise TypeError(f"{type(value).__name__} cannot be stored as JSON: {failure}") from failure
    if not is_faithful:
        raise TypeError(
            f"JSON would change this {type(value).__name__}: store text, numbers, lists, and "
            "dictionaries whose keys are text."
        )
    return text


def _decode(answer: bytes | None, default: Any) -> Any:
    """Read JSON; what another program left under the key counts as absent."""
    if answer is None:
        return default
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return default
