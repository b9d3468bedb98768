"""Scheme, host and address of a request: believed of trusted peers, and of nobody else."""

import asyncio
import io

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from garrison import client_ip, context, proxies
from garrison.checks import W006, check_proxies
from garrison.middleware import RequestContextMiddleware

PROXY = "10.0.0.7"
STRANGER = "198.51.100.66"
CLIENT = "203.0.113.9"


@pytest.fixture(autouse=True)
def _house(settings):
    settings.GARRISON_TRUSTED_PROXIES = ["10.0.0.0/8", "2001:db8:ffff::/48"]
    settings.ALLOWED_HOSTS = ["site.example", ".wide.example", "[2001:db8::1]"]


def scope_of(peer, headers, path="/page"):
    """Describe a request as an ASGI server does."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "query_string": b"x=1",
        "headers": [(n.lower().encode(), v.encode()) for n, v in headers.items()],
        "client": (peer, 50_000),
        "server": ("127.0.0.1", 8000),
    }


def made(how, peer, headers, host="site.example"):
    """Make a request as a server of either kind gives it to Django."""
    headers = {"Host": host, **headers}
    if how == "asgi":
        return ASGIRequest(scope_of(peer, headers), io.BytesIO())
    return RequestFactory().get("/page?x=1", headers=headers, REMOTE_ADDR=peer)


@pytest.fixture(params=["wsgi", "asgi"])
def resolved(request):
    """Resolve a request of either kind."""

    def do(headers=None, *, peer=PROXY, host="site.example"):
        asked = made(request.param, peer, headers or {}, host)
        assert isinstance(asked, ASGIRequest) == (request.param == "asgi")
        proxies.resolve(asked)
        return asked

    return do


FORWARDED = {
    "X-Forwarded-For": CLIENT,
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "other.wide.example",
    "X-Forwarded-Port": "444",
    "X-Real-IP": CLIENT,
    "Forwarded": f"for={CLIENT};proto=https;host=other.wide.example",
}


def test_a_trusted_peer_decides_scheme_and_address(resolved):
    request = resolved(FORWARDED)
    assert (request.scheme, request.is_secure()) == ("https", True)
    assert request.META["REMOTE_ADDR"] == client_ip.client_ip(request.META) == CLIENT
    assert request.get_host() == "site.example"
    assert request.get_port() == "443"
    assert request.build_absolute_uri() == "https://site.example/page?x=1"


def test_nobody_else_does(resolved):
    request = resolved(FORWARDED, peer=STRANGER)
    assert (request.scheme, request.is_secure()) == ("http", False)
    assert request.META["REMOTE_ADDR"] == client_ip.client_ip(request.META) == STRANGER
    assert request.build_absolute_uri() == "http://site.example/page?x=1"


@pytest.mark.parametrize("peer", [PROXY, STRANGER])
def test_no_forwarding_field_is_left_for_anybody_to_believe(resolved, settings, peer):
    settings.USE_X_FORWARDED_HOST = settings.USE_X_FORWARDED_PORT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_OWN_SCHEME", "on")
    request = resolved(FORWARDED | {"X-Own-Scheme": "on"}, peer=peer)
    left = {name for name in request.headers if name.startswith(("X-", "Forwarded"))}
    assert left == set()


def test_the_fields_are_gone_even_for_whoever_has_read_them_before():
    request = made("wsgi", STRANGER, FORWARDED)
    assert "X-Forwarded-For" in request.headers
    proxies.resolve(request)
    assert "X-Forwarded-For" not in request.headers


def test_a_request_is_resolved_once(resolved):
    """A client inside the trusted ranges is no proxy, whatever somebody writes there later."""
    request = resolved({"X-Forwarded-For": "10.9.9.9"})
    request.META["HTTP_X_FORWARDED_PROTO"] = "https"
    proxies.resolve(request)
    assert not request.is_secure()
    assert request.META["REMOTE_ADDR"] == "10.9.9.9"
    assert client_ip.peer_is_trusted(request.META)
    stranger = resolved({}, peer=STRANGER)
    stranger.META["REMOTE_ADDR"] = PROXY
    assert not client_ip.peer_is_trusted(stranger.META)


@pytest.mark.parametrize(
    ("told", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        (" https ", "https"),
        ("http", "http"),
        ("https,http", "http"),  # the client's word, then the proxy's
        ("http, https", "https"),
        ("https https", "http"),
        ("https://", "http"),
        ("wss", "http"),
        ("http\u017f", "http"),
        ("https" * 20_000, "http"),
        ("", "http"),
    ],
)
def test_of_several_schemes_the_last_counts_and_only_https_is_secure(told, scheme):
    request = RequestFactory().get("/", REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_PROTO=told)
    proxies.resolve(request)
    assert request.scheme == scheme


def test_the_proxy_s_word_counts_over_the_connection_s():
    """A proxy that encrypts towards us must not make a plain request look secure."""
    for told, scheme in ((None, "https"), ("http", "http"), ("https", "https")):
        headers = {"X-Forwarded-Proto": told} if told else {}
        request = RequestFactory().get("/", secure=True, REMOTE_ADDR=PROXY, headers=headers)
        proxies.resolve(request)
        assert request.scheme == scheme


def test_a_client_s_own_forwarded_host_is_not_believed_unless_it_is_asked_for(resolved, settings):
    told = {"X-Forwarded-Host": "evil.wide.example, other.wide.example"}
    assert resolved(told).get_host() == "site.example"
    settings.USE_X_FORWARDED_HOST = True
    assert resolved(told).get_host() == "other.wide.example"
    assert resolved(told, peer=STRANGER).get_host() == "site.example"
    assert resolved({}).get_host() == "site.example"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "site.example:80:80",
        "site.example:port",
        "site.example/path",
        "user@site.example",
        "site example",
        "[2001:db8::1",
        "site.example\t",
        "s" * 70_000,
        "[::1]:443",
    ],
)
def test_a_malformed_or_foreign_host_is_refused_wherever_it_comes_from(resolved, settings, host):
    settings.USE_X_FORWARDED_HOST = True
    with pytest.raises(DisallowedHost):
        resolved({"X-Forwarded-Host": f"x.{host}" if host.endswith("\t") else host}).get_host()
    with pytest.raises(DisallowedHost):
        resolved({}, host=host).get_host()


@pytest.mark.parametrize(
    ("host", "told", "port"),
    [
        ("site.example", "8443", "8443"),
        ("site.example:444", "", "444"),
        ("site.example:444", "0", "444"),
        ("site.example", "99999", "443"),
        ("site.example", "-1", "443"),
        ("site.example", "443; DROP", "443"),
        ("site.example", "١٢٣", "443"),
        ("site.example", "8443, 443", "443"),
        ("[2001:db8::1]", "", "443"),
        ("[2001:db8::1]:8443", "", "8443"),
    ],
)
def test_a_port_is_a_port_or_what_the_host_says(settings, host, told, port):
    settings.USE_X_FORWARDED_PORT = True
    request = RequestFactory().get(
        "/",
        REMOTE_ADDR=PROXY,
        HTTP_HOST=host,
        HTTP_X_FORWARDED_PROTO="https",
        HTTP_X_FORWARDED_PORT=told,
    )
    proxies.resolve(request)
    assert request.get_port() == port
    assert request.build_absolute_uri("/") == f"https://{host}/"


def test_an_ipv6_client_behind_an_ipv6_proxy(resolved):
    request = resolved(
        {"X-Forwarded-For": "[2001:DB8::5]:4711", "X-Forwarded-Proto": "https"},
        peer="2001:db8:ffff::1",
        host="[2001:db8::1]:8443",
    )
    assert request.META["REMOTE_ADDR"] == "2001:db8::5"
    assert request.build_absolute_uri("/") == "https://[2001:db8::1]:8443/"


def test_a_host_s_own_ssl_header_is_believed_of_trusted_peers_only(resolved, settings):
    """Django's setting trusts anybody; here it names which field the proxy writes."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_OWN_SCHEME", "on")
    told = {"X-Own-Scheme": "on", "X-Forwarded-Proto": "http"}
    assert resolved(told).is_secure()
    assert not resolved({"X-Own-Scheme": "on, off"}).is_secure()
    assert not resolved({"X-Forwarded-Proto": "https"}).is_secure()
    assert not resolved(told, peer=STRANGER).is_secure()
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert resolved({"X-Forwarded-Proto": "https"}).is_secure()
    assert not resolved({"X-Forwarded-Proto": "https"}, peer=STRANGER).is_secure()


def test_settings_that_need_a_trusted_proxy_are_found_without_one(settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.USE_X_FORWARDED_HOST = True
    assert check_proxies(None) == []
    settings.GARRISON_TRUSTED_PROXIES = []
    (found,) = check_proxies(None)
    assert found.id == W006
    assert "SECURE_PROXY_SSL_HEADER, USE_X_FORWARDED_HOST" in found.msg
    settings.SECURE_PROXY_SSL_HEADER, settings.USE_X_FORWARDED_HOST = None, False
    assert check_proxies(None) == []


def test_a_server_that_folds_names_makes_nobody_believed(caplog):
    """What stands there may be the client's ``X_Forwarded_For``; said once, with the remedy."""
    client_ip._report_folding.cache_clear()
    for _ in range(2):
        request = RequestFactory().get(
            "/", REMOTE_ADDR=PROXY, SERVER_SOFTWARE="Granian", headers=FORWARDED
        )
        assert client_ip.client_ip(request.META) == PROXY
        proxies.resolve(request)
        assert (request.scheme, request.META["REMOTE_ADDR"]) == ("http", PROXY)
    (said,) = caplog.records
    assert "--interface rsgi" in said.getMessage()


fields = st.dictionaries(
    st.sampled_from(sorted(proxies.FORWARDING_FIELDS | {"HTTP_HOST"})),
    st.text(max_size=60) | st.lists(st.sampled_from(["https", "http", CLIENT, ""])).map(",".join),
)


@given(fields=fields, peer=st.sampled_from([PROXY, STRANGER, "", "nonsense", "::ffff:10.0.0.7"]))
def test_whatever_is_sent_nothing_raises_and_what_comes_out_is_well_formed(fields, peer):
    request = RequestFactory().get("/", **fields | {"REMOTE_ADDR": peer})
    proxies.resolve(request)
    assert request.scheme in {"http", "https"}
    assert 0 <= int(request.get_port()) <= 99_999
    assert not proxies.FORWARDING_FIELDS & request.META.keys()
    if peer in {STRANGER, "", "nonsense"}:
        assert request.scheme == "http"
        assert request.META["REMOTE_ADDR"] == peer
    else:
        assert client_ip.parse(request.META["REMOTE_ADDR"]) is not None


# --- The whole site -------------------------------------------------------------------------------

TLS = {"headers": {"Origin": "https://site.example", "X-Forwarded-Proto": "https"}}
FORM = {"username": "nobody@example.org", "password": "wrong-Passphrase-71"}


def sign_in(client, peer):
    """Post the admin's sign-in as a browser does, with its token and its ``Origin``."""
    there = {"SERVER_NAME": "site.example", "REMOTE_ADDR": peer}
    page = client.get("/admin/login/", headers={"X-Forwarded-Proto": "https"}, **there)
    form = FORM | {"csrfmiddlewaretoken": page.context["csrf_token"]}
    return client.post("/admin/login/", form, **TLS, **there)


@pytest.mark.django_db
def test_a_browser_s_origin_passes_behind_a_trusted_tls_proxy_and_no_other():
    assert sign_in(Client(enforce_csrf_checks=True), PROXY).status_code == 200
    assert sign_in(Client(enforce_csrf_checks=True), STRANGER).status_code == 403


@pytest.mark.django_db
def test_https_is_asked_for_once(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    there = {"SERVER_NAME": "site.example", "REMOTE_ADDR": PROXY}
    plain = client.get("/admin/login/", headers={"X-Forwarded-Proto": "http"}, **there)
    assert (plain.status_code, plain["Location"]) == (301, "https://site.example/admin/login/")
    secure = client.get("/admin/login/", headers={"X-Forwarded-Proto": "https"}, **there)
    assert secure.status_code == 200
    assert secure["Strict-Transport-Security"]
    there["REMOTE_ADDR"] = STRANGER
    forged = client.get("/admin/login/", headers={"X-Forwarded-Proto": "https"}, **there)
    assert forged.status_code == 301


@pytest.mark.parametrize(("peer", "status"), [(PROXY, 404), (STRANGER, 301)])
def test_it_is_the_same_under_asgi(settings, peer, status):
    settings.SECURE_SSL_REDIRECT = True
    headers = {"Host": "site.example", "X-Forwarded-Proto": "https"}

    async def ask():
        line = ApplicationCommunicator(
            get_asgi_application(), scope_of(peer, headers, "/.well-known/nothing")
        )
        await line.send_input({"type": "http.request", "body": b""})
        answer = await line.receive_output(timeout=10)
        await line.wait(timeout=10)
        return answer

    answer = asyncio.run(ask())
    assert answer["status"] == status
    names = {name.lower(): value for name, value in answer["headers"]}
    if status == 301:
        assert names[b"location"].startswith(b"https://site.example/")
    else:
        assert names[b"strict-transport-security"]


def test_the_context_of_a_request_knows_the_client(rf):
    seen = []

    def view(request):
        seen.append((context.current().ip, request.is_secure()))
        return HttpResponse()

    serve = RequestContextMiddleware(view)
    for peer in (PROXY, STRANGER):
        serve(rf.get("/", REMOTE_ADDR=peer, headers=FORWARDED))
    assert seen == [(CLIENT, True), (STRANGER, False)]
