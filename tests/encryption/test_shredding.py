"""Erasing a person's key: everything of theirs is noise, in the rows and in every backup."""

from __future__ import annotations

import io
import json
import threading

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from encryption import key_users, services, shredding
from encryption.checks import E007, check_subjects
from encryption.errors import DecryptionFailed, SubjectErased, SubjectUnknown, UnboundValue
from encryption.keyring import keyring
from encryption.models import SubjectKey
from encryption.shredding import key_for
from tests.encryption.clinic.models import Letter
from tests.encryption.test_fields import stored
from tests.encryption.test_tampering import said  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("subject_keys")]


def test_values_are_under_the_key_of_the_person(ann, bob):
    one = Letter.objects.create(person=ann, body="to Ann")
    Letter.objects.create(person=ann, body="again")
    Letter.objects.create(person=bob, body="to Bob")

    assert stored(Letter, "body", one.pk)[:1] == b"\x02"
    assert SubjectKey.objects.count() == 2
    assert sorted(Letter.objects.values_list("body", flat=True)) == ["again", "to Ann", "to Bob"]
    assert Letter.objects.filter(person=ann).update(body="changed") == 2
    assert {letter.body for letter in ann.letter_set.all()} == {"changed"}


def test_no_key_is_in_the_database(ann, tmp_path):
    Letter.objects.create(person=ann, body="b")
    [row] = SubjectKey.objects.values()
    assert set(row) == {"id", "subject", "created_at", "erased_at"}
    [file] = (tmp_path / "subject_keys").iterdir()
    assert file.name == f"{row['id'].hex}.k1.key"


def test_erasing_makes_that_persons_values_unreadable_and_no_others(ann, bob, said):  # noqa: F811
    gone = Letter.objects.create(person=ann, body="secret of Ann")
    Letter.objects.create(person=bob, body="of Bob")

    assert services.erase_subject(subject=f"clinic.person:{ann.pk}") == 1

    with pytest.raises(SubjectErased, match="was erased"):
        _ = Letter.objects.get(pk=gone.pk).body
    assert Letter.objects.get(person=bob).body == "of Bob"
    assert len(list(Letter.objects.all())) == 2, "the rows still load"
    row = Letter.objects.get(pk=gone.pk)
    row.person = bob
    row.save()
    kinds = [event.kind.name for event in said]
    assert "encryption.subject.erased" in kinds
    assert "encryption.erased.read" in kinds
    assert "encryption.value.unreadable" not in kinds
    assert SubjectKey.objects.get(subject=f"clinic.person:{ann.pk}").erased_at


def test_a_backup_of_the_database_brings_nothing_back(ann, tmp_path):
    Letter.objects.create(person=ann, body="secret of Ann")
    backup = tmp_path / "backup.json"
    call_command("dumpdata", "clinic", "encryption", output=str(backup))
    services.erase_subject(subject=f"clinic.person:{ann.pk}")
    for model in (Letter, SubjectKey):
        model.objects.all().delete()
    # What a restore of the whole database does, row by row, the living key row included:
    with connection.constraint_checks_disabled():
        call_command("loaddata", str(backup), verbosity=0)

    assert SubjectKey.objects.get().erased_at is None
    with pytest.raises(SubjectErased):
        _ = Letter.objects.get().body
    assert services.erase_subject(subject=f"clinic.person:{ann.pk}") == 1
    assert SubjectKey.objects.get().erased_at


def test_a_person_who_comes_back_gets_a_new_key(ann):
    old = Letter.objects.create(person=ann, body="old")
    services.erase_subject(subject=f"clinic.person:{ann.pk}")

    new = Letter.objects.create(person=ann, body="new")

    assert Letter.objects.get(pk=new.pk).body == "new"
    with pytest.raises(SubjectErased):
        _ = Letter.objects.get(pk=old.pk).body
    assert SubjectKey.objects.count() == 2


def test_a_lost_key_storage_is_not_taken_for_an_erasure(ann, tmp_path):
    Letter.objects.create(person=ann, body="b")
    for file in (tmp_path / "subject_keys").iterdir():
        file.unlink()
    keyring.cache_clear()

    with pytest.raises(DecryptionFailed, match="ENCRYPTION_SUBJECT_KEYS_STORAGE") as refusal:
        _ = Letter.objects.get().body
    assert not isinstance(refusal.value, SubjectErased)


def test_values_swapped_between_people_are_refused(ann, bob):
    from tests.encryption.test_tampering import put

    one = Letter.objects.create(person=ann, body="a")
    two = Letter.objects.create(person=bob, body="b")
    put(Letter, "body", two.pk, stored(Letter, "body", one.pk))
    with pytest.raises(DecryptionFailed):
        _ = Letter.objects.get(pk=two.pk).body


def test_a_key_given_to_another_person_is_refused(ann, bob, said):  # noqa: F811
    """Bob's values under Ann's key would outlive the erasure of Bob's."""
    Letter.objects.create(person=ann, body="a")
    key = SubjectKey.objects.get()
    SubjectKey.objects.filter(pk=key.pk).update(subject=f"clinic.person:{bob.pk}")

    with pytest.raises(DecryptionFailed, match="made for somebody else"), transaction.atomic():
        Letter.objects.create(person=bob, body="b")

    assert "encryption.value.unreadable" in {event.kind.name for event in said}
    assert Letter.objects.count() == 1


def test_an_erasure_finds_a_key_that_the_database_no_longer_names(ann, bob):
    """Whoever may write the database can hide a key from an erasure; a sweep finds it."""
    old = Letter.objects.create(person=ann, body="a")
    kept = Letter.objects.create(person=bob, body="b")
    SubjectKey.objects.filter(subject=f"clinic.person:{ann.pk}").delete()
    with pytest.raises(SubjectUnknown):
        services.erase_subject(subject=f"clinic.person:{ann.pk}")

    out = io.StringIO()
    call_command(
        "encryption_erase_subject", f"clinic.person:{ann.pk}", "--sweep", "--yes", stdout=out
    )

    assert "1 of 1 keys erased" in out.getvalue()
    with pytest.raises(SubjectErased):
        _ = Letter.objects.get(pk=old.pk).body
    assert Letter.objects.get(pk=kept.pk).body == "b"


def test_an_erasure_leaves_a_key_that_was_only_given_to_the_person(ann, bob):
    kept = Letter.objects.create(person=ann, body="a")
    SubjectKey.objects.update(subject=f"clinic.person:{bob.pk}")

    with pytest.raises(SubjectUnknown):
        services.erase_subject(subject=f"clinic.person:{bob.pk}", is_sweep=True)

    assert Letter.objects.get(pk=kept.pk).body == "a"


def test_a_wrapped_key_put_in_another_ones_place_is_refused(ann, bob, tmp_path):
    Letter.objects.create(person=ann, body="a")
    Letter.objects.create(person=bob, body="b")
    [one, two] = sorted((tmp_path / "subject_keys").iterdir())
    one.write_bytes(two.read_bytes())
    keyring.cache_clear()

    unread = 0
    for letter in Letter.objects.all():
        try:
            assert letter.body in {"a", "b"}
        except DecryptionFailed:
            unread += 1
    assert unread == 1


def test_an_erased_key_that_comes_back_to_the_storage_stays_erased(ann, tmp_path):
    made = Letter.objects.create(person=ann, body="a")
    [file] = (tmp_path / "subject_keys").iterdir()
    kept = file.read_bytes()
    services.erase_subject(subject=f"clinic.person:{ann.pk}")

    file.write_bytes(kept)

    with pytest.raises(SubjectErased):
        _ = Letter.objects.get(pk=made.pk).body


def test_a_restored_row_of_an_erased_person_makes_room_for_a_new_key(ann):
    Letter.objects.create(person=ann, body="old")
    services.erase_subject(subject=f"clinic.person:{ann.pk}")
    SubjectKey.objects.update(erased_at=None)  # as a restored dump has it

    new = Letter.objects.create(person=ann, body="new")

    assert Letter.objects.get(pk=new.pk).body == "new"
    assert SubjectKey.objects.filter(erased_at=None).count() == 1
    assert SubjectKey.objects.count() == 2


def test_a_key_erased_while_it_is_wrapped_anew_does_not_come_back(ann, keys, tmp_path, monkeypatch):
    Letter.objects.create(person=ann, body="a")
    keys("k2", "k1")
    write = shredding._write

    def erased_meanwhile(*arguments):
        services.erase_subject(subject=f"clinic.person:{ann.pk}")
        write(*arguments)

    monkeypatch.setattr(shredding, "_write", erased_meanwhile)
    shredding.rewrap(keyring())

    assert [file.suffix for file in (tmp_path / "subject_keys").iterdir()] == [".erased"]


def test_what_is_no_key_and_what_is_damaged_does_not_stop_the_others(
    ann,
    bob,
    keys,
    tmp_path,
    said,  # noqa: F811
):
    Letter.objects.create(person=ann, body="a")
    Letter.objects.create(person=bob, body="b")
    folder = tmp_path / "subject_keys"
    [damaged, _] = folder.glob("*.k1.key")
    (folder / "README.k1.key").write_text("not ours")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    keys("k2", "k1")

    tally = shredding.rewrap(keyring())

    assert (tally.rewritten, tally.unreadable) == (1, 1)
    assert [why for why in key_users.reasons("k1") if why.startswith("1 subject keys")]
    assert "encryption.value.unreadable" in {event.kind.name for event in said}


def test_without_a_person_nothing_is_written(keys):
    with pytest.raises(UnboundValue, match="for the person"):
        Letter(body="x").save()


def test_rotation_wraps_the_keys_anew_and_touches_no_value(ann, keys, settings):
    made = Letter.objects.create(person=ann, body="b")
    before = stored(Letter, "body", made.pk)
    keys("k2", "k1")
    assert [why for why in key_users.reasons("k1") if why.startswith("1 subject keys")]

    assert shredding.rewrap(keyring()).rewritten == 1

    assert shredding.rewrap(keyring()).seen == 0
    keys("k2")
    keyring.cache_clear()
    assert stored(Letter, "body", made.pk) == before
    assert Letter.objects.get().body == "b"
    assert not [why for why in key_users.reasons("k1") if "subject keys" in why]


def test_the_command_asks_and_erases(ann, monkeypatch):
    Letter.objects.create(person=ann, body="b")
    subject = f"clinic.person:{ann.pk}"
    with pytest.raises(SubjectUnknown):
        services.erase_subject(subject="clinic.person:0")
    with pytest.raises(CommandError, match="no key of"):
        call_command("encryption_erase_subject", "clinic.person:0", "--yes")
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(CommandError, match="Nothing was erased"):
        call_command("encryption_erase_subject", subject, stdout=io.StringIO())
    out = io.StringIO()
    call_command("encryption_erase_subject", subject, "--dry-run", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"subject": subject, "keys": 1, "erased": 0}
    assert Letter.objects.get().body == "b"

    monkeypatch.setattr("builtins.input", lambda _: subject)
    out = io.StringIO()
    call_command("encryption_erase_subject", subject, stdout=out)
    assert "1 of 1 keys erased" in out.getvalue()


def test_without_a_storage_a_check_says_where_to_put_one(settings):
    settings.STORAGES = {k: v for k, v in settings.STORAGES.items() if k != "subject_keys"}
    assert [message.id for message in check_subjects(None)] == [E007]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_many_first_letters_at_once_make_one_key(ann):
    errors = []

    def write(number):
        try:
            Letter.objects.create(person=ann, body=f"letter {number}")
        except Exception as failure:  # noqa: BLE001
            errors.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert SubjectKey.objects.count() == 1
    keyring.cache_clear()
    assert {letter.body for letter in Letter.objects.all()} == {f"letter {n}" for n in range(8)}


@pytest.mark.parametrize("is_configured", [True, False])
def test_the_keys_of_a_deleted_user_go_where_the_site_asks_for_it(
    settings, keys, django_capture_on_commit_callbacks, is_configured
):
    settings.ENCRYPTION_ERASE_DELETED_USERS = is_configured
    users = get_user_model().objects
    ada, bob = (users.create_user(email=f"{name}@example.org") for name in ("ada", "bob"))
    subject = f"{ada._meta.label_lower}:{ada.pk}"
    key_for(keyring(), subject)
    with django_capture_on_commit_callbacks() as callbacks:
        ada.delete()
    assert SubjectKey.objects.get(subject=subject).erased_at is None, "not before the commit"
    for callback in callbacks:
        callback()
    assert bool(SubjectKey.objects.get(subject=subject).erased_at) is is_configured
    with django_capture_on_commit_callbacks(execute=True):
        bob.delete()  # nothing was encrypted for them
