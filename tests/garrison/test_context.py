"""The request context: bound, learned, and carried into tasks."""

import asyncio
import contextvars

import pytest
from celery import Celery
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from garrison import context
from garrison.middleware import RequestContextMiddleware


def request_with(**meta):
    request = HttpRequest()
    request.method = "GET"
    request.META = {"REMOTE_ADDR": "203.0.113.9", **meta}
    return request


def serve(request):
    """Serve the request, and give what the view saw together with the answer."""
    seen = []

    def view(request):
        seen.append(context.current())
        return HttpResponse()

    return RequestContextMiddleware(view)(request), seen[0]


def test_outside_a_request_the_context_is_empty():
    assert context.current() == context.RequestContext()


def test_a_request_is_bound_and_unbound_again():
    response, seen = serve(request_with(HTTP_USER_AGENT="curl/8"))
    assert (seen.ip, seen.user_agent) == ("203.0.113.9", "curl/8")
    assert response["X-Request-ID"] == seen.request_id
    assert context.current() == context.RequestContext()


def test_control_characters_never_reach_the_context():
    _, seen = serve(request_with(HTTP_USER_AGENT="curl\r\nFAKE LOG LINE\x1b[31m\u202e"))
    assert seen.user_agent == "curlFAKE LOG LINE[31m"


def test_a_huge_user_agent_is_cut():
    _, seen = serve(request_with(HTTP_USER_AGENT="x" * 100_000))
    assert len(seen.user_agent) == context.LONGEST_USER_AGENT


def test_a_client_cannot_choose_its_request_id():
    _, seen = serve(request_with(HTTP_X_REQUEST_ID="chosen-by-attacker"))
    assert seen.request_id != "chosen-by-attacker"


@pytest.mark.parametrize("sent", ["short", "has space here", "x" * 65, "line\nbreak", "ünicode-id"])
def test_a_proxy_s_malformed_request_id_is_replaced(settings, sent):
    settings.GARRISON_TRUSTED_PROXIES = ["203.0.113.0/24"]
    _, seen = serve(request_with(HTTP_X_REQUEST_ID=sent))
    assert seen.request_id != sent


def test_a_trusted_proxy_s_request_id_is_kept(settings):
    settings.GARRISON_TRUSTED_PROXIES = ["203.0.113.0/24"]
    response, seen = serve(request_with(HTTP_X_REQUEST_ID="edge-0123456789"))
    assert seen.request_id == response["X-Request-ID"] == "edge-0123456789"


def test_what_is_learned_is_kept_until_the_end_of_the_request():
    with context.bound(context.RequestContext(request_id="r")):
        context.learn(actor_id="7")
        context.learn(session_id="s")
        assert context.current() == context.RequestContext("r", actor_id="7", session_id="s")
    assert context.current().actor_id is None


def test_outside_a_request_nothing_is_learned_and_nothing_leaks():
    def learn():
        context.learn(actor_id="7", session_id="s")
        return context.current()

    assert contextvars.Context().run(learn) == context.RequestContext()


def test_the_async_middleware_does_the_same():
    async def view(request):
        assert context.current().ip == "203.0.113.9"
        return HttpResponse()

    response = asyncio.run(RequestContextMiddleware(view)(request_with()))
    assert len(response["X-Request-ID"]) == 32
    assert context.current() == context.RequestContext()


def test_a_header_round_trips():
    known = context.RequestContext("r", "203.0.113.9", "agent", "7", "s", timezone.now())
    assert context.from_header(context.to_header(known)) == known


@given(st.none() | st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_a_damaged_header_never_breaks_a_task(fields):
    assert isinstance(context.from_header(fields), context.RequestContext)


def test_a_task_runs_with_the_sender_s_context():
    app = Celery(broker="memory://localhost", set_as_current=False)
    app.conf.task_ignore_result = True
    seen = []

    @app.task(name="look")
    def look():
        seen.append(context.current())

    with context.bound(context.RequestContext("req-42", "203.0.113.9", actor_id="7")):
        look.delay()
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("celery").get(timeout=5)
    look.apply(headers={context.HEADER: message.headers[context.HEADER]})
    assert (seen[0].request_id, seen[0].ip, seen[0].actor_id) == ("req-42", "203.0.113.9", "7")
    assert context.current() == context.RequestContext()
