"""Encrypted fields in the ORM: every way to write a value, with its row and back as it was."""

from __future__ import annotations

import json
import pickle
import uuid

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.db.models import F, Value

from encryption.errors import (
    ExpressionRefused,
    UnboundValue,
)
from tests.encryption.clinic.models import (
    NightVisit,
    Patient,
    Person,
    Plain,
    Sample,
    Visit,
)
from tests.encryption.test_fields import stored

pytestmark = pytest.mark.django_db


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
    for save in (copy.save, lambda: Visit.objects.bulk_create([copy]), copy.save):
        copy.pk = None
        save()
    assert Visit.objects.values("row_salt").distinct().count() == 5


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


# --- the row's identity, to which its values are bound --------------------------------------------


def renewed(row):
    row.row_salt = uuid.uuid4()
    return row


def upserted(row, *update_fields):
    made = Visit(pk=row.pk, remark="new", secret="new")
    Visit.objects.bulk_create(
        [made], update_conflicts=True, unique_fields=["pk"], update_fields=update_fields
    )


VALUES = ("remark", "secret")
SALT_CHANGES = {
    "update": lambda row: Visit.objects.update(row_salt=uuid.uuid4()),
    "update with the values": lambda row: Visit.objects.update(
        row_salt=uuid.uuid4(), remark="new", secret="new"
    ),
    "update by a plain queryset": lambda row: models.QuerySet(Visit).update(row_salt=uuid.uuid4()),
    "update of a proxy": lambda row: NightVisit.objects.update(row_salt=uuid.uuid4()),
    "update by an expression": lambda row: Visit.objects.update(row_salt=Value(uuid.uuid4())),
    "update to nothing": lambda row: Visit.objects.update(row_salt=None),
    "save(update_fields)": lambda row: renewed(row).save(update_fields=["row_salt"]),
    "save(update_fields) of a part": lambda row: renewed(row).save(
        update_fields=["row_salt", "remark"]
    ),
    "save(update_fields) of a value": lambda row: renewed(row).save(update_fields=["remark"]),
    "save with deferred values": lambda row: renewed(
        Visit.objects.only("row_salt", "remark").get(pk=row.pk)
    ).save(),
    "bulk_update": lambda row: Visit.objects.bulk_update([renewed(row)], ["row_salt"]),
    "bulk_update with the values": lambda row: Visit.objects.bulk_update(
        [renewed(row)], ["row_salt", *VALUES]
    ),
    "bulk_create, conflicts": lambda row: upserted(row, "row_salt"),
    "bulk_create, a part": lambda row: upserted(row, "row_salt", "remark"),
}


@pytest.mark.parametrize("road", SALT_CHANGES)
def test_a_row_does_not_become_another_under_its_values(road):
    row = Visit.objects.create(remark="r", secret="s")

    # DatabaseError is Django's where a save(update_fields) finds no such row.
    with pytest.raises((ExpressionRefused, DatabaseError)), transaction.atomic():
        SALT_CHANGES[road](Visit.objects.get())

    assert Visit.objects.values_list("row_salt", *VALUES).get() == (row.row_salt, "r", "s")


def test_a_key_that_values_are_bound_to_is_not_updated():
    made = Patient.objects.create(email="a@example.org", note="n")

    for change in ({"id": uuid.uuid4()}, {"id": uuid.uuid4(), "note": "m"}):
        for manager in (Patient.objects, models.QuerySet(Patient)):
            with pytest.raises((ExpressionRefused, UnboundValue)), transaction.atomic():
                manager.filter(pk=made.pk).update(**change)

    assert Patient.objects.get(pk=made.pk).note == "n"
    assert Person.objects.filter(pk=Person.objects.create(name="p").pk).update(id=77) == 1


@pytest.mark.parametrize(
    "road",
    [
        lambda row: renewed(row).save(),
        lambda row: renewed(row).save(update_fields=["row_salt", *VALUES]),
        lambda row: renewed(NightVisit.objects.get()).save(),
        lambda row: upserted(row, "row_salt", *VALUES),
        lambda row: Visit.objects.defer("secret").get().save(),
        lambda row: Visit.objects.only("number").get().save(),
    ],
)
def test_a_row_is_saved_with_its_salt(road):
    Visit.objects.create(remark="r", secret="s")

    road(Visit.objects.get())

    assert Visit.objects.values_list(*VALUES).get() in {("r", "s"), ("new", "new")}
