"""Serializers, forms and ``full_clean`` meet the field that is wrapped, and its blind index."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.test.utils import isolate_apps

from encryption.errors import ValueRefused
from encryption.fields import Encrypted, encrypted_fields
from tests.encryption.clinic.models import Clinical, Patient, Sample
from tests.encryption.conftest import CLINIC
from tests.encryption.test_fields import VALUES

serializers = pytest.importorskip("rest_framework.serializers")
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys")]

# What each kind is told by its own options, beside the types of Sample.
OPTIONS = {
    "blank": models.TextField(blank=True),
    "blank_choice": models.CharField(blank=True, max_length=1, choices=[("a", "A")]),
    "limited": models.CharField(max_length=5),
    "small": models.PositiveSmallIntegerField(),
    "v4": models.GenericIPAddressField(protocol="IPv4"),
    "unicode_slug": models.SlugField(allow_unicode=True, db_index=False),
    "file_path": models.FilePathField(path="/tmp", recursive=True),
    "labelled": models.FloatField("a label", help_text="a text", default=1.5),
    "shown": models.BinaryField(editable=True, max_length=4),
}


def serializer_of(model_class, *names):
    meta = type("Meta", (), {"model": model_class, "fields": names or "__all__"})
    return type("Made", (serializers.ModelSerializer,), {"Meta": meta})


@isolate_apps(CLINIC)
def test_every_field_is_declared_as_the_one_it_wraps():
    bases = OPTIONS | {f.name: f.base for f in encrypted_fields(Sample)}
    bases.pop("binary")  # below; shown by ``value_to_string``
    bases.pop("shown")
    encrypted = {name: Encrypted(base.clone()) for name, base in bases.items()}
    plain = {name: base.clone() for name, base in bases.items()}
    both = [
        serializer_of(type(name, (Clinical,), {**fields, "__module__": __name__}), *bases)()
        for name, fields in (("Closed", encrypted), ("Open", plain))
    ]

    closed, clear = ({n: repr(f) for n, f in one.fields.items()} for one in both)

    assert closed == clear
    assert all(isinstance(field, type(bases[name])) for name, field in encrypted.items())


@pytest.mark.parametrize("name", [n for n in VALUES if n != "binary"])
def test_every_type_is_shown_and_taken_back(name):
    made = serializer_of(Sample, name)
    shown = made(Sample.objects.create(**{name: VALUES[name]})).data

    taken = made(data=shown)

    assert taken.is_valid(), taken.errors
    assert getattr(Sample.objects.get(pk=taken.save().pk), name) == VALUES[name]


def test_a_binary_value_is_shown_as_ciphertext():
    """Read-only, unless it is editable; the framework shows it as a fixture would."""
    row = Sample.objects.create(binary=b"seen")
    assert serializer_of(Sample, "binary")(row).data["binary"].startswith("garrison-encrypted:")


def test_a_unique_blind_index_is_validated():
    first = Patient.objects.create(email="ann@example.org")
    made = serializer_of(Patient, "email", "note")

    doubled = made(data={"email": "Ann@Example.org"})
    assert not doubled.is_valid()
    assert doubled.errors["email"][0].code == "unique"
    assert made(first, data={"email": "ANN@example.org", "note": ""}).is_valid()
    assert made(data={"email": "bob@example.org", "note": ""}).is_valid()
    other = Patient.objects.create(email="bob@example.org")
    assert not made(other, data={"email": "ann@example.org"}, partial=True).is_valid()
    every = serializer_of(Patient)(first).data
    assert every["email"] == "ann@example.org"


def test_the_wrapped_fields_validators_and_length_hold():
    wrong = {"char": "x" * 21, "email": "no", "slug": "a b", "url": "x", "ip": "1.2"}
    wrong |= {"colour": "green", "decimal": "1.2345678", "integer": 2**63}
    others = {f.name for f in Sample._meta.fields} - set(wrong)
    with pytest.raises(ValidationError) as refusal:
        Sample(**wrong).full_clean(exclude=others)
    assert set(refusal.value.message_dict) == set(wrong)
    for model_class, name, most in ((Sample, "char", 20), (Sample, "slug", 50)):
        sentence = f"at most {most} characters; 99 were given"
        with pytest.raises(ValueRefused, match=sentence), transaction.atomic():
            model_class.objects.create(**{name: "x" * 99})
    Sample.objects.create(char="x" * 20)
    Patient.objects.create(email="a@example.org")
    with pytest.raises(ValueRefused, match="at most 254"), transaction.atomic():
        Patient.objects.update(email="y" * 255)
    with pytest.raises(ValueRefused, match="at most 20"), transaction.atomic():
        Sample.objects.bulk_create([Sample(char="y" * 21)])
    assert Sample.objects.get().char == "x" * 20


@isolate_apps(CLINIC)
@pytest.mark.parametrize(
    "base",
    [
        models.TextField(),
        models.TextField(blank=True),
        models.CharField(max_length=9, blank=True),
        models.CharField(max_length=9, null=True),
        models.TextField(default="d"),
        models.JSONField(default=dict),
        models.IntegerField(),
        models.BinaryField(),
        models.BinaryField(default=b"d"),
    ],
    ids=repr,
)
def test_without_a_value_it_starts_as_the_wrapped_field_does(base):
    class Closed(Clinical):
        value = Encrypted(base.clone())

    class Open(Clinical):
        value = base.clone()

    assert Closed().value == Open().value
    assert type(Closed().value) is type(Open().value)


def test_a_text_without_a_value_is_stored_as_an_empty_one():
    made = Sample.objects.create()
    assert Sample.objects.filter(empty__isnull=False).get().pk == made.pk
    assert Sample.objects.get().empty == ""
