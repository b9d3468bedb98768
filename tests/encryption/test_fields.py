"""Encrypted fields in the ORM: every type, every way to write, every way to read."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import json
import pickle
import uuid

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Case, Count, Exists, F, Max, OuterRef, Prefetch, Subquery, Value, When
from django.db.models.functions import Coalesce, Lower
from django.test.utils import isolate_apps

from encryption.errors import (
    DecryptionFailed,
    ExpressionRefused,
    UnboundValue,
    ValueRefused,
)
from encryption.fields import Encrypted
from tests.encryption.clinic.models import (
    Clinical,
    EmergencyVisit,
    NightVisit,
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


def test_bulk_create_seals_each_row_for_itself():
    Visit.objects.bulk_create([Visit(remark=f"r{n}", number=n) for n in range(5)])

    assert [v.remark for v in Visit.objects.order_by("number")] == [f"r{n}" for n in range(5)]
    assert Visit.objects.values("row_salt").distinct().count() == 5


def test_update_writes_one_value_to_many_rows():
    Visit.objects.bulk_create([Visit(remark="old", number=n) for n in range(5)])

    changed = Visit.objects.filter(number__gte=2).update(remark="new", number=F("number") + 10)

    assert changed == 3
    assert [(v.number, v.remark) for v in Visit.objects.order_by("number")] == [
        (0, "old"),
        (1, "old"),
        (12, "new"),
        (13, "new"),
        (14, "new"),
    ]
    envelopes = {stored(Visit, "remark", pk) for pk in Visit.objects.values_list("pk", flat=True)}
    assert len(envelopes) == 5


def test_update_works_across_a_join_through_a_relation_and_to_null():
    patient = Patient.objects.create(email="a@example.org", name="Ann", diary="x")
    Visit.objects.create(patient=patient)
    Visit.objects.create(remark="kept")

    assert Visit.objects.filter(patient__name="Ann").update(remark="joined") == 1
    assert patient.visits.get().remark == "joined"
    assert patient.visits.update(remark="related") == 1
    assert Visit.objects.get(patient=None).remark == "kept"
    assert Patient.objects.update(diary=None) == 1
    assert Patient.objects.get().diary is None


def test_update_of_nothing_and_of_a_slice_behave_as_django_does():
    assert Visit.objects.filter(number=99).update(remark="x") == 0
    with pytest.raises(TypeError, match="slice"):
        Visit.objects.all()[:1].update(remark="x")


def test_update_follows_a_blind_index():
    Patient.objects.create(email="old@example.org")

    Patient.objects.update(email="New@Example.org")

    assert Patient.objects.get(email_index="new@example.ORG").email == "New@Example.org"
    assert not Patient.objects.filter(email_index="old@example.org").exists()


def test_bulk_update_seals_for_each_row_and_follows_the_index():
    people = [Patient.objects.create(email=f"{n}@example.org") for n in range(3)]
    for n, person in enumerate(people):
        person.email, person.note, person.name = f"new{n}@example.org", f"note {n}", f"name {n}"

    assert Patient.objects.bulk_update(people, ["email", "note", "name"]) == 3

    for n, person in enumerate(people):
        again = Patient.objects.get(email_index=f"new{n}@example.org")
        assert (again.pk, again.note, again.name) == (person.pk, f"note {n}", f"name {n}")


def test_a_plain_manager_reads_and_saves_and_refuses_what_it_cannot_bind():
    made = Plain.objects.create(secret="s")

    assert Plain.objects.get().secret == "s"
    assert Plain.objects.values_list("secret", flat=True).get() == "s"
    with pytest.raises(UnboundValue, match="EncryptedManager"), transaction.atomic():
        Plain.objects.update(secret="other")
    with pytest.raises(ExpressionRefused, match="EncryptedManager"), transaction.atomic():
        Plain.objects.bulk_update([made], ["secret"])
    assert Plain.objects.get().secret == "s"


def test_get_or_create_and_update_or_create_work():
    made, is_new = Patient.objects.get_or_create(
        email_index="a@example.org", defaults={"email": "a@example.org", "note": "n"}
    )
    same, is_new_too = Patient.objects.update_or_create(
        email_index="A@example.org", defaults={"note": "changed"}
    )

    assert (is_new, is_new_too, same.pk) == (True, False, made.pk)
    assert Patient.objects.get().note == "changed"


def test_an_untouched_value_is_written_back_as_it_was():
    made = Patient.objects.create(email="a@example.org", note="n")
    before = stored(Patient, "note", made.pk)

    loaded = Patient.objects.get(pk=made.pk)
    loaded.name = "changed"
    loaded.save()

    assert stored(Patient, "note", made.pk) == before
    assert Patient.objects.get(email_index="a@example.org").note == "n"


def test_saving_seals_an_untouched_value_of_an_older_key_anew(keys):
    made = Patient.objects.create(email="a@example.org", note="n")
    keys("k2", "k1")

    Patient.objects.get(pk=made.pk).save()

    assert stored(Patient, "note", made.pk)[1:3] == b"k2"
    assert Patient.objects.get(pk=made.pk).note == "n"


@pytest.mark.parametrize("is_looked_at", [True, False])
def test_a_copied_instance_is_a_row_of_its_own(is_looked_at):
    Visit.objects.create(remark="r")
    Patient.objects.create(email="a@example.org", note="n")
    copy, other = Visit.objects.get(), Patient.objects.get()
    if is_looked_at:
        assert (copy.remark, other.note) == ("r", "n")

    copy.pk = None
    copy.save()
    other.pk, other.email = None, "b@example.org"
    other.save()

    assert sorted(v.remark for v in Visit.objects.all()) == ["r", "r"]
    assert Visit.objects.values("row_salt").distinct().count() == 2
    assert sorted(p.note for p in Patient.objects.all()) == ["n", "n"]
    copy.pk = None
    copy.save()
    assert Visit.objects.values("row_salt").distinct().count() == 3


def test_values_reach_across_joins_and_into_annotations():
    patient = Patient.objects.create(email="a@example.org", note="n")
    Visit.objects.create(patient=patient, remark="r")

    assert Visit.objects.values_list("remark", "patient__note").get() == ("r", "n")
    assert Visit.objects.values("patient__email").get() == {"patient__email": "a@example.org"}
    assert Visit.objects.annotate(n=F("patient__note")).get().n == "n"
    assert Visit.objects.select_related("patient").get().patient.note == "n"
    row = Visit.objects.values_list("remark", named=True).get()
    assert row.remark == "r"
    inner = Patient.objects.filter(pk=OuterRef("patient")).values("note")
    assert Visit.objects.annotate(n=Subquery(inner)).get().n == "n"
    assert Patient.objects.prefetch_related(Prefetch("visits")).get().visits.all()[0].remark == "r"
    assert Patient.objects.values_list("visits__remark", flat=True).get() == "r"


def test_outer_joins_without_a_row_give_none():
    Visit.objects.create(remark="r")

    assert Visit.objects.values_list("patient__note", flat=True).get() is None
    assert Visit.objects.annotate(n=F("patient__note")).get().n is None


def test_only_defer_refresh_iterators_unions_and_raw_read():
    made = Visit.objects.create(remark="r", secret="s", number=1)
    Visit.objects.create(remark="r2", secret="s2", number=2)

    assert Visit.objects.only("number").get(number=1).remark == "r"
    assert Visit.objects.defer("number").get(number=1).secret == "s"
    assert [v.remark for v in Visit.objects.order_by("number").iterator(chunk_size=1)] == [
        "r",
        "r2",
    ]
    one, two = Visit.objects.filter(number=1), Visit.objects.filter(number=2)
    assert sorted(v.remark for v in one.union(two)) == ["r", "r2"]
    united = one.values_list("remark").union(two.values_list("remark"), all=True)
    assert sorted(united) == [("r",), ("r2",)]
    raw = list(Visit.objects.raw("SELECT * FROM clinic_visit WHERE number = 1"))
    assert (raw[0].remark, raw[0].secret) == ("r", "s")
    Visit.objects.filter(number=1).update(remark="changed")
    made.refresh_from_db()
    assert made.remark == "changed"
    assert Visit.objects.in_bulk([made.pk])[made.pk].remark == "changed"
    assert Visit.objects.first().remark == "changed"
    assert Visit.objects.distinct().count() == 2
    assert Visit.objects.filter(Exists(Visit.objects.filter(pk=OuterRef("pk")))).count() == 2


def test_raw_binary_values_read_too():
    made = Sample.objects.create(binary=b"\xa1raw")

    assert Sample.objects.raw("SELECT * FROM clinic_sample")[0].binary == b"\xa1raw"
    assert Sample.objects.get().binary == b"\xa1raw"
    loaded = Sample.objects.get()
    loaded.binary = b"A" + made.pk.hex.encode() + b"\x01"
    loaded.save()
    assert Sample.objects.get().binary == loaded.binary


def test_a_stored_value_that_pretends_to_have_been_selected_is_refused():
    """Whoever may write the column cannot name the row a value is opened for."""
    one = Visit.objects.create(remark="first")
    two = Visit.objects.create(remark="second")
    forged = b"\xa1" + one.row_salt.bytes + stored(Visit, "remark", one.pk)

    binary = "bytea" if connection.vendor == "postgresql" else "BLOB"
    [row] = Visit.objects.raw(
        f"SELECT id, row_salt, CAST(%s AS {binary}) AS remark FROM clinic_visit WHERE id = %s",
        [connection.Database.Binary(forged), two.pk],
    )
    with pytest.raises(DecryptionFailed):
        _ = row.remark


def test_the_database_itself_refuses_what_is_no_envelope():
    made = Visit.objects.create(remark="r")

    for clear in (b"clear text", b"", b"\xa1" + bytes(16)):
        with (
            pytest.raises(IntegrityError),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(
                "UPDATE clinic_visit SET remark = %s WHERE id = %s",
                [connection.Database.Binary(clear), made.pk],
            )


def test_children_and_proxies_read_and_write():
    made = EmergencyVisit.objects.create(remark="parent", cause="child")

    again = EmergencyVisit.objects.get()
    assert (again.remark, again.cause) == ("parent", "child")
    assert EmergencyVisit.objects.values_list("remark", "cause").get() == ("parent", "child")
    assert EmergencyVisit.objects.update(remark="p2", cause="c2") == 1
    assert EmergencyVisit.objects.values_list("remark", "cause").get() == ("p2", "c2")
    assert NightVisit.objects.get(pk=made.pk).remark == "p2"
    NightVisit.objects.update(remark="p3")
    assert Visit.objects.get().remark == "p3"


@pytest.mark.parametrize(
    "query",
    [
        lambda: Visit.objects.filter(remark="x"),
        lambda: Visit.objects.filter(remark__in=["x"]),
        lambda: Visit.objects.filter(remark__icontains="x"),
        lambda: Visit.objects.filter(patient__note="x"),
        lambda: Visit.objects.exclude(remark="x"),
        lambda: Sample.objects.filter(json__key="x"),
        lambda: list(Visit.objects.filter(number=F("remark"))),
        lambda: list(Visit.objects.filter(remark=F("secret"))),
        lambda: list(Visit.objects.order_by("remark")),
        lambda: list(Visit.objects.order_by(F("remark").desc())),
        lambda: list(Visit.objects.annotate(x=Lower("remark"))),
        lambda: list(Visit.objects.annotate(x=Coalesce("remark", "secret"))),
        lambda: list(Visit.objects.values(x=Lower("remark"))),
        lambda: list(Visit.objects.annotate(x=Case(When(number=1, then="remark")))),
        lambda: Visit.objects.aggregate(Max("remark")),
        lambda: Visit.objects.aggregate(Count("remark")),
        lambda: list(Visit.objects.annotate(x=Max("patient__note"))),
        lambda: Visit.objects.update(remark=F("secret")),
        lambda: Visit.objects.update(number=F("remark")),
        lambda: Plain.objects.update(secret=F("clear")),
        lambda: Plain.objects.update(clear=F("secret")),
        lambda: Plain.objects.update(secret=Value("x")),
        lambda: Plain.objects.create(secret=Lower(Value("X"))),
        lambda: list(Patient.objects.filter(Exists(Visit.objects.filter(number=OuterRef("note"))))),
    ],
)
def test_questions_that_a_ciphertext_cannot_answer_are_refused_with_a_sentence(query):
    Visit.objects.create(remark="r")
    with (
        pytest.raises((ExpressionRefused, UnboundValue, ValueRefused)) as refusal,
        transaction.atomic(),
    ):
        query()
    assert "clinic." in str(refusal.value)


def test_the_refusal_of_a_lookup_points_to_the_blind_index():
    with pytest.raises(ExpressionRefused, match=r"clinic.Patient.email.*BlindIndex\('email'\)"):
        Patient.objects.filter(email="a@example.org")


def test_grouping_counts_rows_and_not_ciphertexts():
    patient = Patient.objects.create(email="a@example.org")
    Visit.objects.create(patient=patient)
    Visit.objects.create(patient=patient)

    assert Patient.objects.annotate(n=Count("visits")).get().n == 2
    counted = Patient.objects.values("pk", "note").annotate(n=Count("visits")).get()
    assert counted == {"pk": patient.pk, "note": "", "n": 2}
    assert Patient.objects.annotate(n=Count("visits")).filter(n__gt=1).get().email == (
        "a@example.org"
    )


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


def test_an_upsert_that_would_bind_to_the_wrong_row_is_refused():
    kept = Patient.objects.create(email="a@example.org", note="kept")
    other = Patient(email="a@example.org", note="new")

    with pytest.raises(ExpressionRefused, match="update_conflicts"), transaction.atomic():
        Patient.objects.bulk_create(
            [other],
            update_conflicts=True,
            unique_fields=["email_index"],
            update_fields=["note"],
        )

    other.pk = kept.pk
    Patient.objects.bulk_create(
        [other], update_conflicts=True, unique_fields=["id"], update_fields=["note"]
    )
    assert Patient.objects.get().note == "new"


def test_a_dump_holds_ciphertext_and_loads_again(tmp_path):
    patient = Patient.objects.create(email="a@example.org", note="plain words")
    Visit.objects.create(patient=patient, remark="spoken")
    Sample.objects.create(binary=b"\x00\x01", json={"k": 1})
    path = tmp_path / "dump.json"

    call_command("dumpdata", "clinic", output=str(path))
    for model in (Visit, Patient, Sample):
        model.objects.all().delete()
    call_command("loaddata", str(path), verbosity=0)

    dumped = path.read_text()
    assert "plain words" not in dumped and "spoken" not in dumped and "a@example.org" not in dumped  # noqa: PT018
    assert Patient.objects.get(email_index="a@example.org").note == "plain words"
    assert Visit.objects.get().remark == "spoken"
    assert (Sample.objects.get().binary, Sample.objects.get().json) == (b"\x00\x01", {"k": 1})


def test_a_fixture_written_by_hand_is_encrypted_as_it_loads(tmp_path):
    path = tmp_path / "hand.json"
    fields = {"email": "h@example.org", "note": "by hand", "name": "Hand"}
    path.write_text(
        json.dumps([{"model": "clinic.patient", "pk": str(uuid.uuid4()), "fields": fields}])
    )

    call_command("loaddata", str(path), verbosity=0)

    made = Patient.objects.get()
    assert made.note == "by hand"
    assert b"by hand" not in stored(Patient, "note", made.pk)


def test_a_deserialised_object_is_whole_after_its_save():
    made = Patient.objects.create(email="a@example.org", note="n")
    text = serializers.serialize("json", [made])
    made.delete()

    [loaded] = serializers.deserialize("json", text)
    loaded.save()

    assert loaded.object.note == "n"


def test_an_instance_pickles_and_survives_unopened():
    Patient.objects.create(email="a@example.org", note="plain words")

    packed = pickle.dumps(Patient.objects.get())

    assert b"plain words" not in packed
    assert pickle.loads(packed).note == "plain words"


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


async def _read_async():
    return [visit.remark async for visit in Visit.objects.all()]


@pytest.mark.django_db(transaction=True)
def test_async_iteration_reads():
    from asgiref.sync import async_to_sync

    Visit.objects.create(remark="r")

    assert async_to_sync(_read_async)() == ["r"]


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
