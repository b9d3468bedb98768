"""``config.rsgi`` served by granian: what WSGI folds or leaves waiting, by bytes on a socket."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from config.starter import ports

PROXY = "127.0.0.99"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "stderr"


@pytest.fixture(scope="module")
def port(log):
    port = ports.free_port()
    command = [sys.executable, "-m", "granian", "--interface", "rsgi", "--no-ws"]
    command += ["--log-level", "critical", "--port", str(port)]
    command += ["tests.starter.rsgi_echo:application"]
    environment = os.environ | {"TRUSTED_PROXIES": PROXY, "LOG_FORMAT": "json"}
    with log.open("wb") as stderr:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=stderr)
    deadline = time.monotonic() + 30
    while ports.is_free(port):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield port
    server.terminate()
    assert server.wait(timeout=20) == 0


def send(port, text):
    """Send bytes, and read until the other side closes; returns head and body."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as line:
        line.sendall(text.encode("latin-1").replace(b"\n", b"\r\n"))
        head, _, body = b"".join(iter(lambda: line.recv(65_536), b"")).partition(b"\r\n\r\n")
        return head.decode(), body


def environ(port, fields="", *, path="/", host="Host: site.example\n"):
    head, body = send(port, f"GET {path} HTTP/1.1\n{host}{fields}Connection: close\n\n")
    assert head.startswith("HTTP/1.1 201 ")
    return json.loads(body)


FOLDED = "X_Forwarded_For: 6.6.6.6\nX-Forwarded_For: 7.7.7.7\nx_forwarded-for: 8.8.8.8\n"


@pytest.mark.parametrize("fields", ["{0}{1}", "{1}{0}"], ids=["before", "after"])
def test_names_with_underscores_never_stand_where_a_proxy_s_field_stands(port, fields):
    told = environ(port, fields.format(FOLDED, "X-Forwarded-For: 1.1.1.1\n"))
    assert told["HTTP_X_FORWARDED_FOR"] == "1.1.1.1"


def test_they_are_dropped_where_nothing_stands(port):
    names = (
        "X_Request_ID: a\nContent_Length: 9\nTransfer_Encoding: chunked\nRemote_Addr: x\nH_: 1\n"
    )
    told = environ(port, FOLDED + names)
    known = {"HTTP_HOST", "HTTP_CONNECTION"}
    assert {n for n in told if n.startswith(("HTTP_", "CONTENT_"))} == known
    assert told["REMOTE_ADDR"] == "127.0.0.1"


def test_repeated_fields_are_joined_in_the_order_sent(port):
    told = environ(
        port,
        "X-Forwarded-For: 6.6.6.6\nCookie: a=1\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\nCookie: b=2\n",
    )
    assert told["HTTP_X_FORWARDED_FOR"] == "6.6.6.6,1.1.1.1, 2.2.2.2"
    assert told["HTTP_COOKIE"] == "a=1; b=2"


def test_a_request_is_described_as_wsgi_does(port):
    told = environ(port, "Accept: */*\n", path="/caf%C3%A9/a%2Fb%20c%00?q=%C3%A9&r=1+2")
    assert told["PATH_INFO"].encode("latin-1").decode() == "/café/a/b c\x00"
    assert told["QUERY_STRING"] == "q=%C3%A9&r=1+2"
    assert told["SERVER_PORT"] == str(port)
    assert told["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert told["wsgi.url_scheme"] == "http"
    assert environ(port, path="http://other.example/x")["HTTP_HOST"] == "site.example"
    assert environ(port, host="Host: a\nHost: b\n")["HTTP_HOST"] == "a,b"


def test_a_path_that_is_no_utf8_breaks_nothing(port):
    assert environ(port, path="/%FF%FE")["PATH_INFO"].startswith("/")


def test_no_host_is_an_empty_one_which_django_refuses(port):
    head, body = send(port, "GET / HTTP/1.0\n\n")
    assert json.loads(body)["HTTP_HOST"] == ""
    assert "x-two: 1" in head


def post(length, body):
    return f"POST / HTTP/1.1\nHost: h\nContent-Length: {length}\nConnection: close\n\n{body}"


def test_a_body_is_read_whole(port):
    _, body = send(port, post(90_000, "b" * 90_000))
    assert json.loads(body)["body"] == "b" * 90_000


def test_a_body_longer_than_the_site_reads_is_refused_when_it_is_asked_for(port):
    _, body = send(port, post(100_001, "b" * 10))
    assert json.loads(body)["body"] == "RequestDataTooBig"


@pytest.mark.parametrize("length", ["-1", "1_0", "+3", "x"])
def test_a_length_that_is_none_reaches_nobody(port, length):
    head, _ = send(port, post(length, "abc"))
    assert head.startswith("HTTP/1.1 400")


def logged(log, body):
    """Return the one line that holds the request id of an answer."""
    (line,) = [n for n in log.read_text().splitlines() if json.loads(body)["request_id"] in n]
    return json.loads(line)


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-proto", "Forwarded"])
def test_a_forwarded_field_that_cannot_be_read_is_refused_and_not_dropped(port, log, name):
    sent = f"GET / HTTP/1.1\nHost: site.example\n{name}: \xff, 203.0.113.9\nConnection: close\n\n"
    head, body = send(port, sent)
    assert head.startswith("HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "field_unreadable"
    assert logged(log, body)["status"] == 400


def test_a_body_that_is_told_to_be_long_and_does_not_come_is_given_up_as_soon(port):
    began = time.monotonic()
    head, _ = send(port, post(90_000, "half"))
    assert head.startswith("HTTP/1.1 408")
    assert time.monotonic() - began < 6


def test_a_body_that_comes_slowly_and_keeps_to_the_rate_arrives(port):
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as line:
        line.sendall(post(80_000, "").encode().replace(b"\n", b"\r\n"))
        for _ in range(8):  # four seconds: longer than a body may take to begin with
            time.sleep(0.5)
            line.sendall(b"x" * 10_000)
        assert b"".join(iter(lambda: line.recv(65_536), b"")).startswith(b"HTTP/1.1 201")


def test_a_body_that_comes_too_slowly_is_given_up(port, log):
    began = time.monotonic()
    head, body = send(port, post(100, "half"))
    assert head.startswith("HTTP/1.1 408")
    assert "content-type: application/problem+json" in head
    assert json.loads(body)["code"] == "body_too_slow"
    line = logged(log, body)
    assert (line["level"], line["status"], line["code"]) == ("warning", 408, "body_too_slow")
    assert (line["ip"], line["method"], line["path"]) == ("127.0.0.1", "POST", "/")
    assert "x-content-type-options: nosniff" in head
    assert "content-security-policy: default-src 'none'" in head
    assert time.monotonic() - began < 10


def half_send(port, *, held, fields="", source="127.0.0.1"):
    """Open a request whose body stops half-way."""
    line = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
    held.enter_context(line)
    text = post(100, "half").replace("Host: h\n", f"Host: h\n{fields}")
    line.sendall(text.replace("\n", "\r\n").encode())
    return line


def refusals(lines):
    """Read what is answered within half a second; returns (status, problem, head) of each."""
    answered, _, _ = select.select(lines, [], [], 0.5)
    found = []
    for line in answered:
        head, _, body = b"".join(iter(lambda line=line: line.recv(65_536), b"")).partition(
            b"\r\n\r\n"
        )
        found.append((int(head.split()[1]), json.loads(body)["code"], head.decode().lower()))
    return found


def test_clients_that_stop_half_way_stop_nobody_else(port):
    """Of 64 bodies of one address eight are waited for, and the rest are refused at once.

    Two threads serve: under WSGI, two half-sent bodies would be the end of it.
    """
    with ExitStack() as held:
        lines = [half_send(port, held=held) for _ in range(64)]
        time.sleep(0.3)
        refused = refusals(lines)
        assert [(status, code) for status, code, _ in refused] == [
            (429, "too_many_open_bodies")
        ] * 56
        assert all("retry-after: 3" in head and "problem+json" in head for *_, head in refused)
        began = time.monotonic()
        assert environ(port)["REQUEST_METHOD"] == "GET"
        other = [half_send(port, held=held, source=f"127.0.0.{n}") for n in range(2, 10)]
        time.sleep(0.2)
        assert [code for _, code, _ in refusals(other)] == ["busy"] * 4, "twelve in all"
        assert environ(port)["REQUEST_METHOD"] == "GET"
        assert time.monotonic() - began < 1.5, "before any of the bodies was given up"
    time.sleep(0.3)
    assert send(port, post(4, "body"))[0].startswith("HTTP/1.1 201"), "what is closed is not open"


@pytest.mark.parametrize(("source", "refused"), [("127.0.0.1", 4), (PROXY, 0)])
def test_bodies_count_for_the_address_that_a_trusted_proxy_names(port, source, refused):
    field = "X-Forwarded-For: 198.51.100.{}\n"
    with ExitStack() as held:
        lines = [
            half_send(port, held=held, fields=field.format(n), source=source) for n in range(12)
        ]
        time.sleep(0.3)
        assert len(refusals(lines)) == refused
    time.sleep(0.3)


def test_a_client_that_leaves_half_way_is_forgotten(port):
    with closing(socket.create_connection(("127.0.0.1", port))) as line:
        line.sendall(post(100, "half").replace("\n", "\r\n").encode())
    assert environ(port)["REQUEST_METHOD"] == "GET"


def test_requests_are_served_at_once_by_the_threads(port):
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: environ(port, path="/slow"), range(2)))
    assert time.monotonic() - began < 1.9


def test_an_answer_in_pieces_is_streamed_and_closed(port):
    before = environ(port)["closed"]
    head, body = send(port, "GET /stream HTTP/1.1\nHost: h\nConnection: close\n\n")
    assert head.startswith("HTTP/1.1 200")
    assert body.count(b"x") == 64 * 65_536
    assert environ(port)["closed"] == before + 1


def test_a_reader_that_leaves_frees_the_thread_and_closes_the_answer(port):
    before = environ(port)["closed"]
    for _ in range(4):
        with closing(socket.create_connection(("127.0.0.1", port))) as line:
            line.sendall(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n")
            line.recv(10)
    deadline = time.monotonic() + 10
    while environ(port)["closed"] < before + 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_application_that_breaks_is_a_500_and_the_next_request_is_served(port, log):
    head, body = send(port, "GET /broken HTTP/1.1\nHost: h\nConnection: close\n\n")
    assert head.startswith("HTTP/1.1 500")
    assert "content-type: application/problem+json" in head.lower()
    assert json.loads(body)["code"] == "internal_error"
    assert "ZeroDivisionError" in logged(log, body)["exception"]
    assert environ(port)["REQUEST_METHOD"] == "GET"
