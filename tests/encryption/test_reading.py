"""Encrypted fields in the ORM: every way to read a value, and every question that is refused."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.models import Case, Count, Exists, F, Max, OuterRef, Prefetch, Subquery, Value, When
from django.db.models.functions import Coalesce, Lower

from encryption.errors import (
    DecryptionFailed,
    ExpressionRefused,
    UnboundValue,
    ValueRefused,
)
from tests.encryption.clinic.models import (
    EmergencyVisit,
    NightVisit,
    Patient,
    Plain,
    Sample,
    Visit,
)
from tests.encryption.test_fields import stored

pytestmark = pytest.mark.django_db


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


async def _read_async():
    return [visit.remark async for visit in Visit.objects.all()]


@pytest.mark.django_db(transaction=True)
def test_async_iteration_reads():
    from asgiref.sync import async_to_sync

    Visit.objects.create(remark="r")

    assert async_to_sync(_read_async)() == ["r"]
