"""Mails: never inside a request, never lost in silence, and no word of a stranger in them."""

import time
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from accounts import letters, lockout, mails
from accounts.admin.changes import emit_changes
from accounts.forms import PasswordByStaffForm
from accounts.models import OutgoingMail
from accounts.schedule import SCHEDULE
from accounts.services import register, request_reset
from accounts.tasks import send_mails
from audit.models import SecurityEvent
from config import celery_app
from garrison import background, health
from garrison.context import RequestContext, bound
from tests import smtp
from tests.accounts.conftest import PASSWORD, WRONG, post
from tests.accounts.threads import all_at_once

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "fresh kelp orbit 88 plum"
DELAY_SECONDS = 0.3
ROUNDS = 5
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def nothing_at_once(monkeypatch):
    """Leave mails where they are: the process was killed before its thread came to them."""
    monkeypatch.setattr(background, "run", lambda _: None)


def waits_until(condition):
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def seconds(client, path, **body):
    began = time.perf_counter()
    assert post(client, path, **body).status_code == 202
    return time.perf_counter() - began


@pytest.fixture(params=["a broker", "no broker"])
def broker(request, monkeypatch):
    """Let Celery's broker be there, or not."""
    if request.param == "no broker":
        monkeypatch.setattr(celery_app.conf, "broker_url", "redis://127.0.0.1:1/0")


@pytest.mark.postgresql  # in the memory of one process, SQLite's threads do not wait for each other
@pytest.mark.usefixtures("no_rate_limits", "real_background")
def test_the_time_of_an_answer_tells_nothing_where_the_mail_server_is_slow(
    client, ada, deliver_to, settings, broker
):
    settings.ACCOUNTS_MAILS_PER_HOUR = ROUNDS
    resets = letters.reset_budget_key(ada)
    taken = {}
    with smtp.running(delay_seconds=DELAY_SECONDS) as server:
        deliver_to(server.port)
        for number in range(ROUNDS):
            for path, more in (
                ("register", {"password": PASSWORD}),
                ("password/reset", {}),
                ("verify-email/resend", {}),
            ):
                waits_until(lambda: not OutgoingMail.objects.filter(template="reset_code").exists())
                lockout.forget(keys=[resets])  # a code in each round, as if time had passed
                for who in ("ada", f"{path.replace('/', '-')}{number}"):
                    took = seconds(client, path, email=f"{who}@example.org", **more)
                    taken.setdefault((path, who == "ada"), []).append(took)
        assert waits_until(lambda: not OutgoingMail.objects.exists())
        assert len(server.messages) == 3 * ROUNDS  # notices and codes of ada, codes of the new
    # The shortest of each: a busy machine only adds, and a mail adds to every one.
    least = {case: min(times) for case, times in taken.items()}
    for path in ("register", "password/reset", "verify-email/resend"):
        assert abs(least[path, True] - least[path, False]) < DELAY_SECONDS / 3
        assert max(least[path, True], least[path, False]) < DELAY_SECONDS / 2


def test_a_mail_server_that_is_down_loses_nothing(client, ada, deliver_to, settings):
    with smtp.running() as server:
        gone = server.port
    deliver_to(gone)
    assert post(client, "password/reset", email="ada@example.org").status_code == 202
    assert OutgoingMail.objects.get().tries == 1
    with smtp.running() as server:
        deliver_to(server.port)
        assert mails.send_due() == 0  # its turn has not come yet
        assert mails.send_due(now=timezone.now() + MINUTE) == 1
    assert "To: ada@example.org" in server.messages[0]
    assert not OutgoingMail.objects.exists()


def test_one_that_is_down_for_a_day_is_reported(client, ada, deliver_to):
    with smtp.running() as server:
        gone = server.port
    deliver_to(gone)
    with bound(RequestContext(request_id="r1")):
        mails.queue("password_notice", user_id=ada.pk, by_code=True)
    for tries in range(1, 30):
        mails.send_due(now=timezone.now() + tries * timedelta(hours=1))
    (event,) = SecurityEvent.objects.of_kinds(["accounts.mail.abandoned"])
    assert (event.target, event.request_id) == (f"user:{ada.pk}", "r1")
    assert event.data["mail"] == "password_notice"
    assert event.data["error"] == "ConnectionRefusedError"
    assert not OutgoingMail.objects.exists()


@pytest.mark.parametrize(("answer", "is_final"), [("550 nobody", True), ("450 later", False)])
def test_an_address_that_is_refused_for_good_is_not_tried_again(ada, deliver_to, answer, is_final):
    with smtp.running(recipient_answer=answer) as server:
        deliver_to(server.port)
        mails.queue("password_notice", user_id=ada.pk, by_code=True)
    assert OutgoingMail.objects.exists() is not is_final
    assert SecurityEvent.objects.of_kinds(["accounts.mail.abandoned"]).exists() is is_final


def test_a_mail_whose_sender_was_killed_is_sent_by_the_next(ada, nothing_at_once):
    mails.queue("password_notice", user_id=ada.pk, by_code=True)
    assert mails._claim(now=timezone.now())
    assert mails.send_due() == 0
    assert mails.send_due(now=timezone.now() + MINUTE) == 1


def test_a_mail_leaves_with_the_change_and_not_without_it(ada, nothing_at_once):
    def change():
        mails.queue("password_notice", user_id=ada.pk, by_code=True)
        raise RuntimeError

    with pytest.raises(RuntimeError), transaction.atomic():
        change()
    assert not OutgoingMail.objects.exists()


@pytest.mark.postgresql
def test_of_several_senders_one_sends(ada, nothing_at_once):
    for _ in range(4):
        mails.queue("password_notice", user_id=ada.pk, by_code=True)
    assert sum(all_at_once(lambda _: mails.send_due(), times=6)) == 4
    assert len(mail.outbox) == 4


def test_no_secret_waits_in_a_row(client, ada, nothing_at_once):
    post(client, "password/reset", email="ada@example.org")
    assert set(OutgoingMail.objects.get().facts) == {"at", "device", "ip", "request_id"}


def test_what_could_not_be_sent_is_sent_by_the_command_and_by_the_task(ada, nothing_at_once):
    assert SCHEDULE["accounts.send_mails"]["task"] == send_mails.name
    mails.queue("password_notice", user_id=ada.pk, by_code=True)
    assert send_mails() == 1
    mails.queue("password_notice", user_id=ada.pk, by_code=True)
    out = StringIO()
    call_command("send_mails", "--json", stdout=out)
    call_command("send_mails", stdout=out)
    assert out.getvalue() == '{"sent": 1}\nMails sent: 0.\n'


# --- Which mail, to whom --------------------------------------------------------------------------


def lock(client, email="ada@example.org"):
    for _ in range(5):
        post(client, "login", email=email, password=WRONG)


def test_the_owner_of_a_locked_account_is_told_once_a_day(client, ada, no_rate_limits):
    client.defaults["HTTP_USER_AGENT"] = "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0"
    lock(client)
    lock(client, email="nobody@example.org")
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.org"]
    assert "is locked for a time" in sent.subject
    assert "Firefox on Linux" in sent.body
    assert not OutgoingMail.objects.exists()
    call_command("unlock_account", "ada@example.org", stdout=StringIO())
    lock(client)
    assert len(mail.outbox) == 1
    mails.queue("lockout_notice", user_id=ada.pk, until=timezone.now())
    assert len(mail.outbox) == 1
    later = OutgoingMail(template="lockout_notice", user=ada, tries=1)
    assert mails.letter_for(later, now=timezone.now() + DAY + MINUTE)


def test_a_password_set_by_staff_is_told_to_its_owner(ada):
    form = PasswordByStaffForm(ada, {"password1": NEW, "password2": NEW, "usable_password": "true"})
    assert form.is_valid(), form.errors
    form.save()
    (sent,) = mail.outbox
    assert (sent.to, "set by staff" in sent.subject) == (["ada@example.org"], True)


def test_a_changed_address_is_told_to_both(ada, admin_user):
    ada.email = "countess@example.org"
    ada.save()
    emit_changes(user=ada, email_before="ada@example.org", by=admin_user)
    assert [sent.to for sent in mail.outbox] == [["ada@example.org"], ["countess@example.org"]]
    assert all("was changed" in sent.subject for sent in mail.outbox)
    old, new = mail.outbox
    assert "countess@example.org" in old.body
    assert "ada@example.org" not in new.body, "the address may be mistyped, and a stranger's"


# --- What is in it --------------------------------------------------------------------------------

HOSTILE = 40 * ("\r\nBcc: all@example.org\u202e<script>alert(1)</script> http://evil.example ")
EVERY = {
    "verification_code": {"address": "bob@example.org"},
    "reset_code": {"address": "ada@example.org"},
    "registration_notice": {"address": "ada@example.org"},
    "password_notice": {"by_code": False},
    "password_set_notice": {},
    "reset_by_staff": {},
    "email_notice": {"after": "new@example.org"},
    "lockout_notice": {"until": datetime(2026, 1, 1, tzinfo=UTC)},
    "unlock_code": {"until": datetime(2026, 1, 1, tzinfo=UTC)},
}


@pytest.mark.parametrize("template", EVERY)
def test_every_mail_has_text_and_html_and_no_word_of_a_stranger(ada, settings, template):
    get_user_model().objects.create_user(email="bob@example.org", password=PASSWORD)
    settings.SITE_NAME = "Bread & <Butter>\r\nBcc: all@example.org"
    settings.ACCOUNTS_SELF_SERVICE_URL = "https://example.org/me?a=1&b=2"
    with bound(RequestContext(ip="203.0.113.9", user_agent=HOSTILE)):
        mails.queue(template, user_id=ada.pk, **EVERY[template])
    (sent,) = mail.outbox
    ((page, kind),) = sent.alternatives
    assert kind == "text/html"
    assert "\n" not in sent.subject
    assert "Bread & <Butter> Bcc: all@example.org" in sent.subject
    assert "Bread & <Butter>" in sent.body
    assert "Bread &amp; &lt;Butter&gt;" in page
    assert "https://example.org/me?a=1&b=2" in sent.body
    assert 'href="https://example.org/me?a=1&amp;b=2"' in page
    for text in (sent.subject, sent.body, page):
        assert "evil" not in text
        assert "\u202e" not in text
    assert len(page) < 4000
    assert "Bcc" not in sent.message()


def test_a_site_without_such_a_page_links_to_none(ada):
    mails.queue("password_notice", user_id=ada.pk, by_code=True)
    (sent,) = mail.outbox
    assert "http" not in sent.body
    assert "href" not in sent.alternatives[0][0]


def test_a_notice_outlives_the_account_it_is_about(ada, nothing_at_once):
    mails.queue("email_notice", address="ada@example.org", user_id=ada.pk, after="eve@example.org")
    ada.delete()
    assert mails.send_due() == 1
    assert mail.outbox[-1].to == ["ada@example.org"]


def test_notices_that_strangers_cause_use_up_no_code_of_the_owner(ada):
    for _ in range(6):
        register(email="ada@example.org", password=NEW)
    mail.outbox.clear()
    request_reset(email="ada@example.org")
    assert ["code" in sent.body for sent in mail.outbox] == [True]


@pytest.mark.parametrize(
    ("minutes", "status"), [(9, health.Status.HEALTHY), (11, health.Status.DEGRADED)]
)
def test_the_health_report_names_mails_that_wait_too_long(minutes, status):
    OutgoingMail.objects.create(
        template="reset_code",
        address="ada@example.org",
        facts={},
        queued_at=timezone.now() - minutes * MINUTE,
        due_at=timezone.now() + DAY,
    )
    found = next(result for result in health.run() if result.name == "mails")
    assert found.status is status
    assert ("wait to be sent: 1" in found.detail) is (status is health.Status.DEGRADED)
    assert "example.org" not in found.detail
