"""Encrypting an existing column while it is in use, and back."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.db import connection, migrations, models, transaction
from django.db.migrations.writer import MigrationWriter

from encryption.errors import DecryptionFailed
from encryption.fields import Encrypted, RowSalt
from encryption.operations import DecryptField, EncryptField, Exchange
from encryption.operations.table import Table
from garrison.errors import ConfigurationError
from tests.encryption.conftest import ENCRYPT, UUID_KEY, columns, create

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_clear_column_becomes_an_encrypted_one_and_clear_again(migrated):
    one = migrated(create("bed", UUID_KEY, note=models.TextField(default="", db_index=True)))
    Bed = one.model()  # noqa: N806
    Bed.objects.bulk_create([Bed(note=f"note {n}") for n in range(25)])

    one.apply(ENCRYPT)

    Bed = one.model()  # noqa: N806
    assert sorted(Bed.objects.values_list("note", flat=True)) == sorted(
        f"note {n}" for n in range(25)
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT note FROM ward_bed")
        assert all(bytes(row[0])[:1] == b"\x01" for row in cursor.fetchall())
    assert set(columns("ward_bed")) == {"id", "note"}
    assert not columns("ward_bed")["note"].null_ok
    Bed.objects.create(note="new")
    assert Bed.objects.exclude(note=None).count() == 26

    one.unapply(ENCRYPT)

    Bed = one.model()  # noqa: N806
    assert Bed.objects.filter(note="note 7").count() == 1
    assert Bed.objects.filter(note="new").count() == 1
    assert set(columns("ward_bed")) == {"id", "note"}


def test_the_other_operation_takes_it_off(migrated):
    one = migrated(create("bed", UUID_KEY, note=Encrypted(models.IntegerField(null=True))))
    Bed = one.model()  # noqa: N806
    for value in (1, 2, None):
        bed = Bed(note=value)
        bed.save()

    one.apply(DecryptField("bed", "note", models.IntegerField(null=True, unique=True)))

    assert sorted(one.model().objects.filter(note__gt=0).values_list("note", flat=True)) == [1, 2]
    assert one.model().objects.filter(note=None).count() == 1


@pytest.mark.parametrize(
    ("clear", "values"),
    [
        (models.CharField(max_length=20, null=True), ["a", "", None]),
        (models.DecimalField(max_digits=8, decimal_places=2), ["12.50", "0.00"]),
        (models.JSONField(default=dict), [{"a": 1}, {}, [1]]),
        (models.DateTimeField(null=True), [None]),
        (models.BooleanField(default=False), [True, False]),
    ],
)
def test_every_kind_of_column_goes_there_and_back(migrated, clear, values):
    import decimal

    one = migrated(create("bed", UUID_KEY, note=clear))
    values = [decimal.Decimal(v) if isinstance(clear, models.DecimalField) else v for v in values]
    for value in values:
        one.model().objects.create(note=value)
    operation = EncryptField("bed", "note", Encrypted(clear))

    one.apply(operation)
    assert sorted(map(str, one.model().objects.values_list("note", flat=True))) == sorted(
        map(str, values)
    )
    one.unapply(operation)
    assert sorted(map(str, one.model().objects.values_list("note", flat=True))) == sorted(
        map(str, values)
    )


def test_rows_without_a_uuid_get_their_salts_first(migrated):
    one = migrated(create("bed", models.BigAutoField(primary_key=True), note=models.TextField()))
    Bed = one.model()  # noqa: N806
    Bed.objects.bulk_create([Bed(note=f"note {n}") for n in range(12)])
    one.apply(
        migrations.AddField("bed", "row_salt", RowSalt(null=True, default=None)),
        EncryptField("bed", "note", Encrypted(models.TextField()), rows_per_batch=5),
        migrations.AlterField("bed", "row_salt", RowSalt()),
    )

    Bed = one.model()  # noqa: N806
    assert Bed.objects.values("row_salt").distinct().count() == 12
    assert {bed.note for bed in Bed.objects.all()} == {f"note {n}" for n in range(12)}


def test_a_model_without_any_row_identity_is_refused(migrated):
    one = migrated(create("bed", models.BigAutoField(primary_key=True), note=models.TextField()))

    with pytest.raises(ConfigurationError, match="row_salt = RowSalt"):
        one.apply(EncryptField("bed", "note", Encrypted(models.TextField())))
    assert set(columns("ward_bed")) == {"id", "note"}


def test_inside_one_transaction_it_is_refused(migrated):
    one = migrated(create("bed", UUID_KEY, note=models.TextField(default="")))
    after = one.state.clone()
    ENCRYPT.state_forwards("ward", after)

    with (
        connection.schema_editor(atomic=False) as editor,
        pytest.raises(ConfigurationError, match="atomic = False"),
        transaction.atomic(),
    ):
        ENCRYPT.database_forwards("ward", editor, one.state, after)


def test_values_that_change_meanwhile_are_encrypted_as_they_end(migrated, monkeypatch):
    """The old code goes on writing the clear column between the batches."""
    one = migrated(create("bed", UUID_KEY, note=models.TextField(default="", null=True)))
    Bed = one.model()  # noqa: N806
    beds = Bed.objects.bulk_create([Bed(note=f"note {n}") for n in range(20)])
    fill, calls = Exchange._fill, []

    def fill_and_interfere(self, keys, *, is_alone):
        fill(self, keys, is_alone=is_alone)
        calls.append(len(keys))
        if len(calls) == 2:
            Bed.objects.filter(pk=beds[0].pk).update(note="changed meanwhile")
            Bed.objects.filter(pk=beds[1].pk).update(note=None)
            Bed.objects.create(note="made meanwhile")

    monkeypatch.setattr(Exchange, "_fill", fill_and_interfere)
    one.apply(
        EncryptField(
            "bed", "note", Encrypted(models.TextField(default="", null=True)), rows_per_batch=10
        )
    )

    Encrypted_ = one.model()  # noqa: N806
    assert Encrypted_.objects.get(pk=beds[0].pk).note == "changed meanwhile"
    assert Encrypted_.objects.get(pk=beds[1].pk).note is None
    assert "made meanwhile" in {bed.note for bed in Encrypted_.objects.all()}
    assert Encrypted_.objects.count() == 21
    assert sum(calls) in {21, 22}, "each row once, and again only what changed meanwhile"


@pytest.mark.postgresql
def test_writers_of_the_old_column_lose_nothing(migrated):
    one = migrated(create("bed", UUID_KEY, note=models.TextField(default="")))
    Bed = one.model()  # noqa: N806
    beds = Bed.objects.bulk_create([Bed(note=f"first {n}") for n in range(2000)], batch_size=500)
    written, stop = {}, threading.Event()

    def write():
        number = 0
        try:
            while not stop.is_set():
                pk = beds[number % len(beds)].pk
                with connection.cursor() as cursor:
                    cursor.execute(
                        "UPDATE ward_bed SET note = %s WHERE id = %s", [f"later {number}", pk]
                    )
                written[pk] = f"later {number}"
                number += 13
        except Exception as over:  # the database refuses clear text from then on  # noqa: BLE001
            written["over"] = type(over).__name__
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    one.apply(EncryptField("bed", "note", Encrypted(models.TextField(default="")), 50))
    stop.set()
    writer.join()

    written.pop("over", None)
    assert written
    for bed in one.model().objects.all():
        assert bed.note == written.get(bed.pk, bed.note)
        assert bed.note.startswith(("first", "later"))


@pytest.mark.parametrize(
    "killed_at",
    [
        (Exchange, "_compare_online", 1),
        (Exchange, "_write", 2),
        (Table, "_lock", 2),
        (Table, "unwatch", 1),
        (Exchange, "_take_over", 1),
    ],
)
@pytest.mark.parametrize("direction", ["encrypt", "decrypt"])
def test_an_exchange_killed_at_any_step_goes_on(migrated, monkeypatch, killed_at, direction):
    where, step, calls = killed_at
    start, change = {
        "encrypt": (models.TextField(default=""), ENCRYPT),
        "decrypt": (
            Encrypted(models.TextField(default="")),
            DecryptField("bed", "note", models.TextField(default=""), rows_per_batch=10),
        ),
    }[direction]
    one = migrated(create("bed", UUID_KEY, note=start))
    Bed = one.model()  # noqa: N806
    beds = Bed.objects.bulk_create([Bed(note=f"note {n}") for n in range(30)])
    done, left = getattr(where, step), [calls]

    def killed(self, *arguments):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return done(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(where, step, killed)
        with pytest.raises(KeyboardInterrupt):
            one.apply(change)
    assert "note_exchanged" in columns("ward_bed")
    beds[0].note = "changed after the kill"
    beds[0].save()

    one.apply(change)

    expected = {"changed after the kill", *(f"note {n}" for n in range(1, 30))}
    assert {bed.note for bed in one.model().objects.all()} == expected
    assert set(columns("ward_bed")) == {"id", "note"}


@pytest.mark.parametrize("operation", ["encrypt", "decrypt"])
def test_an_exchange_whose_migration_died_after_it_is_not_done_twice(migrated, operation):
    """A second operation of the same migration failed, say: Django runs the first one again."""
    clear, encrypted = models.BinaryField(default=b""), Encrypted(models.BinaryField(default=b""))
    start, change = {
        "encrypt": (clear, EncryptField("bed", "note", encrypted)),
        "decrypt": (encrypted, DecryptField("bed", "note", clear)),
    }[operation]
    one = migrated(create("bed", UUID_KEY, note=start))
    one.model().objects.create(note=b"the note")
    before = one.state

    one.apply(change)
    one.state = before
    one.apply(change)

    assert bytes(one.model().objects.get().note) == b"the note"
    assert set(columns("ward_bed")) == {"id", "note"}


def test_rows_that_the_old_release_makes_meanwhile_get_their_salts_too(migrated, monkeypatch):
    one = migrated(create("bed", models.BigAutoField(primary_key=True), note=models.TextField()))
    one.apply(migrations.AddField("bed", "row_salt", RowSalt(null=True, default=None)))
    Bed = one.model()  # noqa: N806
    for n in range(12):
        Bed.objects.create(note=f"note {n}")
    write, calls = Exchange._write, []

    def write_and_interfere(self, rows):
        filled = write(self, rows)
        calls.append(filled)
        if len(calls) == 3:
            with connection.cursor() as cursor:  # as code that knows of no salt would
                cursor.execute("INSERT INTO ward_bed (note) VALUES ('made meanwhile')")
        return filled

    monkeypatch.setattr(Exchange, "_write", write_and_interfere)
    one.apply(
        EncryptField("bed", "note", Encrypted(models.TextField()), rows_per_batch=5),
        migrations.AlterField("bed", "row_salt", RowSalt()),
    )

    notes = {bed.note for bed in one.model().objects.all()}
    assert notes == {"made meanwhile", *(f"note {n}" for n in range(12))}


def test_the_values_are_bound_to_the_migrated_model(migrated):
    one = migrated(create("bed", UUID_KEY, note=models.TextField(default="")))
    one.model().objects.create(note="x")
    one.apply(ENCRYPT)
    bed = one.model().objects.get()
    field = one.model()._meta.get_field("note")

    assert field.label == "ward.bed.note"
    with connection.cursor() as cursor:
        cursor.execute("SELECT note FROM ward_bed")
        envelope = bytes(cursor.fetchone()[0])
    assert field.open_envelope(envelope, bed.pk.bytes) == "x"
    with pytest.raises(DecryptionFailed):
        field.open_envelope(envelope, uuid.uuid4().bytes)


def test_operations_and_fields_are_written_into_migrations():
    migration = migrations.Migration("0002_encrypt", "ward")
    migration.operations = [
        ENCRYPT,
        DecryptField("bed", "old", models.TextField()),
        migrations.AddField("bed", "row_salt", RowSalt()),
    ]
    source = MigrationWriter(migration).as_string()

    assert "encryption.operations.EncryptField(" in source
    assert "field=encryption.fields.Encrypted(models.TextField(default=''))" in source
    assert "encryption.fields.RowSalt(default=uuid.uuid4, editable=False, unique=True)" in source
    names = {}
    exec(compile(source, "0002_encrypt.py", "exec"), names)
    assert names["Migration"].operations[0].deconstruct()[2]["name"] == "note"
    assert ENCRYPT.describe() == "Encrypt field note of bed"
    assert ENCRYPT.migration_name_fragment == "encrypt_bed_note"
