"""Blind indexes: equality and uniqueness, and nothing else."""

from __future__ import annotations

import json
import uuid

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F

from encryption import blind_index
from encryption.blind_index import BlindIndex, caseless, digits, exactly
from encryption.checks import E003, E004, check_blind_indexes
from encryption.cipher import derived
from encryption.errors import ExpressionRefused, KeyringUnusable
from encryption.keyring import keyring
from garrison.keys import Mac
from tests.encryption.clinic.models import Patient
from tests.encryption.test_fields import stored

pytestmark = pytest.mark.django_db


def test_equal_values_are_found_however_they_are_written():
    made = Patient.objects.create(email="Ann@Example.org")

    for written in ("ann@example.org", " ANN@EXAMPLE.ORG ", "\uff21nn@example.org"):
        assert Patient.objects.get(email_index=written).pk == made.pk
    assert Patient.objects.filter(email_index__in=["ann@example.org", "b@example.org"]).count() == 1
    assert not Patient.objects.filter(email_index="bob@example.org").exists()
    assert Patient.objects.exclude(email_index="ann@example.org").count() == 0


def test_the_column_holds_a_keyed_digest_and_not_the_value():
    import hashlib

    made = Patient.objects.create(email="ann@example.org")

    digest = stored(Patient, "email_index", made.pk)
    assert len(digest) == 32
    assert digest != hashlib.sha256(b"ann@example.org").digest()


def test_its_key_is_not_the_key_of_encryption(keys):
    key = keyring().active.value
    mac = blind_index.index_mac("clinic.patient.email", "k1")
    assert mac.verifies(b"x", Mac(derived(key, "blind-index/clinic.patient.email")).digest(b"x"))
    assert not mac.verifies(b"x", Mac(derived(key, "field/clinic.patient.email")).digest(b"x"))


def test_a_second_row_of_an_equal_value_is_refused_by_the_database():
    Patient.objects.create(email="ann@example.org")

    with pytest.raises(IntegrityError), transaction.atomic():
        Patient.objects.create(email="ANN@example.org")


def test_forms_and_full_clean_say_so_before_the_database_does():
    class PatientForm(forms.ModelForm):
        class Meta:
            model = Patient
            fields = ["email", "note"]

    first = Patient.objects.create(email="ann@example.org")
    form = PatientForm({"email": "Ann@example.org", "note": ""})
    assert not form.is_valid()
    assert form.errors.as_data()["email"][0].code == "unique"
    with pytest.raises(ValidationError):
        Patient(email="ann@example.org").full_clean()

    edited = PatientForm({"email": "Ann@example.org", "note": "x"}, instance=first)
    assert edited.is_valid(), edited.errors
    edited.save()
    assert Patient.objects.get(email_index="ann@example.org").note == "x"
    assert PatientForm({"email": "no address"}).errors["email"]
    assert PatientForm(instance=first).initial["note"] == "x"


@pytest.mark.parametrize("lookup", ["contains", "gt", "startswith", "iexact", "range"])
def test_other_lookups_are_refused_with_a_sentence(lookup):
    with pytest.raises(ExpressionRefused, match="blind index"):
        Patient.objects.filter(**{f"email_index__{lookup}": "a"})


def test_bulk_create_fills_the_index():
    Patient.objects.bulk_create([Patient(email=f"{n}@example.org") for n in range(3)])

    assert Patient.objects.get(email_index="1@EXAMPLE.org").email == "1@example.org"


def test_saving_only_the_field_is_refused_because_the_index_would_go_stale():
    made = Patient.objects.create(email="ann@example.org")
    made.email = "bob@example.org"

    with pytest.raises(ExpressionRefused, match="email_index"):
        made.save(update_fields=["email"])
    with pytest.raises(ExpressionRefused, match="without 'email'"):
        made.save(update_fields=["email_index"])
    made.save(update_fields=["email", "email_index"])
    assert Patient.objects.get(email_index="bob@example.org").pk == made.pk


@pytest.mark.parametrize(
    "road",
    [
        lambda rows, _: rows.update(email_index="bob@example.org"),
        lambda rows, _: rows.update(email="bob@example.org", email_index="eve@example.org"),
        lambda rows, _: rows.update(email_index=None),
        lambda rows, _: rows.update(email_index=F("email_index")),
        lambda rows, _: models.QuerySet(Patient).update(email_index="bob@example.org"),
        lambda rows, _: models.QuerySet(Patient).update(email=None),
        lambda rows, _: models.QuerySet(Patient).update(email=None, email_index="x"),
        lambda rows, one: rows.bulk_update([one], ["email_index"]),
        lambda rows, one: rows.bulk_create(
            [one], update_conflicts=True, unique_fields=["id"], update_fields=["email"]
        ),
        lambda rows, one: rows.bulk_create(
            [one], update_conflicts=True, unique_fields=["id"], update_fields=["email_index"]
        ),
    ],
)
def test_an_index_is_written_with_its_field_alone(road):
    made = Patient.objects.create(email="ann@example.org")
    before = stored(Patient, "email_index", made.pk)
    made.email = "bob@example.org"

    with pytest.raises(ExpressionRefused, match="email"), transaction.atomic():
        road(Patient.objects.all(), made)

    assert stored(Patient, "email_index", made.pk) == before


def test_a_fixture_in_clear_makes_its_digests(tmp_path):
    path = tmp_path / "hand.json"
    fields = {"email": "hand@example.org", "name": "Hand"}
    path.write_text(
        json.dumps([{"model": "clinic.patient", "pk": str(uuid.uuid4()), "fields": fields}])
    )
    call_command("loaddata", str(path), verbosity=0)
    assert Patient.objects.get(email_index="HAND@example.org").name == "Hand"


def test_the_index_of_an_unopened_value_stays():
    made = Patient.objects.create(email="ann@example.org")
    before = stored(Patient, "email_index", made.pk)

    Patient.objects.get(pk=made.pk).save()

    assert stored(Patient, "email_index", made.pk) == before


def test_normalisers():
    assert caseless("  Straße ") == "strasse"
    assert exactly("e\u0301") == "\u00e9"
    assert digits("+49 (0)30 / 123-45 \u0664") == "49030123454"


def test_it_deconstructs_cleanly():
    index = BlindIndex("email", unique=True, key="k1", normalise="encryption.blind_index.exactly")
    index.set_attributes_from_name("email_index")

    assert index.deconstruct() == (
        "email_index",
        "encryption.blind_index.BlindIndex",
        ["email"],
        {"unique": True, "key": "k1", "normalise": "encryption.blind_index.exactly"},
    )
    assert BlindIndex("email").clone().db_index


def test_with_two_keys_one_must_be_named(keys, settings):
    settings.ENCRYPTION_INDEX_KEY = ""
    keys("k1")
    Patient.objects.create(email="ann@example.org")
    keys("k2", "k1")

    with pytest.raises(KeyringUnusable, match="ENCRYPTION_INDEX_KEY"):
        Patient.objects.filter(email_index="ann@example.org").exists()
    assert E003 in {message.id for message in check_blind_indexes(None)}

    settings.ENCRYPTION_INDEX_KEY = "k1"
    assert Patient.objects.filter(email_index="ann@example.org").exists()
    assert check_blind_indexes(None) == []


@pytest.mark.django_db(transaction=True)
def test_an_index_changes_its_key_by_a_second_column(keys):
    """Both columns are written while both exist; the new one is filled, and then the only one."""
    keys("k2", "k1")
    for n in range(3):
        Patient.objects.create(email=f"{n}@example.org")
    second = BlindIndex("email", key="k2")
    second.contribute_to_class(Patient, "email_next")
    try:
        with connection.schema_editor() as editor:
            editor.add_field(Patient, second)
        assert not Patient.objects.filter(email_next="1@example.org").exists()

        filled = blind_index.fill(second, rows_per_batch=2)

        assert filled == 3
        assert Patient.objects.get(email_next="1@example.org").email == "1@example.org"
        assert Patient.objects.get(email_index="1@example.org").email == "1@example.org"
        Patient.objects.filter(email_index="1@example.org").update(email="new@example.org")
        assert Patient.objects.get(email_next="new@example.org").email == "new@example.org"
        assert blind_index.fill(second) == 0
    finally:
        with connection.schema_editor() as editor:
            editor.remove_field(Patient, second)
        Patient._meta.local_fields.remove(second)
        del Patient.email_next
        Patient._meta._expire_cache()


def test_an_index_of_nothing_is_found_by_a_check():
    lost = BlindIndex("name")
    lost.contribute_to_class(Patient, "lost_index")
    try:
        assert E004 in {message.id for message in check_blind_indexes(None)}
    finally:
        Patient._meta.local_fields.remove(lost)
        del Patient.lost_index
        Patient._meta._expire_cache()
