"""What operators see: checks, health, the panel, drills, and the app alone in a foreign project."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import models
from django.test import RequestFactory
from django.utils import timezone

from encryption import health as health_module
from encryption.drills import samples_decrypt
from encryption.fields import Encrypted, field_checks
from encryption.key_versions import adopt
from encryption.models import DecryptionFailureCount, KeyVersion, Rotation
from encryption.panels import EncryptionKeys
from garrison import panels
from garrison.drills import Restored
from garrison.health import Status
from tests.encryption.clinic.models import Patient, Plain, Visit
from tests.encryption.conftest import fresh_key
from tests.encryption.test_fields import stored
from tests.encryption.test_tampering import put

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def _known_keys(keys):
    KeyVersion.objects.all().delete()
    DecryptionFailureCount.objects.all().delete()
    adopt()


@pytest.mark.django_db
@pytest.mark.usefixtures("_known_keys")
def test_health_follows_the_keys_their_age_and_the_failures(settings, keys):
    assert health_module.encryption().status is Status.HEALTHY

    KeyVersion.objects.update(first_seen_at=timezone.now() - timedelta(days=400))
    aged = health_module.encryption()
    assert (aged.status, "400 days old" in aged.detail) == (Status.DEGRADED, True)
    made = Plain.objects.create(secret="s")
    put(Plain, "secret", made.pk, b"\x01broken")
    with pytest.raises(Exception, match="no envelope"):
        _ = Plain.objects.get().secret
    assert "1 values could not be decrypted" in health_module.encryption().detail

    settings.ENCRYPTION_KEYS = [fresh_key("k1")]
    assert health_module.encryption().status is Status.UNHEALTHY
    settings.ENCRYPTION_KEYS = []
    assert "There is no encryption key" in health_module.encryption().detail


@pytest.mark.django_db
@pytest.mark.usefixtures("_known_keys")
def test_the_panel_shows_ages_progress_and_failures_in_three_queries(django_assert_num_queries):
    now = timezone.now()
    Rotation.objects.create(label="a.b.c", key_id="k1", rotated=5, started_at=now, updated_at=now)
    DecryptionFailureCount.objects.create(
        hour=now - timedelta(hours=2), place="a.B.c", reason="not_authentic", count=3, last_at=now
    )
    window = panels.window("24h", now=now)
    with django_assert_num_queries(3):
        shown = EncryptionKeys().context(request=RequestFactory().get("/"), window=window)
        # keys · unfinished rotations · failures in the window
        rows = {name: list(value) for name, value in shown.items()}
    assert rows["keys"][0]["is_active"]
    assert [rotation.rotated for rotation in rows["rotations"]] == [5]
    assert rows["failures"][0]["total"] == 3


@pytest.mark.django_db
def test_a_drill_opens_samples_of_every_field_and_names_what_does_not_open(keys):
    Visit.objects.bulk_create([Visit(remark=str(n)) for n in range(30)])
    Patient.objects.create(email="a@example.org")
    found = samples_decrypt(Restored(using="default"))
    assert found.is_whole
    assert found.looked_at == 20 + 20 + 2

    first = Visit.objects.earliest("pk")
    broken = bytearray(stored(Visit, "remark", first.pk))
    broken[-1] ^= 1
    put(Visit, "remark", first.pk, bytes(broken))
    found = samples_decrypt(Restored(using="default"))
    assert not found.is_whole
    assert "clinic.Visit.remark (not_authentic" in found.detail


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (models.TextField(unique=True), {"encryption.E012"}),
        (models.TextField(db_index=True), {"encryption.E012"}),
        (models.TextField(db_default="x"), {"encryption.E013"}),
        (models.FileField(), {"encryption.E011"}),
        (models.ForeignKey("auth.Group", models.CASCADE), {"encryption.E011"}),
        (models.BigAutoField(primary_key=True), {"encryption.E011"}),
        (models.DecimalField(max_digits=2, decimal_places=5), {"fields.E134"}),
        (models.TextField(), set()),
    ],
)
def test_what_cannot_work_is_found_by_a_check(base, expected):
    field = Encrypted(base)
    field.set_attributes_from_name("probe")
    field.model = Plain
    messages = [m for m in field_checks.run(field) if m.id != field_checks.W015]
    assert {message.id for message in messages} - {"fields.E121"} == expected
    assert all(m.hint for m in messages if m.id.startswith("encryption."))


@pytest.mark.parametrize(
    "options",
    [
        {"constraints": [models.UniqueConstraint(fields=["secret"], name="one_secret")]},
        {"indexes": [models.Index(fields=["-secret"], name="by_secret")]},
        {"unique_together": [("clear", "secret")]},
    ],
)
def test_a_constraint_over_ciphertext_is_found_because_it_would_never_hold(options, monkeypatch):
    for name, value in options.items():
        monkeypatch.setattr(Plain._meta, name, value)

    messages = list(field_checks.run(Plain._meta.get_field("secret")))

    assert field_checks.E012 in {message.id for message in messages}


def test_rows_subjects_and_managers_are_checked_too():
    assert [m.id for m in Plain._meta.get_field("secret").check()] == [field_checks.W015]
    assert list(Patient._meta.get_field("note").check()) == []
    lost = Encrypted(models.TextField(), subject="nobody")
    lost.set_attributes_from_name("lost")
    lost.model = Patient
    assert [m.id for m in field_checks.run(lost)] == [field_checks.E014]
    from tests.encryption.clinic.models import Person

    lost.model, lost.subject = Person, ""
    assert field_checks.E010 in [m.id for m in field_checks.run(lost)]


def test_only_a_field_can_be_wrapped():
    with pytest.raises(TypeError, match="wraps a field instance"):
        Encrypted(models.TextField)


HOST = textwrap.dedent(
    """
    SECRET_KEY = "a secret key of the foreign host project, long enough"
    INSTALLED_APPS = [
        "garrison", "encryption", "ledger", "django.contrib.auth", "django.contrib.contenttypes",
    ]
    MIDDLEWARE = ["garrison.middleware.RequestContextMiddleware"]
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "host.sqlite3"}}
    AUTH_USER_MODEL = "ledger.Member"
    USE_TZ = True
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    ENCRYPTION_KEYS = [%r]
    """
)
MODELS = textwrap.dedent(
    """
    from django.contrib.auth.models import AbstractBaseUser
    from django.db import models
    from encryption.blind_index import BlindIndex
    from encryption.fields import Encrypted, RowSalt
    from encryption.querysets import EncryptedManager

    class Member(AbstractBaseUser):
        login = models.CharField(max_length=50, unique=True)
        USERNAME_FIELD = "login"

    class Entry(models.Model):
        row_salt = RowSalt()
        member = models.ForeignKey(Member, models.CASCADE, null=True)
        iban = Encrypted(models.CharField(max_length=34))
        iban_index = BlindIndex("iban", unique=True)
        objects = EncryptedManager()
    """
)
USE = textwrap.dedent(
    """
    import django, io, sys
    django.setup()
    from django.core.management import call_command
    from ledger.models import Entry

    call_command("check", fail_level="WARNING")
    call_command("makemigrations", "ledger")
    call_command("makemigrations", check_changes=True, dry_run=True)
    call_command("migrate", verbosity=0)
    Entry.objects.create(iban="DE00 1234")
    assert Entry.objects.get(iban_index="de00 1234").iban == "DE00 1234"
    assert Entry.objects.values_list("iban", flat=True).get() == "DE00 1234"
    call_command("encryption_rotate")
    call_command("encryption_status")
    call_command("check", databases=["default"], fail_level="WARNING")
    assert not [name for name in sys.modules if name.startswith("rest_framework")]
    print("it works")
    """
)


@pytest.mark.slow
def test_the_app_works_alone_in_a_foreign_project_with_its_own_user_model(tmp_path):
    """Checks without a warning, makes clean migrations, migrates, and reads and writes."""
    (tmp_path / "ledger" / "migrations").mkdir(parents=True)
    for name in ("ledger/__init__.py", "ledger/migrations/__init__.py"):
        (tmp_path / name).touch()
    (tmp_path / "host.py").write_text(HOST % fresh_key("k1"))
    (tmp_path / "ledger" / "models.py").write_text(MODELS)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "DJANGO_SETTINGS_MODULE": "host",
    }

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "it works" in done.stdout
    assert "ledger.Entry.iban: k1: 1; 0 due" in done.stdout
    migration = (tmp_path / "ledger/migrations/0001_initial.py").read_text()
    assert "encryption.fields.Encrypted(models.CharField(max_length=34))" in migration
    assert "encryption.blind_index.BlindIndex('iban', unique=True)" in migration
