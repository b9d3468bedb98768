"""An exchange beside writers: what the database confirmed is what is found afterwards."""

from __future__ import annotations

import decimal
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, migrations, models, transaction

from encryption.errors import ImportRefused
from encryption.fields import Encrypted, RowSalt
from encryption.operations import DecryptField, EncryptField, Exchange, table
from garrison.errors import ConfigurationError
from tests.encryption.conftest import ENCRYPT, UUID_KEY, columns, create

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
TEXT = models.TextField(default="")


def update(pk, note):
    """Write as code does that knows nothing of the exchange."""
    value = UUID_KEY.get_db_prep_value(pk, connection)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ward_bed SET note = %s WHERE id = %s", [note, value])


def at(monkeypatch, where, step, act, *, call=1):
    """Do something once, after a step has been taken for the so manieth time."""
    done, left = getattr(where, step), [call]

    def and_act(self, *arguments, **options):
        result = done(self, *arguments, **options)
        left[0] -= 1
        if not left[0]:
            act()
        return result

    monkeypatch.setattr(where, step, and_act)


def killed():
    raise KeyboardInterrupt


@pytest.fixture
def beds(migrated):
    """Thirty notes in clear."""
    one = migrated(create("bed", UUID_KEY, note=TEXT))
    Bed = one.model()  # noqa: N806
    made = Bed.objects.bulk_create([Bed(note=f"note {n}") for n in range(30)])
    return one, [bed.pk for bed in made]


@pytest.fixture
def half_done(beds):
    """The same, after an exchange that was killed when all was filled."""
    one, keys = beds
    with pytest.MonkeyPatch.context() as patched:
        at(patched, Exchange, "_compare_online", killed)
        with pytest.raises(KeyboardInterrupt):
            one.apply(ENCRYPT)
    return one, keys


def notes(one):
    return {bed.pk: bed.note for bed in one.model().objects.all()}


class Threads:
    """Threads with connections of their own, and what went wrong in them."""

    def __init__(self):
        self.running, self.failures = [], []

    def start(self, act):
        def run():
            try:
                act()
            except Exception as failure:  # noqa: BLE001
                self.failures.append(failure)
            finally:
                connection.close()

        self.running.append(threading.Thread(target=run))
        self.running[-1].start()

    def join(self):
        for thread in self.running:
            thread.join(30)


@pytest.mark.postgresql
def test_writers_that_queue_behind_a_resumed_exchange_are_watched(half_done, monkeypatch):
    """A long transaction, a resumed exchange that waits for it, and writers that wait for that."""
    one, (first, second, *_) = half_done
    threads, is_held = Threads(), threading.Event()

    def hold():
        with transaction.atomic():
            update(first, "by the long transaction")
            is_held.set()
            time.sleep(1)

    def write():
        time.sleep(0.5)
        update(second, "by whoever came last")

    threads.start(hold)
    is_held.wait(10)
    threads.start(write)
    monkeypatch.setattr(table, "PAUSE_SECONDS", 0.1)
    one.apply(ENCRYPT)
    threads.join()

    assert threads.failures == []
    found = notes(one)
    assert found[first] == "by the long transaction"
    assert found[second] == "by whoever came last"


@pytest.mark.postgresql
def test_nobody_waits_long_behind_an_exchange_that_cannot_have_its_lock(beds, monkeypatch):
    one, (first, second, *_) = beds
    monkeypatch.setattr(table, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(table, "PAUSE_SECONDS", 0.2)
    threads, is_held, let_go, waits = Threads(), threading.Event(), threading.Event(), []

    def hold():
        with transaction.atomic():
            update(first, "held")
            is_held.set()
            let_go.wait(20)

    def write():
        for number in range(20):
            started = time.monotonic()
            update(second, f"later {number}")
            waits.append(time.monotonic() - started)
            time.sleep(0.05)
        let_go.set()

    threads.start(hold)
    is_held.wait(10)
    threads.start(write)
    one.apply(ENCRYPT)
    threads.join()

    assert threads.failures == []
    assert len(waits) == 20, "each was let through while the lock was not to be had"
    assert notes(one)[second] == "later 19"


@pytest.mark.postgresql
def test_a_lock_that_is_never_free_ends_the_migration_and_leaves_nothing(beds, monkeypatch):
    one, (first, *_) = beds
    for name, value in {"LOCK_SECONDS": 0.1, "PAUSE_SECONDS": 0, "ATTEMPTS": 2}.items():
        monkeypatch.setattr(table, name, value)
    threads, is_held, let_go = Threads(), threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            update(first, "held")
            is_held.set()
            let_go.wait(20)

    threads.start(hold)
    is_held.wait(10)
    with pytest.raises(DatabaseError, match="lock timeout") as refused:
        one.apply(ENCRYPT)
    let_go.set()
    threads.join()
    assert refused.value.__notes__ == ["Run the migration again; it goes on where it stopped."]
    assert set(columns("ward_bed")) == {"id", "note"}


@pytest.mark.postgresql
@pytest.mark.parametrize("moment", ["before the last look", "after the last look"])
def test_a_write_that_passes_the_trigger_by_is_found_all_the_same(half_done, monkeypatch, moment):
    """As replication writes, and ``pg_restore --disable-triggers``."""
    one, (first, second, *_) = half_done

    def pass_by():
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
        update(first, "passed by")
        update(second, "passed by too")
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = DEFAULT")

    if moment == "before the last look":
        pass_by()
    else:
        at(monkeypatch, Exchange, "_compare_online", pass_by)
    one.apply(ENCRYPT)

    found = notes(one)
    assert (found[first], found[second]) == ("passed by", "passed by too")
    assert len(found) == 30


def test_an_exchange_whose_key_is_gone_since_it_was_killed_begins_anew(half_done, keys):
    """Nothing knows of the second column, so no rotation rewrites it, and its key is retired."""
    one, first = half_done
    keys("k2")

    one.apply(ENCRYPT)

    assert sorted(notes(one).values()) == sorted(f"note {n}" for n in range(30))
    assert len(first) == 30


def test_what_does_not_fit_is_refused_until_the_field_can_hold_it(migrated):
    exact = Encrypted(models.DecimalField(max_digits=9, decimal_places=3))
    one = migrated(create("bed", UUID_KEY, note=exact))
    one.model().objects.create(note=decimal.Decimal("1.234"))
    coarse, fine = (models.DecimalField(max_digits=9, decimal_places=n) for n in (1, 3))
    before = one.state

    with pytest.raises((ImportRefused, decimal.InvalidOperation)):
        one.apply(DecryptField("bed", "note", coarse))

    one.state = before
    assert one.model().objects.get().note == decimal.Decimal("1.234")
    one.apply(DecryptField("bed", "note", fine))
    assert one.model().objects.get().note == decimal.Decimal("1.234")
    assert set(columns("ward_bed")) == {"id", "note"}


@pytest.mark.parametrize(
    ("where", "step"),
    [(Exchange, "_compare_online"), (Exchange, "_compare"), (table.Table, "moment")],
)
def test_two_runs_at_once_end_one_exchange(beds, monkeypatch, where, step):
    one, keys = beds
    other = Exchange.run
    runs = []

    def another():
        if not runs:
            runs.append(True)
            one.apply(ENCRYPT)

    before = one.state
    at(monkeypatch, where, step, another)
    one.apply(ENCRYPT)
    after, one.state = one.state, before
    one.state = after

    assert other is Exchange.run
    assert runs
    assert len(notes(one)) == len(keys)
    assert set(columns("ward_bed")) == {"id", "note"}


@pytest.mark.parametrize(
    ("start", "operation", "refusal"),
    [
        (TEXT, EncryptField("bed", "note", models.TextField()), "one of the two"),
        (Encrypted(TEXT), EncryptField("bed", "note", Encrypted(TEXT)), "one of the two"),
        (TEXT, EncryptField("bed", "note", Encrypted(TEXT, subject="owner")), "give it a subject"),
    ],
)
def test_what_could_not_be_ended_is_not_begun(migrated, start, operation, refusal):
    one = migrated(create("bed", UUID_KEY, note=start, owner=models.TextField(default="")))

    with pytest.raises((ConfigurationError, ImportRefused), match=refusal):
        one.apply(operation)

    assert set(columns("ward_bed")) == {"id", "note", "owner"}


def test_it_is_no_sql_that_sqlmigrate_could_print():
    assert not EncryptField.reduces_to_sql
    assert not DecryptField.reduces_to_sql


@pytest.mark.parametrize(
    ("clear", "value"),
    [
        (models.TextField(), "a note"),
        (models.CharField(max_length=500), "a note"),
        (models.BinaryField(), b"\x01a note"),
        (models.IntegerField(), 7),
        (models.PositiveIntegerField(), 7),
        (models.JSONField(), {"a": 1}),
    ],
)
def test_a_release_that_still_encrypts_is_refused_by_a_column_that_is_clear_again(
    migrated, clear, value
):
    """What it wrote would be confirmed, and read as hexadecimal text."""
    one = migrated(create("bed", UUID_KEY, note=Encrypted(clear)))
    bed = one.model().objects.create(note=value)
    envelope = one.model()._meta.get_field("note").seal(value, row=bed.pk.bytes)
    before = one.state
    decrypt = DecryptField("bed", "note", clear)
    one.apply(decrypt)

    for written in (bytes(envelope), connection.Database.Binary(bytes(envelope))):
        with pytest.raises(DatabaseError):
            update(bed.pk, written)

    assert one.model().objects.get().note == value
    one.model().objects.update(note=value)
    one.state = before
    one.apply(decrypt)  # whose migration died: not done twice
    assert one.model().objects.get().note == value
    one.unapply(decrypt)
    assert one.model().objects.get().note == value


# --- integer keys ---------------------------------------------------------------------------------

COT = EncryptField("cot", "note", Encrypted(models.TextField(null=True)), rows_per_batch=20)
SALT_NEEDED = migrations.AlterField("cot", "row_salt", RowSalt())


@pytest.fixture
def cots(migrated):
    one = migrated(
        create("cot", models.BigAutoField(primary_key=True), note=models.TextField(null=True))
    )
    Cot = one.model("cot")  # noqa: N806
    Cot.objects.bulk_create([Cot(note=f"note {n}") for n in range(100)])
    one.apply(migrations.AddField("cot", "row_salt", RowSalt(null=True, default=None)))
    return one


def insert(note):
    with connection.cursor() as cursor:  # as code that knows of no salt does
        cursor.execute("INSERT INTO ward_cot (note) VALUES (%s) RETURNING id", [note])
        return cursor.fetchone()[0]


@pytest.mark.postgresql
def test_the_old_release_inserts_all_the_while_into_a_model_with_integer_keys(cots):
    threads, stop, confirmed, refused = Threads(), threading.Event(), {}, []

    def write():
        while not stop.is_set() or len(refused) < 2:
            note = f"made {len(confirmed)}" if len(confirmed) % 3 else None
            try:
                confirmed[insert(note)] = note
            except DatabaseError as refusal:  # by the encrypted column, and the salt it lacks
                refused.append(refusal)

    threads.start(write)
    cots.apply(COT)
    stop.set()
    threads.join()
    cots.apply(SALT_NEEDED)

    assert threads.failures == []
    assert confirmed
    rows = {cot.pk: cot for cot in cots.model("cot").objects.all()}
    assert len(rows) == 100 + len(confirmed)
    assert {pk: rows[pk].note for pk in confirmed} == confirmed
    for cot in rows.values():
        cot.note = f"changed {cot.pk}"
        cot.save()


@pytest.mark.parametrize("note", ["a note", None])
def test_a_row_without_salt_is_refused_after_the_exchange_and_taken_again_after_its_way_back(
    cots, note
):
    cots.apply(COT)
    with pytest.raises(DatabaseError):
        insert(note)
    encrypted = cots.state
    cots.apply(DecryptField("cot", "note", models.TextField(null=True)))
    assert encrypted is not cots.state

    pk = insert(note)

    assert cots.model("cot").objects.get(pk=pk).note == note
    assert cots.model("cot").objects.count() == 101


@pytest.mark.slow
@pytest.mark.postgresql
def test_the_drill_finds_no_wrong_value():
    """Four processes write while migrate and encryption_rotate are killed; the bench does more."""
    drill = [sys.executable, ROOT / "bench" / "encryption_exchange.py", "1500", "2", "1"]
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}

    done = subprocess.run(drill, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("; 0 values wrong") == 3
