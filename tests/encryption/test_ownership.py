"""A row that changes its owner takes its values with it, whichever way the ORM writes it."""

from __future__ import annotations

import json

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import models, transaction
from django.db.models import F, Value

from encryption import services
from encryption.admin import MaskedFieldsMixin
from encryption.errors import ExpressionRefused, SubjectErased, UnboundValue
from tests.encryption.clinic.models import (
    Letter,
    OldRecord,
    PaperRecord,
    Reading,
    Record,
)
from tests.encryption.owners import IBAN, changed, owner_of, people_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("subject_keys")]


def fresh(row, *, manager=Record.objects):
    return manager.get(pk=row.pk)


def loaded(row, tmp, *, clear, **fields):
    """Dump the row, change it in the fixture, and load it."""
    path = tmp / "records.json"
    call_command("dumpdata", "clinic.record", output=str(path))
    [made] = json.loads(path.read_text())
    made["fields"] |= {**fields, **({"text": "clear", "iban": IBAN} if clear else {})}
    path.write_text(json.dumps([made]))
    call_command("loaddata", str(path), verbosity=0)


def upserted(row, bob, *update_fields, rows=Record.objects, **owner):
    made = Record(row_salt=row.row_salt, **(owner or {"owner_id": bob.pk}), text="new", iban=IBAN)
    rows.bulk_create(
        [made],
        update_conflicts=True,
        unique_fields=["row_salt"],
        update_fields=list(update_fields),
    )


def posted(row, bob):
    class RecordAdmin(MaskedFieldsMixin, admin.ModelAdmin):
        fields = ("owner", "title")

    user = get_user_model().objects.create_superuser(email="root@example.org", password="x")
    admin.site.register(Record, RecordAdmin)
    try:
        request = type("Request", (), {"method": "POST", "user": user, "GET": {}, "POST": {}})()
        made = admin.site.get_model_admin(Record)
        form = made.get_form(request, fresh(row), change=True)(
            {"owner": str(bob.pk), "title": "by form"}, instance=fresh(row)
        )
        assert form.is_valid(), form.errors
        made.save_model(request, form.save(commit=False), form, change=True)
    finally:
        admin.site.unregister(Record)


BOTH = ("text", "iban", "iban_index")

FOLLOWS = {
    "save": lambda row, bob, _: changed(fresh(row), owner=bob).save(),
    "save, opened": lambda row, bob, _: changed(row, owner=bob).save(),
    "save, attname": lambda row, bob, _: changed(fresh(row), owner_id=str(bob.pk)).save(),
    "save, raw()": lambda row, bob, _: changed(
        Record.objects.raw("SELECT * FROM clinic_record")[0], owner=bob
    ).save(),
    "save(update_fields) of all": lambda row, bob, _: changed(fresh(row), owner=bob).save(
        update_fields=["owner_id", *BOTH]
    ),
    "save of a proxy": lambda row, bob, _: changed(
        fresh(row, manager=OldRecord.objects), owner=bob
    ).save(),
    "update": lambda row, bob, _: Record.objects.update(owner=bob),
    "update, attname": lambda row, bob, _: Record.objects.update(owner_id=bob.pk),
    "update, key as text": lambda row, bob, _: Record.objects.update(owner=str(bob.pk)),
    "update with a value": lambda row, bob, _: Record.objects.update(owner=bob, text="new"),
    "update with another": lambda row, bob, _: Record.objects.update(
        owner=bob, remark="r", title=F("title")
    ),
    "update through a proxy": lambda row, bob, _: OldRecord.objects.update(owner=bob),
    "update through a relation": lambda row, bob, _: row.owner.records.update(owner=bob),
    "update_or_create": lambda row, bob, _: Record.objects.update_or_create(
        pk=row.pk, defaults={"owner": bob}
    ),
    "bulk_update of all": lambda row, bob, _: Record.objects.bulk_update(
        [changed(fresh(row), owner=bob)], ["owner", "text", "iban"]
    ),
    "bulk_create, conflicts": lambda row, bob, _: upserted(row, bob, "owner", *BOTH),
    "bulk_create, conflicts, object": lambda row, bob, _: upserted(
        row, bob, "owner", *BOTH, owner=bob
    ),
    "bulk_create of what was read": lambda row, bob, _: Record.objects.bulk_create(
        [changed(Record.objects.get(), pk=None, owner=bob)],
        update_conflicts=True,
        unique_fields=["row_salt"],
        update_fields=["owner", *BOTH],
    ),
    "admin": lambda row, bob, _: posted(row, bob),
    "related add": lambda row, bob, _: bob.records.add(row),
    "related add, one by one": lambda row, bob, _: bob.records.add(fresh(row), bulk=False),
    "related set": lambda row, bob, _: bob.records.set([row]),
    "loaddata of ciphertext": lambda row, bob, tmp: loaded(row, tmp, clear=False, owner=bob.pk),
    "loaddata of clear text": lambda row, bob, tmp: loaded(row, tmp, clear=True, owner=bob.pk),
}

REFUSED = {
    "save(update_fields) of the owner": lambda row, bob, _: changed(row, owner=bob).save(
        update_fields=["owner"]
    ),
    "save(update_fields), attname": lambda row, bob, _: changed(row, owner_id=bob.pk).save(
        update_fields=["owner_id"]
    ),
    "save of a proxy's owner": lambda row, bob, _: changed(OldRecord.objects.get(), owner=bob).save(
        update_fields=["owner"]
    ),
    "save with a deferred value": lambda row, bob, _: changed(
        Record.objects.defer("text").get(), owner=bob
    ).save(),
    "save to nobody": lambda row, bob, _: changed(row, owner=None).save(),
    "update by an expression": lambda row, bob, _: Record.objects.update(owner=F("owner") + 1),
    "update by a value": lambda row, bob, _: Record.objects.update(owner=Value(bob.pk)),
    "update by a plain queryset": lambda row, bob, _: models.QuerySet(Record).update(owner=bob),
    "bulk_update of the owner": lambda row, bob, _: Record.objects.bulk_update(
        [changed(row, owner=bob)], ["owner"]
    ),
    "bulk_update of a value": lambda row, bob, _: Record.objects.bulk_update(
        [changed(row, owner=bob)], ["text"]
    ),
    "bulk_update by a plain queryset": lambda row, bob, _: models.QuerySet(Record).bulk_update(
        [changed(row, owner=bob)], ["owner"]
    ),
    "bulk_create, owner": lambda row, bob, _: upserted(row, bob, "owner"),
    "bulk_create, object, by a plain queryset": lambda row, bob, _: upserted(
        row, bob, "owner", *BOTH, rows=models.QuerySet(Record), owner=bob
    ),
    "bulk_create, value": lambda row, bob, _: upserted(row, bob, "text", "row_salt"),
    "bulk_create, no index": lambda row, bob, _: upserted(row, bob, "owner", "text", "iban"),
}


@pytest.mark.parametrize("road", FOLLOWS)
def test_values_follow_the_row_to_its_new_owner(ann, bob, tmp_path, road):
    row = Record.objects.create(owner=ann, text="secret", iban=IBAN, title="t")

    FOLLOWS[road](row, bob, tmp_path)

    assert owner_of(row.pk) == bob.pk
    assert people_of(Record, row.pk, "text", "iban") == {f"clinic.person:{bob.pk}"}
    again = Record.objects.get(iban_index=IBAN)
    assert again.text in {"secret", "new", "clear"}
    services.erase_subject(subject=f"clinic.person:{ann.pk}")
    assert Record.objects.get().iban == IBAN, "it was Ann's no longer"
    services.erase_subject(subject=f"clinic.person:{bob.pk}")
    for name in ("text", "iban"):
        with pytest.raises(SubjectErased):
            getattr(Record.objects.get(), name)


@pytest.mark.parametrize("road", REFUSED)
def test_a_change_of_owner_that_leaves_values_behind_is_refused(ann, bob, tmp_path, road):
    row = Record.objects.create(owner=ann, text="secret", iban=IBAN)

    with pytest.raises((ExpressionRefused, UnboundValue)), transaction.atomic():
        REFUSED[road](row, bob, tmp_path)

    assert owner_of(row.pk) == ann.pk
    assert people_of(Record, row.pk, "text", "iban") == {f"clinic.person:{ann.pk}"}


def test_children_are_given_away_like_their_parents(ann, bob):
    one = PaperRecord.objects.create(owner=ann, text="a", shelf="s")
    PaperRecord.objects.update(owner=bob, shelf="t")
    assert people_of(Record, one.pk, "text") == {f"clinic.person:{bob.pk}"}
    changed(PaperRecord.objects.get(), owner=ann, shelf="u").save()
    assert people_of(Record, one.pk, "text") == {f"clinic.person:{ann.pk}"}
    assert PaperRecord.objects.values_list("text", "shelf").get() == ("a", "u")
    with pytest.raises(ExpressionRefused), transaction.atomic():
        changed(PaperRecord.objects.get(), owner=bob).save(update_fields=["owner", "shelf"])


def test_a_related_manager_without_a_base_manager_of_ours_is_refused(ann, bob):
    letter = Letter.objects.create(person=ann, body="b")
    for road in (bob.letter_set.add, lambda one: bob.letter_set.set([one])):
        with pytest.raises(ExpressionRefused, match="base_manager_name"), transaction.atomic():
            road(letter)
    bob.letter_set.add(letter, bulk=False)
    assert people_of(Letter, letter.pk, "body") == {f"clinic.person:{bob.pk}"}


def test_rows_between_two_models_are_their_readers(ann, bob):
    record = Record.objects.create(owner=ann)
    record.readers.add(bob, through_defaults={"thoughts": "good"})
    record.readers.set([ann, bob], through_defaults={"thoughts": "better"})
    record.readers.add(bob, through_defaults={"thoughts": "again"})
    for reading in Reading.objects.all():
        whose = f"clinic.person:{reading.reader_id}"
        assert people_of(Reading, reading.pk, "thoughts") == {whose}
    assert sorted(Reading.objects.values_list("thoughts", flat=True)) == ["better", "good"]
