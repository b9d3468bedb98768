"""Registering: one answer and one mail for every address, and nobody's password but the owner's."""

import smtplib
from contextlib import contextmanager

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import is_password_usable
from django.core import mail
from django.db.models.signals import post_save, pre_save
from django.template import TemplateSyntaxError
from django.utils import timezone

from accounts.errors import EmailUnverified, InvalidCredentials, PasswordRejected
from accounts.models import MailedCode
from accounts.services import check_credentials, register, verify_email
from accounts.services import registration as registration_module
from audit.models import SecurityEvent
from tests.accounts.conftest import PASSWORD, FastHasher, mailed_code, post
from tests.accounts.threads import all_at_once

OTHER = "another kelp orbit 93 plum"


@pytest.fixture
def send(db, django_capture_on_commit_callbacks):
    """Register, and send what is sent after the commit."""

    def call(email="ada@example.org", password=PASSWORD, **more):
        with django_capture_on_commit_callbacks(execute=True):
            register(email=email, password=password, **more)

    return call


@contextmanager
def connected(signal, receiver):
    signal.connect(receiver, sender=get_user_model())
    yield
    signal.disconnect(receiver, sender=get_user_model())


def kinds():
    ours = SecurityEvent.objects.filter(kind__startswith="accounts.")
    return list(ours.order_by("pk").values_list("kind", flat=True))


def test_a_new_person_gets_an_account_and_a_code(send):
    send(name="Ada")
    user = get_user_model().objects.get(email="ada@example.org")
    assert (user.name, user.is_active, user.is_staff) == ("Ada", True, False)
    assert not user.is_email_verified
    assert mail.outbox[0].to == ["ada@example.org"]
    assert kinds() == ["accounts.user.registered"]
    with pytest.raises(EmailUnverified):
        check_credentials(login_name="ada@example.org", password=PASSWORD)
    verify_email(email="ADA@example.org", code=mailed_code())
    assert check_credentials(login_name="ada@example.org", password=PASSWORD) == user


def test_the_mail_goes_to_the_folded_address_and_not_to_the_typed_one(send):
    """An address that only looks like another one is not mailed another one's code."""
    send("ADA@\u212aelvin.example")  # the Kelvin sign, which folds to k
    assert mail.outbox[0].to == ["ada@kelvin.example"]
    assert get_user_model().objects.get().email == "ada@kelvin.example"


def test_a_code_is_in_the_mail_and_not_in_the_row_or_the_log(send, caplog):
    send()
    code = mailed_code()
    row = MailedCode.objects.get()
    assert code not in row.digest
    assert len(row.digest) == 64
    assert code not in caplog.text
    assert code not in str(list(SecurityEvent.objects.values()))


def test_an_address_with_an_account_changes_nothing_and_tells_its_owner(send, ada):
    before = ada.password
    send(password=OTHER, name="Mallory")
    ada.refresh_from_db()
    assert (ada.password, ada.name) == (before, "Ada")
    assert mail.outbox[0].to == ["ada@example.org"]
    assert "already have an account" in mail.outbox[0].body
    assert kinds() == ["accounts.registration.repeated"]
    assert not MailedCode.objects.exists()


def test_every_case_hashes_as_often(send, ada, monkeypatch):
    worked = []
    for name in ("verify", "encode"):
        original = getattr(FastHasher, name)

        def count(self, *args, original=original):
            worked.append(1)
            return original(self, *args)

        monkeypatch.setattr(FastHasher, name, count)
    counts = []
    for email in ("new@example.org", "ada@example.org", "new@example.org"):
        worked.clear()
        send(email)
        counts.append(len(worked))
    assert counts == [2, 2, 2]
    assert len(mail.outbox) == 3


def test_a_second_registration_with_the_same_password_mails_a_fresh_code(send):
    send()
    first = MailedCode.objects.get().digest
    send()
    assert MailedCode.objects.get().digest != first
    verify_email(email="ada@example.org", code=mailed_code())
    assert check_credentials(login_name="ada@example.org", password=PASSWORD)


@pytest.mark.parametrize("mine_is_first", [True, False])
def test_an_account_prepared_by_a_stranger_opens_to_no_password_of_theirs(send, mine_is_first):
    """Whoever enters the code is the owner; whose password it was, nobody can tell."""
    first, second = (PASSWORD, OTHER) if mine_is_first else (OTHER, PASSWORD)
    send(password=first)
    send(password=second)
    verify_email(email="ada@example.org", code=mailed_code())
    assert "none of them works" in mail.outbox[-1].body
    for password in (first, second):
        with pytest.raises(InvalidCredentials):
            check_credentials(login_name="ada@example.org", password=password)
    assert not is_password_usable(get_user_model().objects.get().password)


def test_a_deactivated_account_stays_so(send, ada):
    ada.is_active, ada.email_verified_at = False, None
    ada.save()
    send(password=OTHER)
    ada.refresh_from_db()
    assert not ada.is_active
    assert not MailedCode.objects.exists()


def test_a_weak_password_is_refused_whether_or_not_there_is_an_account(send, ada):
    for email in ("ada@example.org", "new@example.org"):
        with pytest.raises(PasswordRejected) as refused:
            send(email, "password1234")
        assert [error.code for error in refused.value.errors] == ["common", "guessable"]
    assert mail.outbox == []
    assert kinds() == []


def test_a_mail_server_that_is_down_is_not_told_to_the_client(send, ada, monkeypatch, caplog):
    def down(*_, **__):
        raise smtplib.SMTPException("secret answer of ada@example.org")

    monkeypatch.setattr("django.core.mail.message.EmailMessage.send", down)
    send("new@example.org")
    send("ada@example.org")
    assert get_user_model().objects.filter(email="new@example.org").exists()
    assert caplog.text.count("could not be sent: SMTPException") == 2
    assert "secret answer" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_mails_template_that_is_broken_is_not_told_to_the_client(client, monkeypatch, caplog):
    def broken(*_, **__):
        raise TemplateSyntaxError("a host's template")

    monkeypatch.setattr("garrison.mails.render_to_string", broken)
    answer = post(client, "register", email="new@example.org", password=PASSWORD)
    assert answer.status_code == 202
    assert "could not be sent: TemplateSyntaxError" in caplog.text


def test_nobody_is_mailed_more_than_five_times_an_hour(send, ada):
    for _ in range(8):
        send("new@example.org")
        send("ada@example.org")
    addresses = [message.to[0] for message in mail.outbox]
    assert addresses.count("new@example.org") == 5
    assert addresses.count("ada@example.org") == 5


def test_the_code_of_the_last_mail_stays_good_when_no_more_are_sent(send):
    for _ in range(5):
        send()
    code = mailed_code()
    send()
    verify_email(email="ada@example.org", code=code)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_twenty_registrations_of_one_address_at_once_make_one_account():
    all_at_once(lambda _: register(email="ada@example.org", password=PASSWORD), times=20)
    user = get_user_model().objects.get()
    assert is_password_usable(user.password)
    assert kinds().count("accounts.user.registered") == 1
    assert kinds().count("accounts.registration.repeated") == 19
    assert MailedCode.objects.count() == 1


def test_a_host_hears_of_a_new_account_by_the_signals_of_save(send):
    heard = []

    def hear(instance, created=None, **_):
        heard.append((instance.pk, created))

    with connected(pre_save, hear), connected(post_save, hear):
        send()
        send()  # known by now, and not added
    key = get_user_model().objects.get().pk
    assert heard == [(key, None), (key, True)]


def test_where_somebody_is_faster_the_answer_is_the_same(send, monkeypatch):
    """The address was free when it was looked up, and taken when it was written."""
    send()
    monkeypatch.setattr(registration_module, "find_account", lambda _: None)
    send()
    assert get_user_model().objects.count() == 1
    assert is_password_usable(get_user_model().objects.get().password)


@pytest.mark.parametrize("used", [{"is_staff": True}, {"last_login": timezone.now()}])
def test_an_account_in_use_keeps_its_password_whoever_registers_its_unverified_address(send, used):
    owner = get_user_model().objects.create_user("ada@example.org", PASSWORD, **used)
    send(password=OTHER)
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)
