"""What somebody who may write the database can do to stored values: nothing that goes unseen."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection, transaction

from encryption.errors import DecryptionFailed
from encryption.keyring import keyring
from encryption.models import DecryptionFailureCount
from garrison.events import security_event
from tests.encryption.clinic.models import Patient, Plain, Visit
from tests.encryption.test_fields import stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def said():
    """Every event said in the test."""
    heard = []

    def hear(*, event, **_):
        heard.append(event)

    security_event.connect(hear)
    yield heard
    security_event.disconnect(hear)


def put(model, column, pk, value):
    """Write the column as an intruder would."""
    quote = connection.ops.quote_name
    key = model._meta.pk
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {quote(model._meta.db_table)} SET {quote(column)} = %s "
            f"WHERE {quote(key.column)} = %s",
            [connection.Database.Binary(value), key.get_db_prep_value(pk, connection)],
        )


def test_a_value_moved_to_another_row_is_refused():
    one = Patient.objects.create(email="a@example.org", note="of a")
    two = Patient.objects.create(email="b@example.org", note="of b")
    put(Patient, "note", two.pk, stored(Patient, "note", one.pk))

    with pytest.raises(DecryptionFailed, match=r"clinic\.Patient\.note"):
        _ = Patient.objects.get(pk=two.pk).note
    with pytest.raises(DecryptionFailed):
        Patient.objects.values_list("note").get(pk=two.pk)
    assert Patient.objects.get(pk=one.pk).note == "of a"


def test_a_value_moved_to_another_row_with_a_salt_is_refused():
    one, two = Visit.objects.create(remark="of a"), Visit.objects.create(remark="of b")
    put(Visit, "remark", two.pk, stored(Visit, "remark", one.pk))

    with pytest.raises(DecryptionFailed):
        _ = Visit.objects.get(pk=two.pk).remark


def test_a_salt_cannot_be_copied_to_a_second_row():
    from django.db import IntegrityError

    one, two = Visit.objects.create(remark="of a"), Visit.objects.create(remark="of b")

    table, salt = Visit._meta.db_table, "SELECT row_salt FROM {} WHERE id = %s"
    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            f"UPDATE {table} SET row_salt = ({salt.format(table)}) WHERE id = %s", [one.pk, two.pk]
        )


def test_a_value_moved_to_another_column_is_refused():
    one = Visit.objects.create(remark="r", secret="s")
    put(Visit, "secret", one.pk, stored(Visit, "remark", one.pk))

    with pytest.raises(DecryptionFailed, match=r"clinic\.Visit\.secret"):
        _ = Visit.objects.get().secret


def test_a_value_moved_to_another_model_of_the_same_key_is_refused():
    one = Patient.objects.create(email="a@example.org", note="n")
    Plain.objects.create(id=one.pk, secret="s")
    put(Plain, "secret", one.pk, stored(Patient, "note", one.pk))

    with pytest.raises(DecryptionFailed):
        _ = Plain.objects.get().secret


def test_no_bit_of_a_row_or_an_envelope_can_be_turned_on_the_path_that_every_read_takes(keys):
    keys("k1", "k3")  # a bit apart
    field = Plain._meta.get_field("secret")
    row = uuid.uuid4().bytes
    selected = b"\xa1" + row + field.seal("some words", row=row)
    assert field.read_value(selected) == "some words"

    for bit in range(8, len(selected) * 8):
        turned = bytearray(selected)
        turned[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecryptionFailed):
            field.read_value(bytes(turned))


def test_an_envelope_of_one_kind_of_key_does_not_pass_for_the_other(keys):
    """A subject's envelope renamed to the ring's, and back: the first bytes are authenticated."""
    field = Plain._meta.get_field("secret")
    row = uuid.uuid4().bytes
    ours = field.cipher.seal(b"x", row)
    material = keyring().active.value
    theirs = field.cipher.seal_for_subject(b"x", row, key=material, key_uuid=ours[1:17])

    for forged in (b"\x02" + ours[1:], b"\x01" + theirs[1:], ours[:13] + theirs[17:]):
        with pytest.raises(DecryptionFailed):
            field.open_envelope(forged, row)


def test_a_value_of_another_format_is_refused():
    one = Plain.objects.create(secret="s")
    put(Plain, "secret", one.pk, b"\x80I am clear text")

    with pytest.raises(DecryptionFailed, match="no envelope of a known version"):
        _ = Plain.objects.get().secret


def test_one_bad_value_spoils_only_itself():
    good = Visit.objects.create(remark="good", secret="fine")
    bad = Visit.objects.create(remark="bad", secret="fine too")
    put(Visit, "remark", bad.pk, b"\x01" + b"broken")

    loaded = {visit.pk: visit for visit in Visit.objects.all()}
    assert loaded[good.pk].remark == "good"
    assert loaded[bad.pk].secret == "fine too"
    loaded[bad.pk].number = 5
    loaded[bad.pk].save(update_fields=["number"])


def test_each_failure_is_an_event_with_its_place_and_never_a_none(said):
    one = Plain.objects.create(secret="the value itself")
    envelope = bytearray(stored(Plain, "secret", one.pk))
    envelope[-1] ^= 1
    put(Plain, "secret", one.pk, bytes(envelope))

    for _ in range(2):
        with pytest.raises(DecryptionFailed):
            _ = Plain.objects.get().secret

    failures = [event for event in said if event.kind.name == "encryption.value.unreadable"]
    assert len(failures) == 2
    assert failures[0].data == {
        "place": "clinic.Plain.secret",
        "key_id": failures[0].data["key_id"],
        "reason": "not_authentic",
    }
    assert failures[0].target == f"clinic.plain:{one.pk.hex}"
    assert DecryptionFailureCount.objects.get().count == 2


def test_a_failure_inside_a_lost_transaction_is_still_said(said):
    one = Plain.objects.create(secret="s")
    put(Plain, "secret", one.pk, b"\x01x")

    with pytest.raises(DecryptionFailed), transaction.atomic():
        _ = Plain.objects.get().secret

    assert [event.kind.name for event in said if event.kind.name.endswith("unreadable")]
