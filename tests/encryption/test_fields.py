"""Encrypted fields in the ORM: every type, and the field itself."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import uuid

import pytest
from django.db import connection, models
from django.test.utils import isolate_apps

from encryption.errors import (
    DecryptionFailed,
    ValueRefused,
)
from encryption.fields import Encrypted
from tests.encryption.clinic.models import (
    Clinical,
    Patient,
    Plain,
    Sample,
    Visit,
)
from tests.encryption.conftest import CLINIC

pytestmark = pytest.mark.django_db

VALUES = {
    "text": "Naïve text with \N{SNOWMAN} and a\nline",
    "char": "short",
    "email": "someone@example.org",
    "slug": "a-slug",
    "url": "https://example.org/?a=b",
    "ip": "2001:db8::1",
    "integer": -42,
    "big": 2**62,
    "floating": 0.1 + 0.2,
    "decimal": decimal.Decimal("12345678901234.567890"),
    "flag": False,
    "day": dt.date(2026, 11, 24),
    "moment": dt.datetime(2026, 11, 24, 3, 4, 5, 678901, tzinfo=dt.UTC),
    "clock": dt.time(23, 59, 59, 999999),
    "span": dt.timedelta(days=-1, microseconds=7),
    "json": {"list": [1, 2.5, None, True, "x"], "unicode": "é"},
    "binary": b"\x00\xff\xa1A\x01",
    "uid": uuid.UUID("12345678-1234-5678-1234-567812345678"),
}


def stored(model, column, pk):
    """The bytes as the database holds them."""
    quote = connection.ops.quote_name
    key = model._meta.pk
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {quote(column)} FROM {quote(model._meta.db_table)} "
            f"WHERE {quote(key.column)} = %s",
            [key.get_db_prep_value(pk, connection)],
        )
        value = cursor.fetchone()[0]
    return None if value is None else bytes(value)


@pytest.mark.parametrize("name", VALUES)
def test_every_type_comes_back_as_it_was(name):
    made = Sample.objects.create(**{name: VALUES[name]})

    value = getattr(Sample.objects.get(pk=made.pk), name)
    assert value == VALUES[name]
    assert type(value) is type(VALUES[name])
    assert Sample.objects.values_list(name, flat=True).get(pk=made.pk) == VALUES[name]
    assert Sample.objects.values(name).get(pk=made.pk) == {name: VALUES[name]}


@pytest.mark.parametrize("name", VALUES)
def test_no_type_leaves_a_trace_of_its_value_in_the_column(name):
    made = Sample.objects.create(**{name: VALUES[name]})

    envelope = stored(Sample, name, made.pk)
    assert envelope[:1] == b"\x01"
    assert str(VALUES[name]).encode() not in envelope


def test_null_stays_null_and_empty_text_is_encrypted():
    made = Patient.objects.create(email="a@example.org", note="", diary=None)

    assert stored(Patient, "diary", made.pk) is None
    assert len(stored(Patient, "note", made.pk)) > 20
    again = Patient.objects.get(pk=made.pk)
    assert (again.note, again.diary) == ("", None)
    assert Patient.objects.filter(diary__isnull=True, note__isnull=False).count() == 1
    assert Patient.objects.filter(diary=None).count() == 1
    assert Patient.objects.exclude(diary=None).count() == 0


def test_json_null_and_default_documents_are_kept_apart():
    made = Sample.objects.create(document=None)

    assert Sample.objects.get(pk=made.pk).document is None
    assert stored(Sample, "document", made.pk) is not None
    assert Sample.objects.get(pk=Sample.objects.create().pk).document == {}


def test_the_wrapped_fields_auto_now_and_choices_work():
    made = Sample.objects.create()

    again = Sample.objects.get(pk=made.pk)
    assert again.touched == made.touched
    assert again.get_colour_display() == "Red"


def test_rows_without_a_uuid_are_bound_to_their_salt():
    made = Visit.objects.create(remark="one", secret="two")

    again = Visit.objects.get(pk=made.pk)
    assert (again.remark, again.secret, again.row_salt) == ("one", "two", made.row_salt)


def test_a_value_of_the_wrong_type_is_refused_without_being_shown():
    with pytest.raises(
        ValueRefused, match=r"Sample.integer holds IntegerField.*type str"
    ) as refusal:
        Sample.objects.create(integer="hunter2-secret")
    assert "hunter2" not in str(refusal.value)
    with pytest.raises(ValueRefused):
        Sample.objects.create(binary="text")
    with pytest.raises(ValueRefused):
        Sample.objects.create(json={"a": object()})


def test_the_field_deconstructs_cleanly_and_clones():
    field = Patient._meta.get_field("email")

    name, path, args, options = field.deconstruct()
    assert (name, path, options) == ("email", "encryption.fields.Encrypted", {})
    assert isinstance(args[0], models.EmailField)
    assert field.clone().deconstruct()[1:][0] == path
    labelled = Encrypted(models.TextField(), label="old.place.name")
    assert labelled.deconstruct()[3] == {"label": "old.place.name"}


def test_a_label_keeps_values_readable_through_a_rename():
    made = Plain.objects.create(secret="s")
    field = Plain._meta.get_field("secret")

    assert field.label == "clinic.plain.secret"
    renamed = Encrypted(models.TextField(), label="clinic.plain.secret")
    renamed.set_attributes_from_name("renamed")
    renamed.model = Plain
    envelope = stored(Plain, "secret", made.pk)
    assert renamed.open_envelope(envelope, made.pk.bytes) == "s"


def test_the_quick_path_follows_the_keys(keys):
    """One function per field and ring; after each change it must be the one for the new ring."""
    Plain.objects.create(secret="s")
    loaded, again, later, last = (Plain.objects.get() for _ in range(4))
    assert loaded.secret == "s"

    keys("k2", "k1")
    assert again.secret == "s"
    keys("k2")
    with pytest.raises(DecryptionFailed, match="'k1'"):
        _ = later.secret
    keys("k1")
    assert last.secret == "s"
    assert Plain.objects.values_list("secret", flat=True).get() == "s"


@isolate_apps(CLINIC)
def test_a_copy_of_a_field_in_use_reads_as_itself(keys):
    class Copied(Clinical):
        id = models.UUIDField(primary_key=True, default=uuid.uuid4)

    made = Plain.objects.create(secret="s")
    field = Plain._meta.get_field("secret")
    selected = b"\xa1" + made.pk.bytes + stored(Plain, "secret", made.pk)
    assert field.read_value(selected) == "s"

    copied = copy.deepcopy(field)
    copied.contribute_to_class(Copied, "secret")

    with pytest.raises(DecryptionFailed, match=r"clinic\.Copied\.secret"):
        copied.read_value(selected)
    sealed = copied.seal("t", row=made.pk.bytes)
    assert copied.read_value(b"\xa1" + made.pk.bytes + sealed) == "t"
