"""Breached passwords: by a service that answers, drips, hangs, lies and dies; and by a file."""

import hashlib
import json
import os
import random
import socket
import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.conf import settings as accounts_settings
from accounts.password.breaches import corpus, service
from accounts.password.breaches.known import is_breached
from accounts.password.policy import reasons_against
from audit.models import SecurityEvent
from tests.accounts.breach_server import OK, PADDING, dies, drips, hangs, says, serving
from tests.accounts.conftest import PASSWORD

DEADLINE = service.DEADLINE_SECONDS + 0.2
LINES = int(os.environ.get("BREACH_CORPUS_LINES", "1000000"))
SHA1 = hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).hexdigest().upper()
OTHER = "vermilion otter gargle kelp"


@pytest.fixture(autouse=True)
def _apart(settings, tmp_path, monkeypatch):
    """Begin with no corpus, no service, and a closed circuit."""
    settings.ACCOUNTS_BREACH_CORPUS = str(tmp_path / "corpus" / "breaches.txt")
    settings.ACCOUNTS_BREACH_SERVICE_URL = ""
    monkeypatch.setattr(service, "breaker", service.Breaker())


def found(password=PASSWORD):
    return [reason.code for reason in reasons_against(password, user=None)]


def timed(act):
    started = time.monotonic()
    return act(), time.monotonic() - started


# --- The service ----------------------------------------------------------------------------------


def line(count):
    return f"{SHA1[5:]}:{count}\r\n".encode()


@pytest.mark.parametrize(("count", "codes"), [(7, ["breached"]), (0, [])])
def test_five_characters_of_the_hash_leave_and_padding_is_no_breach(settings, count, codes):
    with serving(says(PADDING + line(count))) as server:
        settings.ACCOUNTS_BREACH_SERVICE_URL = server.url
        assert found() == codes
    (asked,) = server.asked
    head = asked.decode().lower()
    assert head.startswith(f"get /range/{SHA1[:5].lower()} http/1.1")
    assert "add-padding: true" in head
    assert SHA1[5:].lower() not in head


def test_nobody_is_asked_about_what_is_refused_already_nor_where_none_is_named(settings):
    assert found() == []
    with serving(says(PADDING)) as server:
        settings.ACCOUNTS_BREACH_SERVICE_URL = server.url
        assert "breached" not in found("password1234")
    assert server.asked == []


ELSEWHERE = b"HTTP/1.1 302 Found\r\nLocation: "
BAD = {
    "hangs": hangs,
    "dies": dies,
    "dies at once": lambda client: None,
    "drips its body": drips(OK + b"Content-Length: 100000\r\n\r\n"),
    "drips its body to the end": drips(OK + b"Connection: close\r\n\r\n"),
    "drips its head": drips(OK + b"X-Slow: "),
    "drips its first line": drips(b"HTTP/1.1 200 "),
    "lies in HTML": says(b"<html>Sign in to the hotel's network</html>"),
    "lies with hashes of another length": says(b"0018A45C:1\r\n"),
    "says nothing": says(b""),
    "says too much": says(b"0" * 35 + b":1\r\n" + PADDING * 90),
    "says too much, in chunks": lambda client: client.sendall(
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + (b"FFFF\r\n" + b"A" * 65535 + b"\r\n") * 40
    ),
    "is no web server": lambda client: client.sendall(b"SSH-2.0-OpenSSH\r\n"),
    "breaks": says(PADDING, b"HTTP/1.1 500 Oops\r\n"),
    "refuses": says(PADDING, b"HTTP/1.1 429 Too Many Requests\r\n"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("policy", ["accept", "refuse"])
@pytest.mark.parametrize("name", BAD)
def test_one_that_misbehaves_takes_a_second_at_most_and_the_policy_applies(settings, name, policy):
    settings.ACCOUNTS_BREACH_ON_FAILURE = policy
    with serving(BAD[name]) as server:
        settings.ACCOUNTS_BREACH_SERVICE_URL = server.url
        known, seconds = timed(lambda: is_breached(PASSWORD))
        assert (known, seconds < DEADLINE) == (None, True), (name, seconds)
        codes, seconds = timed(found)
    assert codes == (["breached"] if policy == "refuse" else [])
    assert len(server.asked) == 2


@pytest.mark.django_db
def test_a_redirect_leads_nowhere(settings):
    with serving(says(PADDING + line(7))) as other, serving(hangs) as server:
        server.behave = says(b"", ELSEWHERE + other.url.encode() + b"\r\n")
        settings.ACCOUNTS_BREACH_SERVICE_URL = server.url
        assert is_breached(PASSWORD) is None
    assert (len(server.asked), other.asked) == (1, [])


@pytest.mark.django_db
def test_nor_does_a_port_where_nobody_listens_or_nobody_speaks_tls(settings):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    settings.ACCOUNTS_BREACH_SERVICE_URL = f"http://127.0.0.1:{port}/range/"
    known, seconds = timed(lambda: is_breached(PASSWORD))
    assert (known, seconds < DEADLINE) == (None, True)
    with serving(hangs) as server:
        settings.ACCOUNTS_BREACH_SERVICE_URL = server.url.replace("http:", "https:")
        known, seconds = timed(lambda: is_breached(PASSWORD))
    assert (known, seconds < DEADLINE) == (None, True)


@pytest.mark.django_db
def test_the_deadline_covers_the_resolution_of_its_name(settings, monkeypatch):
    def slow(*_, **__):
        time.sleep(2)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    settings.ACCOUNTS_BREACH_SERVICE_URL = "https://breaches.invalid/range/"
    known, seconds = timed(lambda: is_breached(PASSWORD))
    assert (known, seconds < DEADLINE) == (None, True)


@pytest.mark.django_db(transaction=True)
def test_after_three_failures_nobody_waits_until_one_asks_again(settings, monkeypatch):
    with serving(hangs) as server:
        settings.ACCOUNTS_BREACH_SERVICE_URL = server.url
        assert [is_breached(PASSWORD) for _ in range(3)] == [None] * 3
        known, seconds = timed(lambda: [is_breached(PASSWORD) for _ in range(50)])
        assert set(known) == {None}
        assert seconds < 0.5
        assert len(server.asked) == 3
        assert SecurityEvent.objects.of_kinds(["accounts.breach_service.lost"]).count() == 1
        server.behave = says(PADDING + line(7))
        monkeypatch.setattr(service.breaker, "open_until", 0.0)
        assert is_breached(PASSWORD) is True  # and the threads that waited are free again
        assert is_breached(OTHER) is False


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("https://api.pwnedpasswords.com/range/", True),
        ("http://127.0.0.1:9/range/", True),
        ("", True),
        ("http://api.pwnedpasswords.com/range/", False),
        ("file:///etc/passwd", False),
        ("https://", False),
    ],
)
def test_the_address_is_https_or_this_machine(settings, url, is_right):
    settings.ACCOUNTS_BREACH_SERVICE_URL = url
    problem = type(accounts_settings).breach_service_url.problem()
    assert (problem is None) is is_right


# --- The file -------------------------------------------------------------------------------------


def written(path, hashes, end=b"\r\n"):
    path.write_bytes(b"".join(b"%s:%d" % (each.encode(), 3) + end for each in hashes))
    return str(path)


def some(number, seed=1):
    rnd = random.Random(seed)
    return sorted({f"{rnd.getrandbits(160):040X}" for _ in range(number)})


def command(*args):
    out = StringIO()
    call_command("breach_corpus", *args, "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("number", [1, 2, 3, 100, 1_001])
def test_each_line_is_found_and_nothing_else(tmp_path, settings, number, end):
    hashes = some(number)
    file = tmp_path / "given.txt"
    assert command("install", written(file, hashes, end))["lines"] == number
    file.unlink()
    path = corpus.installed_path()
    assert [corpus.count_of(each, path=path) for each in hashes] == [3] * number
    assert corpus.count_of(hashes[0].lower(), path=path) == 3
    others = [*some(200, seed=2), "0" * 40, "F" * 40]
    assert [corpus.count_of(each, path=path) for each in others] == [0] * len(others)


def test_an_installed_file_answers_and_no_service_is_asked(tmp_path, settings):
    with serving(says(PADDING)) as server:
        settings.ACCOUNTS_BREACH_SERVICE_URL = server.url
        command("install", written(tmp_path / "given.txt", sorted([*some(50), SHA1])))
        assert (found(), found(OTHER)) == (["breached"], [])
    assert server.asked == []
    assert command("status")["bytes"] > 0


H = some(3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (f"{H[1]}:1\n{H[0]}:1\n", "Line 2 is out of order"),
        (f"{H[0]}:1\n{H[0]}:1\n", "Line 2 is out of order"),
        (f"{H[0]}:1\n{H[1]}\n", "Line 2 is not"),
        (f"{H[0]}:1\n\n{H[1]}:2\n", "Line 2 is not"),
        (f"{H[0]}:1\n{H[1]}:2\nTruncat", "Line 3 is not"),
        (f"{H[0]}:-1\n", "Line 1 is not"),
        ("x" * 5_000_000, "Line 1 is not"),
    ],
)
def test_a_file_that_is_none_is_refused_and_the_one_before_stays(tmp_path, text, reason):
    command("install", written(tmp_path / "good.txt", [SHA1]))
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(CommandError, match=reason):
        command("install", str(tmp_path / "bad.txt"))
    assert is_breached(PASSWORD) is True
    assert [each.name for each in (tmp_path / "corpus").iterdir()] == ["breaches.txt"]


def test_the_command_fails_where_there_is_nothing(tmp_path):
    absent = str(tmp_path / "absent.txt")
    for action in (["status"], ["install", absent], ["install"], ["status", absent]):
        with pytest.raises(CommandError):
            command(*action)


@pytest.mark.parametrize("policy", ["accept", "refuse"])
def test_a_file_that_is_damaged_later_answers_nothing(settings, tmp_path, policy):
    settings.ACCOUNTS_BREACH_ON_FAILURE = policy
    command("install", written(tmp_path / "good.txt", some(1_000)))
    corpus.installed_path().write_bytes(b"\xff" * 10_000)
    assert is_breached(PASSWORD) is None
    assert found() == (["breached"] if policy == "refuse" else [])
    with pytest.raises(CommandError):
        command("status")


@pytest.mark.slow
def test_a_lookup_takes_less_than_a_millisecond(settings, tmp_path):
    """In a million lines, or as many as ``BREACH_CORPUS_LINES`` names."""
    path, step = tmp_path / "large.txt", 2**160 // LINES
    with path.open("wb") as file:
        file.writelines(b"%040X:7\r\n" % (number * step) for number in range(LINES))
    wanted = [f"{random.Random(n).randrange(LINES) * step:040X}" for n in range(500)]
    took = []
    for each in wanted + some(500):
        count, seconds = timed(lambda each=each: corpus.count_of(each, path=path))
        assert count == (7 if int(each, 16) % step == 0 else 0)
        took.append(seconds)
    took.sort()
    assert took[500] < 0.001, f"median {took[500]:.6f} s, p99 {took[990]:.6f} s"
