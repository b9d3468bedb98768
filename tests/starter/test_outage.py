"""The real server, and a PostgreSQL and a Valkey that are stopped and started again under it."""

import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.urls import URLPattern, get_resolver

from config.starter import ports
from config.starter.postgresql import EmbeddedPostgreSQL
from tests.rate_limiting.conftest import OwnValkey

ROOT = Path(__file__).resolve().parents[2]
THREADS = 4
ADA = {"email": "ada@example.org", "password": "brisk-otter-lantern-94"}
MAKE_ADA = f"""
from django.contrib.auth import get_user_model
get_user_model().objects.create_superuser(email={ADA["email"]!r}, password={ADA["password"]!r})
"""
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PROGRAM = "application/json"
REQUESTS = [("GET", BROWSER), ("POST", BROWSER)]
REQUESTS += [(method, PROGRAM) for method in ("GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE")]
pytestmark = pytest.mark.postgresql


class Site:
    """The site on a port, served by a database of its own."""

    def __init__(self, folder):
        self.database = EmbeddedPostgreSQL(folder / "servers", options={"fsync": "off"})
        self.store = OwnValkey(folder)
        self.store.start()
        self.log = folder / "log"
        self.port = ports.free_port()
        self.known = {}
        self.environment = os.environ | {
            "DATABASE_URL": self.database.start(),
            "REDIS_URL": self.store.url,
            "GARRISON_ENV": "development",
            "VAR_DIR": str(folder / "var"),
            "WEB_THREADS": str(THREADS),
        }
        for command in (["migrate"], ["collectstatic", "--no-input"], ["shell", "-c", MAKE_ADA]):
            self._run("manage.py", *command, "-v0").wait()
        server = ["-m", "granian", "--interface", "rsgi", "--no-ws", "--port", str(self.port)]
        self.server = self._run(*server, "config.rsgi:application")

    def _run(self, *arguments):
        with self.log.open("ab") as log:
            command = [sys.executable, *arguments]
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    def ask(self, method, path, *, accept=PROGRAM, headers=None, body=None):
        headers = {"Accept": accept} | (self.known if headers is None else headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=6)) as line:
            line.request(method, path, json.dumps(body) if body else None, headers)
            answer = line.getresponse()
            answer.text = answer.read().decode()
            return answer

    def at_once(self, path):
        with ThreadPoolExecutor(THREADS) as pool:
            return [a.status for a in pool.map(lambda _: self.ask("GET", path), range(40))]

    def sign_in(self):
        """Let each request carry an access token, and each form a session and its CSRF token."""
        answer = self.ask("POST", "/api/auth/login", headers={}, body=ADA)
        assert answer.status == 200, answer.text + self.log.read_text()
        page = self.ask("GET", "/admin/login/", headers={})
        csrf = re.search(r"csrf=(\w+)", page.headers["Set-Cookie"])[1]
        form = f"username={ADA['email']}&password={ADA['password']}&next=/admin/"
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=6)) as line:
            headers = {
                "Cookie": f"csrf={csrf}",
                "X-CSRFToken": csrf,
                "Content-Type": "application/x-www-form-urlencoded",
            }
            line.request("POST", "/admin/login/", form, headers)
            signed_in = line.getresponse()
        assert signed_in.status == 302, signed_in.status
        cookies = "; ".join(re.findall(r"\b(?:csrf|session)=[\w]+", str(signed_in.headers)))
        csrf = re.search(r"csrf=(\w+)", cookies)[1]
        token = json.loads(answer.text)["access"]
        self.known = {
            "Authorization": f"Bearer {token}",
            "Cookie": cookies,
            "X-CSRFToken": csrf,
        }


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("outage"))
    deadline = time.monotonic() + 30
    while ports.is_free(site.port):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    site.sign_in()
    yield site
    site.server.terminate()
    assert site.server.wait(timeout=20) == 0
    site.store.stop()
    site.database.destroy()


def paths(patterns=None, before="/"):
    """Return an address of each route there is."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        text = re.sub(r"<uuid:\w+>", "6f0c0000-0000-4000-8000-000000000000", str(entry.pattern))
        text = re.sub(r"<(\w+:)?\w+>|\(\?P<\w+>[^)]*\)", "1", text)
        address = before + re.sub(r"^\^|\$$|\\", "", text)
        if isinstance(entry, URLPattern):
            yield re.sub(r"\.\*|\(\?:.*", "nothing", address)
        else:
            yield from paths(entry.url_patterns, address)


def walk(site):
    """Ask every route, and a few that are none, in each way."""
    routes = [*dict.fromkeys(paths()), "/nothing", "/api/nothing", "/admin/nothing/"]
    assert len(routes) > 100
    for path, (method, accept) in itertools.product(routes, REQUESTS):
        body = ADA if method in {"POST", "PATCH"} else None
        answer = site.ask(method, path, accept=accept, body=body)
        what = (method, path, accept, answer.status, answer.text[:300])
        verify_answer(answer, what)
        yield what, answer


def verify_answer(answer, what):
    assert answer.status < 500 or answer.status == 503, what
    assert answer.headers["X-Request-ID"], what
    if answer.status == 503:
        assert (answer.headers["Retry-After"] or "").isdigit(), what
        assert "no-store" in answer.headers["Cache-Control"], what


def test_every_thread_serves_again_with_its_first_request(site):
    """A statement to ask whether a connection lives would cost every request a round trip."""
    assert set(site.at_once("/api/auth/me")) == {200}
    site.database.stop()
    assert set(site.at_once("/api/auth/me")) == {503}
    site.database.start()
    assert set(site.at_once("/api/auth/me")) == {200}


def test_connections_that_the_server_ended_are_never_used(site):
    for _ in range(3):
        assert set(site.at_once("/api/auth/me")) == {200}
        with psycopg.connect(site.environment["DATABASE_URL"], autocommit=True) as other:
            while other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall():
                time.sleep(0.01)  # until the last is gone
        assert set(site.at_once("/api/auth/me")) == {200}


def test_no_route_answers_a_lost_database_by_500(site):
    site.database.stop()
    began = len(site.log.read_text())
    lost = 0
    try:
        for what, answer in walk(site):
            method, path, accept = what[:3]
            if answer.status == 503 and path != "/health/ready":
                lost += 1
                is_page = accept is BROWSER and not path.startswith("/api/")
                kind = "text/html" if is_page else "application/problem+json"
                assert answer.headers["Content-Type"].startswith(kind), what
                if method != "HEAD":
                    assert answer.headers["X-Request-ID"] in answer.text, what
        assert site.ask("GET", "/health").status == 200
        assert site.ask("GET", "/health/ready").status == 503
        assert site.ask("GET", "/api/schema", headers={}).status == 200
        sign_in = site.ask("POST", "/api/auth/login", headers={}, body=ADA)
        assert (sign_in.status, json.loads(sign_in.text)["code"]) == (503, "unavailable")
    finally:
        site.database.start()
    log = site.log.read_text()[began:]
    assert lost > 100
    assert len(re.findall("Service Unavailable: /(?!health)", log)) == lost + 1, "once each"
    assert "raised an exception" not in log, log[:3000]
    assert site.ask("POST", "/api/auth/login", headers={}, body=ADA).status == 200


def test_no_route_answers_a_lost_store_by_500(site):
    site.sign_in()
    site.store.stop()
    try:
        answers = {what[:3]: answer.status for what, answer in walk(site)}
        sign_in = site.ask("POST", "/api/auth/login", headers={}, body=ADA)
        assert (sign_in.status, json.loads(sign_in.text)["code"]) == (
            503,
            "rate_limiter_unavailable",
        )
    finally:
        site.store.start()
    assert answers["GET", "/api/auth/me", PROGRAM] == 200, "reads go on"
    assert answers["GET", "/health", PROGRAM] == 200


NO_HOST_OF_OURS = {
    "none": [],
    "empty": [""],
    "two": ["localhost", "localhost"],
    "joined": ["localhost,localhost"],
    "unknown": ["evil.example"],
    "malformed": ["a b/@["],
}


@pytest.mark.parametrize("hosts", NO_HOST_OF_OURS.values(), ids=NO_HOST_OF_OURS)
def test_health_needs_no_host_and_anything_else_does(site, hosts):
    def ask(path):
        with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=6)) as line:
            line.putrequest("GET", path, skip_host=True)
            for host in hosts:
                line.putheader("Host", host)
            line.putheader("Accept", PROGRAM)
            line.endheaders()
            answer = line.getresponse()
            return answer.status, answer.headers["Content-Type"], json.loads(answer.read())

    status, _, body = ask("/health")
    assert (status, body) == (200, {"status": "alive"})
    status, _, body = ask("/health/ready")
    assert status == site.ask("GET", "/health/ready").status, body
    assert body["checks"]
    for path in ("/", "/api/auth/me", "/admin/", "/static/x.css", "/.well-known/jwks.json"):
        status, kind, body = ask(path)
        assert (status, kind, body["code"]) == (400, "application/problem+json", "bad_request"), (
            path
        )
