"""Django's cache contract, over JSON and one round trip a call."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import pickle
import threading
import time

import pytest
from django.core.cache import cache, caches
from django_ratelimit.core import get_usage
from hypothesis import given
from hypothesis import strategies as st

from garrison.errors import ConfigurationError
from rate_limiting.errors import StoreUnavailable

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=JSON_VALUES)
def test_what_is_set_comes_back(value):
    cache.set("key", value)
    got = cache.get("key", "absent")
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1: 2},
        {"a": {2, 3}},
        b"bytes",
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        float("nan"),
        float("inf"),
        object(),
        enum.Enum("E", "A").A,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_would_change_is_refused(value):
    with pytest.raises(TypeError, match="JSON"):
        cache.set("key", value)
    assert cache.get("key") is None


def test_a_pickle_in_the_store_is_not_run_but_absent():
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was run",))

    full = cache._full("key")
    cache.store.call("SET", full, pickle.dumps(Bomb()))
    assert cache.get("key", "absent") == "absent"
    assert cache.get_many(["key"]) == {}


def test_hostile_bytes_in_the_store_count_as_absent():
    for blob in (b"\xff\xfe", b"[" * 100_000, b"9" * 10_000, b"{", b"NaNny"):
        cache.store.call("SET", cache._full("key"), blob)
        assert cache.get("key", "absent") == "absent"


def test_a_stored_none_differs_from_an_absent_key():
    cache.set("none", None)
    assert cache.get("none", "default") is None
    assert cache.get("absent", "default") == "default"
    assert "none" in cache
    assert "absent" not in cache


def test_add_keeps_what_is_there():
    assert cache.add("key", "first") is True
    assert cache.add("key", "second") is False
    assert cache.get("key") == "first"


def test_delete_tells_whether_there_was_something():
    cache.set("key", 1)
    assert cache.delete("key") is True
    assert cache.delete("key") is False


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_timeout_of_zero_or_less_stores_nothing(timeout):
    cache.set("key", "old")
    cache.set("key", "new", timeout=timeout)
    assert cache.get("key") is None
    assert cache.add("added", 1, timeout=timeout) is True
    assert cache.get("added") is None
    cache.set_many({"a": 1, "b": 2}, timeout=timeout)
    assert cache.get_many(["a", "b"]) == {}


def test_values_expire_to_the_millisecond():
    cache.set("short", 1, timeout=0.05)
    cache.set("long", 1, timeout=60)
    time.sleep(0.08)
    assert cache.get_many(["short", "long"]) == {"long": 1}


def test_no_timeout_is_for_ever():
    cache.set("key", 1, timeout=None)
    assert cache.store.call("PTTL", cache._full("key")) == -1


@pytest.mark.parametrize("timeout", [10**12, 1e300])
def test_a_timeout_beyond_the_store_s_numbers_is_ten_years(timeout):
    cache.set("key", 1, timeout=timeout)
    assert cache.store.call("PTTL", cache._full("key")) > 9 * 365 * 24 * 3600 * 1000


def test_touch_prolongs_only_what_exists():
    cache.set("key", 1, timeout=5)
    assert cache.touch("key", 60) is True
    assert cache.store.call("PTTL", cache._full("key")) > 50_000
    assert cache.touch("key", None) is True
    assert cache.store.call("PTTL", cache._full("key")) == -1
    assert cache.touch("key", None) is True
    assert cache.touch("absent", 60) is False
    assert cache.touch("absent", None) is False
    assert cache.touch("key", 0) is True
    assert cache.get("key") is None


def test_incr_and_decr_keep_the_time_to_live():
    cache.set("key", 5, timeout=60)
    assert cache.incr("key") == 6
    assert cache.incr("key", 10) == 16
    assert cache.decr("key", 6) == 10
    assert cache.get("key") == 10
    assert 50_000 < cache.store.call("PTTL", cache._full("key")) <= 60_000


def test_incr_of_nothing_makes_no_immortal_key():
    with pytest.raises(ValueError, match="not found"):
        cache.incr("absent")
    assert "absent" not in cache


def test_incr_of_text_is_refused_and_the_store_goes_on():
    cache.set("key", "text")
    with pytest.raises(StoreUnavailable):
        cache.incr("key")
    assert cache.get("key") == "text"


def test_many_at_once_cost_one_round_trip_each(sent):
    assert cache.set_many({"a": 1, "b": [2]}, timeout=60) == []
    assert cache.get_many(["a", "b", "absent"]) == {"a": 1, "b": [2]}
    cache.delete_many(["a", "b"])
    assert cache.get_many(["a", "b"]) == {}
    assert [name for name in sent if name != "EVAL"] == ["EVALSHA", "MGET", "DEL", "MGET"]


def test_nothing_at_once_costs_nothing(sent):
    assert cache.set_many({}) == []
    assert cache.get_many([]) == {}
    cache.delete_many([])
    assert sent == []


def test_versions_are_apart():
    cache.set("key", "one", version=1)
    cache.set("key", "two", version=2)
    assert cache.get("key", version=1) == "one"
    assert cache.get("key", version=2) == "two"
    assert cache.incr_version("key", version=2) == 3
    assert cache.get("key", version=3) == "two"


def test_get_or_set_stores_what_it_made():
    assert cache.get_or_set("key", lambda: [1]) == [1]
    assert cache.get_or_set("key", lambda: [2]) == [1]


def test_clear_leaves_the_broker_of_the_same_database_alone():
    cache.store.call("DEL", "celery")  # another test may have sent a task for real
    cache.store.call("RPUSH", "celery", "a task")
    cache.set_many({f"k{n}": n for n in range(1200)})
    cache.set("other", 1, version=7)
    cache.clear()
    assert cache.get_many([f"k{n}" for n in range(1200)]) == {}
    assert cache.get("other", version=7) is None
    assert cache.store.call("LRANGE", "celery", 0, -1) == [b"a task"]
    cache.store.call("DEL", "celery")


def test_namespaces_keep_two_caches_apart(settings):
    base = settings.CACHES["default"]
    settings.CACHES = {
        "default": base,
        "second": {**base, "OPTIONS": {**base.get("OPTIONS", {}), "namespace": "sec*nd"}},
    }
    caches["second"].set("key", 2)
    cache.set("key", 1)
    caches["second"].clear()
    assert cache.get("key") == 1
    assert caches["second"].get("key") is None


def test_it_works_from_async_code():
    async def round_trip():
        await cache.aset("key", {"a": 1})
        return await cache.aget("key")

    assert asyncio.run(round_trip()) == {"a": 1}


def test_increments_of_many_threads_are_all_counted():
    cache.set("key", 0, timeout=60)

    def add():
        for _ in range(50):
            cache.incr("key")

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("key") == 400


def test_django_ratelimit_alone_counts_in_one_round_trip(rf, sent):
    def usage():
        return get_usage(rf.get("/"), group="g", key="ip", rate="3/m", increment=True)

    assert [usage()["count"] for _ in range(5)] == [1, 2, 3, 4, 5]
    assert [usage()["should_limit"] for _ in range(2)] == [True, True]
    assert [name for name in sent if name != "EVAL"] == ["EVALSHA"] * 7


def test_a_counter_of_django_ratelimit_never_loses_its_time_to_live(rf):
    for _ in range(3):
        get_usage(rf.get("/"), group="g", key="ip", rate="3/m", increment=True)
    _, keys = cache.store.call("SCAN", 0, "MATCH", "*rl:*", "COUNT", 1000)
    assert len(keys) == 1
    assert 0 < cache.store.call("PTTL", keys[0]) <= 65_000


def test_counts_cannot_be_spread_over_several_servers(settings):
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": ["redis://a", "redis://b"]}
    }
    with pytest.raises(ConfigurationError, match="list"):
        cache.get("key")
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
