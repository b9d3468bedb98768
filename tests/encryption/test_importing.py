"""Taking over columns of django-cryptography."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import pickle

import pytest
from django.core.management import CommandError, call_command

from encryption.cipher import HEADER_BYTES
from encryption.importing import FromDjangoCryptography
from tests.encryption.clinic.models import Patient, Sample
from tests.encryption.test_fields import stored
from tests.encryption.test_tampering import put

pytestmark = pytest.mark.django_db
fernet = pytest.importorskip("django_cryptography.utils.crypto")


def theirs(value, key=None):
    """What django-cryptography's field would have stored."""
    return fernet.FernetBytes(key).encrypt(pickle.dumps(value))


def run(*arguments):
    out = io.StringIO()
    call_command("encryption_import", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_column_is_taken_over_in_place():
    people = [Patient.objects.create(email=f"{n}@example.org") for n in range(5)]
    for n, person in enumerate(people[:4]):
        put(Patient, "note", person.pk, theirs(f"their note {n}"))

    assert run("clinic.Patient.note", "--dry-run")["due"] == 4
    result = run("clinic.Patient.note", "--batch", "2")

    assert result == {"field": "clinic.Patient.note", "due": 4, "imported": 4, "unreadable": 0}
    for n, person in enumerate(people[:4]):
        assert Patient.objects.get(pk=person.pk).note == f"their note {n}"
        assert stored(Patient, "note", person.pk)[:1] == b"\x01"
    assert Patient.objects.get(pk=people[4].pk).note == ""
    assert run("clinic.Patient.note")["due"] == 0


def test_typed_values_come_over():
    made = Sample.objects.create(moment=dt.datetime(2020, 1, 1, tzinfo=dt.UTC), integer=1)
    moment = dt.datetime(2026, 11, 24, 1, 2, 3, 4, tzinfo=dt.UTC)
    put(Sample, "moment", made.pk, theirs(moment))
    put(Sample, "integer", made.pk, theirs(77))

    run("clinic.Sample.moment")
    run("clinic.Sample.integer")

    again = Sample.objects.get(pk=made.pk)
    assert (again.moment, again.integer) == (moment, 77)


def test_a_field_that_had_a_key_of_its_own_is_imported_with_it(monkeypatch):
    made = Patient.objects.create(email="a@example.org")
    key = os.urandom(32).hex()[:32]
    put(Patient, "note", made.pk, theirs("own key", key.encode()))
    monkeypatch.setenv("OLD_FIELD_KEY", key)

    with pytest.raises(CommandError, match="not set"):
        run("clinic.Patient.note", "--key-variable", "NOT_THERE")
    run("clinic.Patient.note", "--key-variable", "OLD_FIELD_KEY")

    assert Patient.objects.get().note == "own key"


def test_values_of_another_secret_key_are_named_and_left(settings):
    made = Patient.objects.create(email="a@example.org")
    put(Patient, "note", made.pk, b"\x80" + os.urandom(120))

    with pytest.raises(CommandError, match="1 values could not be read"):
        run("clinic.Patient.note")
    assert stored(Patient, "note", made.pk)[:1] == b"\x80"
    with pytest.raises(CommandError, match="no encrypted field"):
        run("clinic.Patient.name")


def test_a_pickle_that_would_call_something_is_refused_and_calls_nothing(tmp_path):
    """Whoever has the old key still may not run code by it."""
    trap = tmp_path / "called"

    class Trap:
        def __reduce__(self):
            return (open, (str(trap), "w"))

    made = Patient.objects.create(email="a@example.org")
    put(Patient, "note", made.pk, fernet.FernetBytes().encrypt(pickle.dumps(Trap())))

    with pytest.raises(CommandError, match="could not be read"):
        run("clinic.Patient.note")
    assert not trap.exists()


def test_without_the_package_the_import_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "django_cryptography.utils.crypto", None)
    made = Patient.objects.create(email="a@example.org")
    put(Patient, "note", made.pk, b"\x80" + b"x" * 80)

    with pytest.raises(CommandError, match=r"django-garrison\[import\]"):
        run("clinic.Patient.note")
    assert len(stored(Patient, "note", made.pk)) > HEADER_BYTES
    assert FromDjangoCryptography(key=b"k")._key == b"k"
