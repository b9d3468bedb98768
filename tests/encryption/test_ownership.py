"""A row that changes its owner takes its values with it, whichever way the ORM writes it."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
import uuid

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from django.db.models import F, Value
from django.test.utils import isolate_apps

from encryption import services
from encryption.admin import MaskedFieldsMixin
from encryption.errors import ExpressionRefused, SubjectErased, UnboundValue
from encryption.fields import Encrypted, RowSalt, field_checks
from encryption.models import SubjectKey
from tests.encryption.clinic.models import (
    Clinical,
    Letter,
    OldRecord,
    PaperRecord,
    Person,
    Reading,
    Record,
)
from tests.encryption.conftest import CLINIC
from tests.encryption.test_fields import stored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("subject_keys")]

IBAN = "DE02120300000000202051"


@pytest.fixture
def ann():
    return Person.objects.create(name="Ann")


@pytest.fixture
def bob():
    return Person.objects.create(name="Bob")


def people_of(model, pk, *columns):
    """Whose keys the values of a row are under, as the database holds them."""
    envelopes = [stored(model, column, pk) for column in columns]
    keys = [uuid.UUID(bytes=e[1:17]) for e in envelopes if e is not None and e[:1] == b"\x02"]
    assert len(keys) == sum(e is not None for e in envelopes), "a value is under nobody's key"
    return {SubjectKey.objects.get(pk=key).subject for key in keys}


def owner_of(pk):
    with connection.cursor() as cursor:
        cursor.execute("SELECT held_by FROM clinic_record WHERE id = %s", [pk])
        return cursor.fetchone()[0]


def changed(row, **values):
    for name, value in values.items():
        setattr(row, name, value)
    return row


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


def upserted(row, bob, *update_fields):
    made = Record(row_salt=row.row_salt, owner_id=bob.pk, text="new", iban=IBAN)
    Record.objects.bulk_create(
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


def test_a_value_saved_alone_is_the_rows_owners_or_is_not_saved(ann, bob):
    """Between reading and saving, somebody else may have given the row away."""
    row = Record.objects.create(owner=ann, text="old", title="t")
    stale = Record.objects.get(pk=row.pk)
    Record.objects.update(owner=bob)

    with pytest.raises(DatabaseError, match="affect"), transaction.atomic():
        changed(stale, text="new").save(update_fields=["text"])
    with pytest.raises(DatabaseError, match="affect"), transaction.atomic():
        changed(row, owner=ann, text="new").save(update_fields=["text"])

    assert Record.objects.get().text == "old"
    changed(Record.objects.get(), text="new").save(update_fields=["text"])
    Record.objects.update_or_create(pk=row.pk, defaults={"title": "u"})
    changed(Record.objects.only("text", "owner", *BOTH).get(), text="newer").save()
    assert people_of(Record, row.pk, "text") == {f"clinic.person:{bob.pk}"}
    assert Record.objects.get().text == "newer"


def test_an_owner_who_goes_leaves_values_under_the_key_that_goes_with_them(ann, bob):
    row = Record.objects.create(owner=ann, text="a")
    ann.records.clear()
    assert owner_of(row.pk) is None
    assert people_of(Record, row.pk, "text") == {f"clinic.person:{ann.pk}"}
    bob.records.add(row)
    assert people_of(Record, row.pk, "text") == {f"clinic.person:{bob.pk}"}
    bob.delete()
    assert owner_of(row.pk) is None


def test_what_was_erased_stays_erased_with_its_next_owner(ann, bob):
    row = Record.objects.create(owner=ann, text="a", iban=IBAN)
    services.erase_subject(subject=f"clinic.person:{ann.pk}")

    Record.objects.update(owner=bob)

    assert owner_of(row.pk) == bob.pk
    with pytest.raises(SubjectErased):
        _ = Record.objects.get().text


def test_values_of_before_the_field_had_a_subject_are_brought_under_the_key_by_saving(ann):
    row = Record.objects.create(owner=ann, text="a")
    field = Record._meta.get_field("text")
    ring = field.cipher.seal(b"before", row.row_salt.bytes)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE clinic_record SET text = %s", [connection.Database.Binary(ring)])

    Record.objects.get().save()

    assert people_of(Record, row.pk, "text") == {f"clinic.person:{ann.pk}"}
    assert Record.objects.get().text == "before"
    with pytest.raises(UnboundValue, match="for one person"):
        field.seal("x", row=row.row_salt.bytes)


def test_an_erasure_finds_rows_that_were_given_away_behind_the_back_of_the_orm(ann, bob):
    lost, kept = (Record.objects.create(owner=ann, text=text) for text in ("of Bob", "of Ann"))
    unreadable = Record.objects.create(owner=bob, text="damaged")
    damaged = stored(Record, "text", unreadable.pk)[:-1]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE clinic_record SET held_by = %s WHERE id = %s", [bob.pk, lost.pk])
        cursor.execute(
            "UPDATE clinic_record SET text = %s WHERE id = %s",
            [connection.Database.Binary(b"\x01" + damaged[1:]), unreadable.pk],
        )
    assert people_of(Record, lost.pk, "text") == {f"clinic.person:{ann.pk}"}

    services.erase_subject(subject=f"clinic.person:{bob.pk}")

    assert Record.objects.get(pk=kept.pk).text == "of Ann"
    with pytest.raises(SubjectErased):
        _ = Record.objects.get(pk=lost.pk).text


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_values_are_their_owners_however_many_write_at_once(ann, bob):
    """Each reads what may be stale, and writes for two seconds, in every way."""
    made = [Record.objects.create(owner=ann, text="0", title="t") for _ in range(2)]
    end, errors = time.monotonic() + 2, []

    def write(number):
        chance = random.Random(number)
        whose = Record.objects.filter(pk__in=[row.pk for row in made])
        try:
            while time.monotonic() < end:
                row, owner = chance.choice(list(whose)), chance.choice([ann, bob])
                time.sleep(chance.random() / 200)
                chance.choice(
                    [
                        lambda: whose.filter(pk=row.pk).update(owner=owner),  # noqa: B023
                        lambda: whose.filter(pk=row.pk).update(text="u"),  # noqa: B023
                        lambda: changed(row, owner=owner).save(),  # noqa: B023
                        lambda: owner.records.add(row),  # noqa: B023
                        lambda: saved_alone(row),  # noqa: B023
                    ]
                )()
        except Exception as failure:  # noqa: BLE001
            errors.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    for row in made:
        assert people_of(Record, row.pk, "text") == {f"clinic.person:{owner_of(row.pk)}"}
        assert Record.objects.get(pk=row.pk).text in {"0", "u", "s"}


def saved_alone(row):
    with contextlib.suppress(DatabaseError):  # somebody gave the row away
        changed(row, text="s").save(update_fields=["text"])


@isolate_apps(CLINIC)
def test_a_subject_that_is_no_column_of_the_same_table_is_found_by_a_check():
    class Child(Letter):
        class Meta:
            app_label = "clinic"

        child_salt = RowSalt()
        inherited = Encrypted(models.TextField(), subject="person")
        unknown = Encrypted(models.TextField(), subject="nobody")
        closed = Encrypted(models.TextField(), subject="unknown")

    class Good(Clinical):
        row_salt = RowSalt()
        login = models.CharField(max_length=9)
        kept = Encrypted(models.TextField(), subject="login")

    found = {
        f.name: [m.id for m in field_checks.run(f)]
        for f in Child._meta.local_fields
        if isinstance(f, Encrypted)
    }
    assert {name for name, ids in found.items() if field_checks.E014 in ids} == {
        "inherited",
        "unknown",
        "closed",
    }
    assert field_checks.E014 not in [m.id for m in field_checks.run(Good._meta.get_field("kept"))]
