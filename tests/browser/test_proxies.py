"""Through real TLS proxies, as docs/proxies.md has them: nobody is forged, everybody signs in."""

import http.client
import json
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from audit.models import SecurityEvent
from tests.browser import proxied
from tests.browser.conftest import EMAIL, PASSWORD

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

PROXIES = ["nginx", "nginx-permissive", "haproxy", "caddy"]
FORGED = "198.51.100.66"
FORGERIES = [
    ("X-Forwarded-For", FORGED),
    ("X-Forwarded-For", f"{FORGED}, {FORGED}"),
    ("X_Forwarded_For", FORGED),
    ("X-Forwarded_For", FORGED),
    ("x_forwarded-for", FORGED),
    ("X-Real-IP", FORGED),
    ("Forwarded", f"for={FORGED};proto=http;host=evil.example"),
    ("X-Forwarded-Proto", "http"),
    ("X_Forwarded_Proto", "http"),
    ("X-Forwarded-Host", "evil.example"),
    ("X_Forwarded_Host", "evil.example"),
    ("X-Request-ID", "chosen-by-attacker"),
    ("X_Request_ID", "chosen-by-attacker"),
]
JSON = ("Content-Type", "application/json")


@pytest.fixture
def served(transactional_db, collected_files, tmp_path):
    """Serve the test's database as production is served, with SECURE_SSL_REDIRECT."""
    (tmp_path / "static").symlink_to(collected_files)
    server, port = proxied.start_site(tmp_path)
    yield port
    server.terminate()
    server.wait(timeout=30)


@pytest.fixture(params=PROXIES)
def proxy(request, served, tmp_path):
    """Stand a proxy before it; gives its port."""
    if not proxied.program(request.param):
        missing = f"{request.param.partition('-')[0]} is not installed: apt-get install it"
        warnings.warn(f"SKIPPED: {missing}", pytest.PytestWarning, stacklevel=1)
        pytest.skip(missing)
    server, port = proxied.start_proxy(request.param, tmp_path, site_port=served)
    yield port
    server.terminate()
    server.wait(timeout=30)


@pytest.fixture
def line(proxy, tmp_path):
    return proxied.Line(tmp_path, proxy)


def test_no_client_chooses_its_address_scheme_host_or_request_id(line, administrator):
    body = json.dumps({"email": EMAIL, "password": "wrong-Passphrase-71"})
    answer, _ = line.ask("POST", "/api/auth/login", [JSON, *FORGERIES], body)
    assert answer.status == 401
    assert answer.headers["Strict-Transport-Security"]
    event = SecurityEvent.objects.order_by("pk").last()
    assert (event.kind, event.ip) == ("accounts.login.failed", line.ADDRESS)
    assert answer.headers["X-Request-ID"] != "chosen-by-attacker"


def test_a_stranger_who_comes_without_the_proxy_is_believed_in_nothing(served):
    source = ("127.0.0.2", 0)
    with closing(http.client.HTTPConnection("127.0.0.1", served, source_address=source)) as plain:
        plain.request("GET", "/admin/", headers={"Host": "localhost", "X-Forwarded-Proto": "https"})
        answer = plain.getresponse()
        assert (answer.status, answer.headers["Location"]) == (301, "https://localhost/admin/")


@pytest.mark.browser
@pytest.mark.parametrize("proxy", ["nginx", "haproxy", "caddy"], indirect=True)
def test_a_browser_signs_in_to_the_admin(proxy, browser, administrator):
    """Its ``Origin`` passes, nothing redirects for ever, and its cookies are ``__Host-`` ones."""
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    redirects = []
    page.on("response", lambda answer: redirects.append(answer.url) if answer.status == 301 else 0)
    page.goto(f"https://localhost:{proxy}/admin/")
    page.fill("input[name=username]", EMAIL)
    page.fill("input[name=password]", PASSWORD)
    page.click("input[type=submit]")
    page.wait_for_selector("#security-dashboard")
    assert page.url == f"https://localhost:{proxy}/admin/"
    assert redirects == []
    cookies = {cookie["name"]: cookie for cookie in context.cookies()}
    assert {"__Host-session", "__Host-csrf"} <= cookies.keys()
    assert all(cookie["secure"] for cookie in cookies.values())
    context.close()


def test_the_page_of_proxies_is_the_one_tested():
    text = Path(proxied.ROOT / "docs/proxies.md").read_text()
    assert [text.count(f"```{kind}\n") for kind in ("nginx", "caddy", "haproxy")] == [1, 1, 1]
