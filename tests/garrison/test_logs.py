"""The log: the request's id in every line, one traceback, and no line that a client has written."""

import asyncio
import io
import json
import logging
import logging.config
import types
from datetime import UTC, datetime

import pytest
import structlog
from celery import Celery
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import path

from audit import services
from garrison import context, events, logs
from garrison.middleware import RequestContextMiddleware
from tests.garrison.test_context import request_with, serve

FORGED = "2026-11-24T00:00:00.000+00:00 INFO     garrison.audit: forged"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def broken(request):
    logging.getLogger("somebodys.library").warning("seen\n%s", FORGED)
    raise ValueError(f"the cause\n{FORGED}")


URLS = types.ModuleType("urls_of_the_log")
URLS.urlpatterns = [path("broken", broken), path("fine", lambda _request: HttpResponse("ok"))]


@pytest.fixture(params=["json", "text"])
def form(request):
    return request.param


@pytest.fixture
def written(form, settings):
    """Log as a host does that has our ``LOGGING``, into memory."""
    settings.ROOT_URLCONF = URLS
    settings.MIDDLEWARE = ["garrison.middleware.RequestContextMiddleware"]
    changed = [logging.getLogger(name) for name in ("", "django", "django.request")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in changed]
    stream = io.StringIO()
    logging.config.dictConfig(logs.configuration(form=form))
    (handler,) = logging.getLogger().handlers
    handler.setStream(stream)
    yield lambda: stream.getvalue().splitlines()
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers = handlers


def test_the_id_of_an_error_finds_its_cause_with_one_grep(written, form):
    response = Client(raise_request_exception=False).get("/broken?token=a-secret-of-theirs")
    found = [line for line in written() if response["X-Request-ID"] in line]
    assert written() == found, "every line that the request has caused holds its id"
    text = "\n".join(found)
    assert text.count("Traceback (most recent call last)") == 1
    assert "ValueError: the cause" in text
    assert "somebodys.library" in text
    assert "a-secret-of-theirs" not in text
    assert not [line for line in found if line.startswith(FORGED)]
    if form == "json":
        assert [json.loads(line)["logger"] for line in found] == [
            "somebodys.library",
            "django.request",
            "garrison.requests",
        ]


@pytest.mark.parametrize("form", ["json"], indirect=True)
def test_each_request_is_one_line(written):
    response = Client().get("/fine?code=123456", headers={"user-agent": "x"})
    Client().get("/no/such%0Apage")
    fine, missing = map(json.loads, written())
    assert fine.pop("duration_ms") >= 0
    assert fine.pop("timestamp").endswith("+00:00")
    assert fine == {
        "level": "info",
        "logger": "garrison.requests",
        "event": "request",
        "request_id": response["X-Request-ID"],
        "trace_id": response["X-Request-ID"],
        "ip": "127.0.0.1",
        "method": "GET",
        "path": "/fine",
        "status": 200,
    }
    assert (missing["path"], missing["status"]) == ("/no/such\npage", 404)


@pytest.mark.parametrize(
    "hostile",
    [f"\n{FORGED}", "\r\x1b[2J", "\u2028", "\x7f\x9b1m", "\udc80"],
    ids=["newline", "escape", "line separator", "C1", "surrogate"],  # no half character in a name
)
def test_no_value_begins_a_line_or_drives_a_terminal(written, monkeypatch, hostile):
    with monkeypatch.context() as ours:  # pytest's own handlers keep what no report may hold
        ours.setattr(logging.getLogger(), "handlers", logging.getLogger().handlers[:1])
        logging.getLogger("any").error("%s", hostile, extra={"fields": {"path": hostile}})
    (line,) = written()
    assert line.isprintable()


def test_an_event_is_one_line_with_its_fields(written, form):
    kind = events.kinds()["audit.chain.broken"]
    with context.bound(context.RequestContext("req-42", trace_id=TRACE)):
        event = events.SecurityEvent(
            kind,
            kind.severity,
            datetime(2026, 11, 24, 12, tzinfo=UTC),
            context.current(),
            target="x:1",
        )
        services.write_to_log(event=event)
    (line,) = written()
    if form == "json":
        told = json.loads(line)
        assert (told["event"], told["target"]) == ("audit.chain.broken", "x:1")
        assert (told["request_id"], told["trace_id"]) == ("req-42", TRACE)
    else:
        assert "garrison.audit: audit.chain.broken request_id=req-42" in line


@pytest.mark.django_db(transaction=True)
def test_what_a_refusal_causes_after_its_request_holds_the_request_s_id(written):
    """Also where it is recorded on a thread of its own, beside a transaction of the caller's."""

    def report(**_):
        logging.getLogger("somebodys.library").info("heard")

    events.security_event.connect(report)
    try:
        with transaction.atomic(), context.bound(context.RequestContext("req-43")):
            events.emit(events.kinds()["accounts.login.failed"])
    finally:
        events.security_event.disconnect(report)
    (line,) = (line for line in written() if "heard" in line)
    assert "req-43" in line


@pytest.mark.parametrize("form", ["json"], indirect=True)
def test_a_task_logs_the_id_of_the_request_that_sent_it(written):
    app = Celery(broker="memory://localhost", set_as_current=False)
    app.conf.task_ignore_result = True

    @app.task(name="fail")
    def fail():
        raise ValueError("the cause")

    with context.bound(context.RequestContext("req-44", trace_id=TRACE, trace_flags="01")):
        fail.delay()
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("celery").get(timeout=5)
    parent = message.headers["traceparent"]
    assert parent.startswith(f"00-{TRACE}-")
    assert parent.endswith("-01")
    fail.apply(headers={context.HEADER: message.headers[context.HEADER]})
    (failed,) = map(json.loads, written())
    assert "ValueError: the cause" in failed["exception"]
    assert (failed["request_id"], failed["trace_id"]) == ("req-44", TRACE)


@pytest.mark.parametrize("form", ["json"], indirect=True)
def test_a_client_that_hangs_up_has_its_line(written):
    async def view(_request):
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(RequestContextMiddleware(view)(request_with()))
    (line,) = map(json.loads, written())
    assert (line["event"], line["status"]) == ("request", 499)


@pytest.mark.parametrize("form", ["json"], indirect=True)
def test_a_line_of_structlog_s_own_holds_the_id_too(written):
    hand_over = structlog.stdlib.ProcessorFormatter.wrap_for_formatter
    logger = structlog.wrap_logger(logging.getLogger("a.host"), processors=[hand_over])
    with context.bound(context.RequestContext("req-45")):
        logger.warning("paid", order=7)
    (line,) = map(json.loads, written())
    assert (line["event"], line["order"], line["request_id"]) == ("paid", 7, "req-45")


def test_a_form_that_is_none_is_refused():
    with pytest.raises(ImproperlyConfigured, match="'xml'; write json or text"):
        logs.configuration(form="xml")


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [
        (PARENT, True),
        (f"cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-holds", True),
        (f"00-{TRACE}-00f067aa0ba902b7-01-more", False),
        (f"00-{TRACE}-00f067aa0ba902b7-01x", False),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", False),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (PARENT.upper(), False),
        (f"{PARENT},{PARENT}", False),
        (f"{PARENT}\n", False),
        ("", False),
    ],
)
def test_a_trace_goes_on_only_where_a_trusted_proxy_s_field_is_well_formed(settings, sent, is_kept):
    _, strange = serve(request_with(HTTP_TRACEPARENT=sent))
    assert strange.trace_id == strange.request_id
    settings.GARRISON_TRUSTED_PROXIES = ["203.0.113.0/24"]
    response, seen = serve(request_with(HTTP_TRACEPARENT=sent, HTTP_X_REQUEST_ID="edge-0123456789"))
    assert (seen.trace_id == TRACE) is is_kept
    assert len(seen.trace_id) == 32
    assert seen.trace_flags == ("01" if is_kept else "00")
    assert "traceparent" not in response
    assert seen.request_id == "edge-0123456789"


def test_words_of_a_stranger_are_no_fields(written, form):
    logging.getLogger("any").error("Not found: %s", "/x request_id=deadbeef")
    (line,) = written()
    said = "Not found: /x request_id=deadbeef"
    assert json.loads(line)["event"] == said if form == "json" else f'any: "{said}"' in line


@pytest.mark.postgresql
@pytest.mark.django_db
def test_the_row_that_broke_a_constraint_is_not_in_the_log(written):
    row = ["of a password)"]  # apart from the statement, whose source the traceback quotes
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE person (hash text, tall int CHECK (tall > 0))")
            cursor.execute("INSERT INTO person VALUES (%s, 0)", row)
    except IntegrityError as error:
        logging.getLogger("any").exception("Task failed: %r", error)  # noqa: TRY401 - as Celery does
    text = "".join(written())
    assert text.count("Failing row contains (left out).") == 3, "words, traceback, its cause"
    assert "of a password" not in text
