"""The dashboard, the health report and the mail say what is so."""

import smtplib
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core import mail
from django.template.loader import render_to_string
from django.utils import timezone

from garrison import health, panels
from garrison.context import RequestContext, bound
from garrison.deferral import deferred_events
from sessions_tracking import notices, services
from sessions_tracking.errors import RefreshReused
from sessions_tracking.health import check_cleaning
from sessions_tracking.models import Session
from sessions_tracking.panels import NewestSessions, active_sessions
from tests.sessions_tracking.scenery import NOON

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0 <Browser> & co"


def steal(user, seconds=60, now=NOON):
    """Let a copy of a refresh token be used after its replacement."""
    pair = services.start_token_session(user=user, amr=["pwd"], now=now)
    services.rotate(refresh_token=pair.refresh, now=now)
    with pytest.raises(RefreshReused):
        services.rotate(refresh_token=pair.refresh, now=now + timedelta(seconds=seconds))
    return Session.objects.get(pk=pair.session.pk)


def day():
    return panels.window("24h", now=timezone.now())


def test_the_figure_counts_the_living(user):
    for _ in range(3):
        services.start_token_session(user=user, amr=["pwd"])
    over = Session.objects.first()
    services.end_session(session_id=over.pk, reason="test")
    assert active_sessions(day()) == 2
    assert "active_sessions" in {figure.name for figure in panels.figures()}


def test_the_panel_shows_the_newest_and_the_stolen_in_two_queries(user, rf, statements):
    services.start_token_session(user=user, amr=["pwd"])
    stolen = steal(user, now=timezone.now() - timedelta(minutes=5))
    panel = NewestSessions()
    with statements() as asked:
        shown = panel.context(request=rf.get("/"), window=day())
        page = render_to_string(panel.template, shown)
    assert asked == ["session joined with its user"] * 2
    assert str(stolen.pk) in page
    assert "stolen" in page
    assert page.count("<tr>") == 4
    for forbidden in ("style=", "<script", "onclick"):
        assert forbidden not in page


def test_the_panel_says_when_nobody_is_there(db, rf):
    shown = NewestSessions().context(request=rf.get("/"), window=day())
    assert "Nobody is signed in." in render_to_string(NewestSessions.template, shown)


def test_a_name_in_the_panel_is_escaped(make_user, rf):
    services.start_token_session(user=make_user("<b>@example.org"), amr=["pwd"])
    shown = NewestSessions().context(request=rf.get("/"), window=day())
    assert "<b>@" not in render_to_string(NewestSessions.template, shown)


def test_health_notices_when_nobody_cleans(user):
    assert check_cleaning().status is health.Status.HEALTHY
    services.start_token_session(user=user, amr=["pwd"], now=timezone.now() - timedelta(days=121))
    assert check_cleaning().status is health.Status.HEALTHY
    services.start_token_session(user=user, amr=["pwd"], now=timezone.now() - timedelta(days=123))
    finding = check_cleaning()
    assert finding.status is health.Status.DEGRADED
    assert "clean_sessions" in finding.detail


@pytest.fixture(params=["sessions_tracking.notices.send_soon", "accounts.mails.queue_notice"])
def mailer(request, settings):
    """Let either of the two mail."""
    settings.SESSIONS_MAILER = request.param


@pytest.mark.usefixtures("mailer")
@pytest.mark.django_db(transaction=True)
def test_the_user_is_told_by_mail_what_happened_and_what_to_do(make_user, mailoutbox):
    with bound(RequestContext(ip="203.0.113.66", user_agent=FIREFOX)):
        session = steal(make_user())
    (letter,) = mailoutbox
    assert letter.to == [session.user.email]
    assert "\n" not in letter.subject
    assert "signed one of your devices out" in letter.subject
    assert "203.0.113.66" in letter.body
    assert "Firefox on Linux" in letter.body
    ((page, _),) = letter.alternatives
    assert "Firefox on Linux" in page
    assert "change your\npassword" in letter.body
    assert str(session.pk) not in letter.body


@pytest.mark.usefixtures("mailer")
@pytest.mark.django_db(transaction=True)
def test_a_mail_server_that_is_down_changes_nothing_but_the_log(make_user, monkeypatch, caplog):
    def down(*_, **__):
        raise smtplib.SMTPServerDisconnected("no post today")

    monkeypatch.setattr(mail.EmailMessage, "send", down)
    session = steal(make_user())
    assert session.end_reason == "refresh_reused"
    assert "could not be sent: SMTPServerDisconnected" in caplog.text
    assert session.user.email not in caplog.text


@pytest.mark.parametrize("address", [{}, {"mail": ""}, {"mail": None}], ids=str)
def test_a_user_without_an_address_is_told_nothing(address, mailoutbox):
    user = SimpleNamespace(get_email_field_name=lambda: "mail", **address)
    notices.send_soon(template="sessions_tracking/mail/refresh_reused", user=user, facts={})
    assert mailoutbox == []


@pytest.mark.usefixtures("mailer")
@pytest.mark.django_db(transaction=True)
def test_the_mail_waits_for_the_end_of_the_request(make_user, mailoutbox):
    user = make_user()
    with deferred_events():
        steal(user)
        assert mailoutbox == []
    assert len(mailoutbox) == 1
