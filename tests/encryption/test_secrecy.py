"""Whatever goes wrong, no key and no value is in anything that was written about it."""

from __future__ import annotations

import base64
import io
import logging
import sys
import traceback
from types import SimpleNamespace

import django
import pytest
from django.core import mail
from django.db import connection, models, transaction
from django.test import RequestFactory
from django.utils import timezone
from django.utils.log import AdminEmailHandler
from django.views.debug import (
    ExceptionReporter,
    get_default_exception_reporter_filter,
    technical_500_response,
)

from encryption.checks import check_keys
from encryption.cipher import derived
from encryption.errors import DecryptionFailed, KeyringUnusable, ValueRefused
from encryption.fields import Encrypted
from encryption.fields.reading import reader_of
from encryption.keyring import keyring
from encryption.models import KeyVersion
from encryption.querysets import EncryptedQuerySet
from encryption.reporting import EncryptedValuesFilter
from tests.encryption.clinic.models import Patient, Plain, Sample
from tests.encryption.conftest import fresh_key
from tests.encryption.test_fields import stored
from tests.encryption.test_tampering import put

pytestmark = pytest.mark.django_db

VALUE = "the-diagnosis-nobody-may-read"


@pytest.fixture
def written(caplog, settings):
    """Everything that was written: log lines with tracebacks, 500 pages, error mails."""
    caplog.set_level(logging.DEBUG)
    # Pairs until Django 5.2, addresses from 6.0 on.
    settings.ADMINS = ["op@example.org"] if django.VERSION >= (6,) else [("Op", "op@example.org")]
    connection.force_debug_cursor = True
    yield SimpleNamespace(log=caplog, parts=[])
    connection.force_debug_cursor = False


def report(written, settings):
    """Write about the exception at hand in every way Django and Python have."""
    kind, failure, trace = sys.exc_info()
    request = RequestFactory().get("/")
    for is_debug in (True, False):
        settings.DEBUG = is_debug
        written.parts.append(technical_500_response(request, kind, failure, trace).content.decode())
        written.parts.append(ExceptionReporter(request, kind, failure, trace).get_traceback_text())
        record = logging.LogRecord(
            "django.request", logging.ERROR, __file__, 1, "failed", None, (kind, failure, trace)
        )
        record.request = request
        AdminEmailHandler(include_html=True).emit(record)
    settings.DEBUG = False
    written.parts += [str(message.message()) for message in mail.outbox]
    written.parts += [body for m in mail.outbox for body, _ in getattr(m, "alternatives", [])]
    out = io.StringIO()
    logging.getLogger("test").error("failed", exc_info=True)  # noqa: LOG014
    traceback.TracebackException(kind, failure, trace, capture_locals=True).print(file=out)
    written.parts.append(out.getvalue())
    walk = trace
    while walk:
        if walk.tb_frame.f_globals["__name__"].startswith("encryption."):
            written.parts.append(repr(walk.tb_frame.f_locals))
        walk = walk.tb_next


def everything(written):
    lines = [written.log.text, *written.parts, *(q["sql"] for q in connection.queries_log)]
    lines += [str(record.__dict__) for record in written.log.records]
    return "\n".join(lines)


def spellings(secret):
    """The ways in which bytes could be written down."""
    if isinstance(secret, str):
        secret = secret.encode()
    return [
        secret.decode("latin-1"),
        repr(secret)[2:-1],
        secret.hex(),
        base64.b64encode(secret).decode().rstrip("="),
    ]


def assert_unwritten(written, *secrets):
    text = everything(written)
    assert len(text) > 1000, "something was written, or there is nothing to search"
    for secret in secrets:
        for spelling in spellings(secret):
            assert spelling not in text


def key_bytes():
    """Every key of the ring, and the ones derived from it."""
    found = []
    for key in keyring().by_id.values():
        found.append(key.value.reveal())
        found.append(derived(key.value, "field/clinic.plain.secret"))
        found.append(derived(key.value, "blind-index/clinic.patient.email"))
    return found


def attempt(written, settings, act):
    """Let it fail, write about it, and give the failure; no frame of it holds a secret of ours."""
    try:
        with transaction.atomic():
            act()
    except Exception as failure:  # noqa: BLE001
        report(written, settings)
        return failure
    return pytest.fail("it did not fail")


@pytest.mark.parametrize("how", ["tampered", "missing", "retired", "wrong"])
def test_a_value_that_cannot_be_read(written, settings, keys, how):
    made = Plain.objects.create(secret=VALUE)
    secrets = key_bytes()
    if how == "tampered":
        envelope = bytearray(stored(Plain, "secret", made.pk))
        envelope[-1] ^= 1
        put(Plain, "secret", made.pk, bytes(envelope))
    elif how == "missing":
        keys("k2")
    elif how == "retired":
        keys("k2", "k1")
        KeyVersion.objects.update_or_create(
            key_id="k1", defaults={"first_seen_at": timezone.now(), "retired_at": timezone.now()}
        )
        keys("k2")
    else:
        settings.ENCRYPTION_KEYS = [fresh_key("k1")]

    failure = attempt(written, settings, lambda: Plain.objects.get().secret)

    assert isinstance(failure, DecryptionFailed)
    assert "clinic.Plain.secret" in str(failure)
    assert "'k1'" in str(failure)
    assert "'k1'" in written.log.text
    assert ("was retired on" in str(failure)) is (how == "retired")
    assert_unwritten(written, VALUE, *secrets, *key_bytes())


@pytest.mark.parametrize("base", [models.IntegerField(), models.JSONField(), models.DateField()])
def test_a_value_that_was_written_while_the_field_had_another_type(written, settings, keys, base):
    """What a decoder says of it names it; so nothing of what a decoder says is kept."""
    made = Plain.objects.create(secret=VALUE)
    retyped = Encrypted(base, label="clinic.plain.secret")
    retyped.set_attributes_from_name("secret")
    retyped.model = Plain
    envelope = stored(Plain, "secret", made.pk)
    selected = b"\xa1" + made.pk.bytes + envelope

    for read in (
        lambda: retyped.open_envelope(envelope, made.pk.bytes),
        lambda: retyped.open_selected(selected),
        lambda: reader_of(retyped)(selected),
    ):
        failure = attempt(written, settings, read)
        assert isinstance(failure, DecryptionFailed)
        assert failure.reason == "not_of_type"
        assert (failure.__cause__, failure.__context__) == (None, None)
    assert_unwritten(written, VALUE, *key_bytes())


def test_text_that_is_none_is_refused_like_any_other_damage(written, settings, keys):
    made = Plain.objects.create()
    field = Plain._meta.get_field("secret")
    selected = b"\xa1" + made.pk.bytes + field.cipher.seal(b"\xff" + VALUE.encode(), made.pk.bytes)

    failure = attempt(written, settings, lambda: field.read_value(selected))

    assert isinstance(failure, DecryptionFailed)
    assert failure.__context__ is None
    assert_unwritten(written, VALUE, *key_bytes())


@pytest.mark.parametrize("name", ["integer", "moment", "uid", "decimal", "binary", "span"])
@pytest.mark.parametrize("is_set_by", ["attribute", "create", "update"])
def test_a_value_that_does_not_fit(written, settings, keys, name, is_set_by):
    """In an instance it is hidden by itself; as an argument, by the filter for error reports."""
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "encryption.reporting.EncryptedValuesFilter"
    get_default_exception_reporter_filter.cache_clear()
    made = Sample.objects.create()
    values = {name: VALUE}
    if is_set_by == "attribute":
        settings.DEFAULT_EXCEPTION_REPORTER_FILTER = (
            "django.views.debug.SafeExceptionReporterFilter"
        )
        get_default_exception_reporter_filter.cache_clear()
        setattr(made, name, VALUE)
        failure = attempt(written, settings, made.save)
    else:
        manager = Sample.objects if is_set_by == "create" else EncryptedQuerySet(Sample)
        failure = attempt(written, settings, lambda: getattr(manager, is_set_by)(**values))
    get_default_exception_reporter_filter.cache_clear()

    assert isinstance(failure, ValueRefused)
    reports = [part for part in written.parts if "capture_locals" not in part]
    if is_set_by != "attribute":
        # Python's own capture of locals knows no filter; Django's reports are what is sent.
        reports = [part for part in reports if not part.startswith("Traceback (most recent")]
    written.parts = reports
    assert_unwritten(written, VALUE, *key_bytes())


def test_what_was_posted_into_an_encrypted_field_is_hidden(settings, rf):
    shown = EncryptedValuesFilter()
    posted = rf.post("/", {"note": VALUE, "name": "Ann"})
    settings.DEBUG = True
    assert shown.get_post_parameters(posted) == {"note": "*" * 20, "name": "Ann"}
    assert shown.get_post_parameters(rf.post("/", {"a": "b"})).dict() == {"a": "b"}
    nested = {"rows": [{"note": VALUE, "n": 1}]}
    assert VALUE not in str(shown.hidden("data", nested, frozenset({"note"})))


def test_saving_updating_and_looking_up_write_no_value_into_the_log(written, keys):
    Patient.objects.create(email="secret-address@example.org", note=VALUE)
    Patient.objects.update(note=VALUE + "2")
    Patient.objects.filter(email_index="secret-address@example.org").get().save()
    Patient.objects.bulk_update(Patient.objects.all(), ["note"])
    loaded = Patient.objects.get()
    logging.getLogger("site").info("%r %r %r", loaded, loaded.__dict__["note"], [loaded])
    logging.getLogger("site").info("%s", Patient.objects.all().query)

    assert "UPDATE" in everything(written)
    assert_unwritten(written, VALUE, "secret-address@example.org", *key_bytes())


@pytest.mark.parametrize(
    "entries",
    [
        ["k1:not-base64-but-a-secret-all-the-same%%"],
        ["k1:" + base64.b64encode(b"a secret of 20 bytes").decode()],
        ["pbkdf2:hunter2hunter2"],
        ["a secret without any id at all"],
    ],
)
def test_keys_that_are_refused(written, settings, entries):
    settings.ENCRYPTION_KEYS = entries
    keyring.cache_clear()
    failure = attempt(written, settings, keyring)
    [message] = check_keys(None)
    written.parts.append(str(message))

    assert isinstance(failure, KeyringUnusable)
    secret = entries[0].partition(":")[2] or entries[0]
    assert len(everything(written)) > 1000
    assert secret not in everything(written)


def test_the_error_page_hides_the_settings_that_hold_keys(written, settings, keys):
    settings.ENCRYPTION_VAULT_WRAPPED_KEYS = ["k1:vault:v1:" + "hidden"[::-1]]

    attempt(written, settings, lambda: Plain.objects.get(nothing=1))

    page = "\n".join(written.parts)
    assert "ENCRYPTION_KEYS" in page
    assert "ENCRYPTION_VAULT_WRAPPED_KEYS" in page
    assert "ned" + "dih" not in page
    assert_unwritten(written, *key_bytes())


def test_a_new_secret_key_changes_nothing(settings, keys):
    Patient.objects.create(email="a@example.org", note=VALUE)
    settings.SECRET_KEY = "another secret key altogether, long enough to be one"
    keyring.cache_clear()

    assert Patient.objects.get(email_index="A@example.org").note == VALUE
