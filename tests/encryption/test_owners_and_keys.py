"""Values and the keys of their owners: stale writes, owners who go, rows given away by SQL."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid

import pytest
from django.db import DatabaseError, connection, models, transaction
from django.test.utils import isolate_apps
from django.utils import timezone

from encryption import services
from encryption.errors import DecryptionFailed, SubjectErased, UnboundValue
from encryption.fields import Encrypted, RowSalt, field_checks, together
from encryption.keyring import keyring
from encryption.models import SubjectKey
from encryption.shredding import key_for
from tests.encryption.clinic.models import (
    Clinical,
    Letter,
    Nurse,
    Person,
    Record,
    Statement,
)
from tests.encryption.conftest import CLINIC
from tests.encryption.owners import IBAN, changed, owner_of, people_of
from tests.encryption.test_fields import stored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("subject_keys")]


BOTH = ("text", "iban", "iban_index")


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


def given_away(row, owner):
    """Let a row be somebody else's by SQL, with its values under the key of whose it was."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE clinic_record SET held_by = %s WHERE id = %s", [owner and owner.pk, row.pk]
        )


def test_an_erasure_finds_rows_that_were_given_away_behind_the_back_of_the_orm(ann, bob):
    lost, kept = (Record.objects.create(owner=ann, text=text) for text in ("of Bob", "of Ann"))
    unreadable = Record.objects.create(owner=bob, text="damaged")
    damaged = stored(Record, "text", unreadable.pk)[:-1]
    given_away(lost, bob)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE clinic_record SET text = %s WHERE id = %s",
            [connection.Database.Binary(b"\x01" + damaged[1:]), unreadable.pk],
        )
    assert people_of(Record, lost.pk, "text") == {f"clinic.person:{ann.pk}"}

    services.erase_subject(subject=f"clinic.person:{bob.pk}")

    assert Record.objects.get(pk=kept.pk).text == "of Ann"
    with pytest.raises(SubjectErased):
        _ = Record.objects.get(pk=lost.pk).text


def test_an_erasure_leaves_what_is_somebody_elses_by_now(ann, bob):
    """Whoever holds the row when the key goes keeps the value; a row of nobody goes with it."""
    carl = Person.objects.create(name="Carl")
    to_bob, to_carl, to_nobody, damaged, kept = (
        Record.objects.create(owner=ann, text=str(n), iban=IBAN) for n in range(5)
    )
    for row, owner in ((to_bob, bob), (to_carl, carl), (to_nobody, None), (damaged, bob)):
        given_away(row, owner)
    with connection.cursor() as cursor:
        broken = connection.Database.Binary(stored(Record, "text", damaged.pk)[:-1])
        cursor.execute("UPDATE clinic_record SET text = %s WHERE id = %s", [broken, damaged.pk])

    services.erase_subject(subject=f"clinic.person:{ann.pk}")

    for row, owner, text in ((to_bob, bob, "0"), (to_carl, carl, "1")):
        assert people_of(Record, row.pk, *BOTH[:2]) == {f"clinic.person:{owner.pk}"}
        assert (Record.objects.get(pk=row.pk).text, Record.objects.get(pk=row.pk).iban) == (
            text,
            IBAN,
        )
    for row in (to_nobody, kept):
        with pytest.raises(SubjectErased):
            _ = Record.objects.get(pk=row.pk).text


def test_an_erasure_is_refused_where_what_is_somebody_elses_cannot_be_kept(ann, bob):
    mine, theirs = (Record.objects.create(owner=ann, text=text) for text in ("mine", "theirs"))
    Letter.objects.create(person=ann, body="b")
    given_away(theirs, bob)
    _, of_ann = key_for(keyring(), f"clinic.person:{ann.pk}")
    SubjectKey.objects.filter(pk=uuid.UUID(bytes=of_ann)).update(erased_at=timezone.now())
    key_for(keyring(), f"clinic.person:{ann.pk}")
    SubjectKey.objects.filter(pk=uuid.UUID(bytes=of_ann)).update(
        subject=f"clinic.person:{bob.pk}", erased_at=None
    )

    with pytest.raises(DecryptionFailed, match="was made for somebody else"):
        services.erase_subject(subject=f"clinic.person:{ann.pk}", is_sweep=True)

    assert {row.text for row in Record.objects.filter(pk__in=[mine.pk, theirs.pk])} == {
        "mine",
        "theirs",
    }


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


def test_a_person_is_one_under_a_proxy_and_a_child(ann, bob):
    """Also where an earlier release made keys for the model that the foreign key names."""
    nurse = Nurse(person_ptr=ann, ward="w")
    nurse.save_base(raw=True)
    Statement.objects.create(guest_id=ann.pk, nurse=nurse, heard="h", seen="s")
    letter = Letter.objects.create(person=bob, body="b")
    assert people_of(Statement, Statement.objects.get().pk, "heard", "seen") == {
        f"clinic.person:{ann.pk}"
    }
    old, _ = key_for(keyring(), f"clinic.guest:{ann.pk}")

    assert services.erase_subject(subject=f"clinic.nurse:{ann.pk}") == 2

    assert old
    assert not SubjectKey.objects.filter(erased_at=None, subject__endswith=f":{ann.pk}").exists()
    for name in ("heard", "seen"):
        with pytest.raises(SubjectErased):
            getattr(Statement.objects.get(), name)
    assert Letter.objects.get(pk=letter.pk).body == "b"


def test_a_value_under_the_key_of_a_childs_old_name_is_erased_with_the_person(ann, monkeypatch):
    nurse = Nurse(person_ptr=ann, ward="w")
    nurse.save_base(raw=True)
    with monkeypatch.context() as earlier:
        earlier.setattr(together, "kind_of", lambda model: model._meta.label_lower)
        Statement.objects.create(guest_id=ann.pk, nurse=nurse, heard="h", seen="s")
    row = Statement.objects.get()
    olds = {f"clinic.guest:{ann.pk}", f"clinic.nurse:{ann.pk}"}
    assert people_of(Statement, row.pk, "heard", "seen") == olds
    envelopes = [bytes(stored(Statement, name, row.pk)) for name in ("heard", "seen")]

    services.erase_subject(subject=f"clinic.person:{ann.pk}")

    for name in ("heard", "seen"):
        with pytest.raises(SubjectErased):
            getattr(Statement.objects.get(), name)
    for name, envelope in zip(("heard", "seen"), envelopes, strict=True):  # of a backup
        with pytest.raises(SubjectErased):
            Statement._meta.get_field(name).open_envelope(envelope, row.row_salt.bytes)
