"""The line to the store, against a server that is stopped, hung and started again."""

from __future__ import annotations

import gc
import multiprocessing
import socket
import threading
import time
import warnings

import pytest
from django.core.cache import cache
from redis.exceptions import NoScriptError

from rate_limiting.errors import StoreUnavailable
from rate_limiting.store import CommandRefused, Store

NOTHING_LISTENS = "redis://127.0.0.1:9/0"  # the discard port


def seconds_of(call):
    started = time.perf_counter()
    with pytest.raises(StoreUnavailable):
        call()
    return time.perf_counter() - started


def eventually(call, within=10.0):
    until = time.monotonic() + within
    while True:
        try:
            return call()
        except StoreUnavailable:
            assert time.monotonic() < until, "The store did not recover."
            time.sleep(0.02)


def test_a_server_that_is_gone_is_reported_at_once_and_then_costs_nothing():
    store = Store(NOTHING_LISTENS)
    assert seconds_of(lambda: store.call("PING")) < 2
    cost = min(seconds_of(lambda: store.call("PING")) for _ in range(50))
    assert cost < 0.001


def test_a_server_that_hangs_costs_the_timeout_once(own_valkey):
    store = Store(own_valkey.url)
    assert store.call("PING") == b"PONG"
    own_valkey.hang()
    assert 0.15 < seconds_of(lambda: store.call("PING")) < 2
    assert min(seconds_of(lambda: store.call("PING")) for _ in range(3)) < 0.05
    own_valkey.wake()
    assert eventually(lambda: store.call("PING")) == b"PONG"
    assert not store.breaker.is_open


def test_a_hanging_server_is_no_longer_than_the_timeout_for_a_new_connection_either(own_valkey):
    own_valkey.hang()
    assert seconds_of(lambda: Store(own_valkey.url + "?db=3").call("PING")) < 1
    own_valkey.wake()


def test_an_answer_that_comes_too_late_is_never_read_as_another_s(own_valkey):
    store = Store(own_valkey.url)
    store.call("SET", "a", "value of a")
    own_valkey.hang()
    seconds_of(lambda: store.call("GET", "a"))
    own_valkey.wake()
    assert eventually(lambda: store.call("GET", "b")) is None


def test_a_restarted_server_is_found_again_without_a_failure(own_valkey):
    store = Store(own_valkey.url)
    assert store.call("PING") == b"PONG"
    own_valkey.stop()
    own_valkey.start()
    assert store.call("PING") == b"PONG"


def test_it_recovers_by_itself(own_valkey):
    store = Store(own_valkey.url)
    own_valkey.stop()
    seconds_of(lambda: store.call("PING"))
    own_valkey.start()
    assert eventually(lambda: store.call("PING"), within=5.0) == b"PONG"


def test_an_error_of_the_server_is_no_outage_and_shows_no_key():
    store = cache.store
    store.call("SET", cache._full("secret-name"), "text")
    with pytest.raises(CommandRefused) as refusal:
        store.call("INCR", cache._full("secret-name"))
    assert "secret-name" not in refusal.value.detail
    assert not store.breaker.is_open
    assert store.call("PING") == b"PONG"


def test_a_server_out_of_memory_is_a_refusal_and_no_crash(own_valkey):
    store = Store(own_valkey.url)
    store.call("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(CommandRefused, match="OutOfMemoryError"):
        store.call("SET", "a", "b")
    assert store.call("GET", "a") is None


def test_a_wrong_password_is_an_outage_and_is_not_shown(own_valkey):
    own = Store(own_valkey.url)
    own.call("CONFIG", "SET", "requirepass", "right")
    store = Store(own_valkey.url.replace("//", "//:wrong-password@"))
    with pytest.raises(StoreUnavailable) as refusal:
        store.call("PING")
    assert "wrong-password" not in f"{refusal.value} {refusal.value.__cause__!r}"


def test_a_server_that_talks_nonsense_is_an_outage():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def talk():
            client, _ = listener.accept()
            client.recv(1000)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            client.close()

        thread = threading.Thread(target=talk)
        thread.start()
        store = Store(f"redis://127.0.0.1:{port}/0")
        assert seconds_of(lambda: store.call("PING")) < 1
        thread.join()


def test_an_unknown_script_is_the_caller_s_business():
    with pytest.raises(NoScriptError):
        cache.store.call("EVALSHA", "0" * 40, 0)


def test_a_fork_does_not_use_its_parent_s_connections(own_valkey):
    store = Store(own_valkey.url)
    store.call("SET", "whose", "parent")
    parents = store.call("CLIENT", "ID")
    mine, theirs = multiprocessing.get_context("fork").Pipe()

    def child():
        theirs.send(store.call("CLIENT", "ID"))

    process = multiprocessing.get_context("fork").Process(target=child)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks beside threads
        process.start()
    assert mine.recv() != parents
    process.join()
    assert store.call("CLIENT", "ID") == parents


def test_threads_share_connections_and_never_read_one_another_s_answers(own_valkey):
    store = Store(own_valkey.url)
    barrier = threading.Barrier(20)

    def ask():
        name = threading.current_thread().name
        barrier.wait()
        for _ in range(20):
            assert store.call("ECHO", name).decode() == name

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clients = store.call("CLIENT", "LIST").decode().strip().splitlines()
    assert 1 <= len(clients) <= 20


def test_a_store_that_is_dropped_leaves_no_connection_behind(own_valkey):
    def use_and_drop():
        Store(own_valkey.url).call("PING")

    use_and_drop()
    gc.collect()
    time.sleep(0.05)
    clients = Store(own_valkey.url).call("CLIENT", "LIST").decode().strip().splitlines()
    assert len(clients) == 1
