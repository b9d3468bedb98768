"""Rotation while the site runs: nothing lost, nothing left, and killed at any time."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from encryption import key_users, services
from encryption.batches import write_cells
from encryption.errors import DecryptionFailed, KeyInUse, KeyUnknown
from encryption.failures import Tally
from encryption.key_versions import adopt
from encryption.models import KeyVersion, Rotation
from encryption.rotation import RotationPass, ToActiveKey, rows_per_key
from tests.encryption.clinic.models import Plain, Visit
from tests.encryption.conftest import CLINIC
from tests.encryption.test_fields import stored
from tests.encryption.test_tampering import put, said  # noqa: F401 - a fixture

REMARK = Visit._meta.get_field("remark")
SECRET = Plain._meta.get_field("secret")


def held(field):
    return rows_per_key(field, using="default")


@pytest.mark.django_db
def test_every_value_is_brought_to_the_active_key_and_reads_as_before(keys, said):  # noqa: F811
    Visit.objects.bulk_create([Visit(remark=f"r{n}", number=n) for n in range(25)])
    keys("k2", "k1")
    assert held(REMARK) == {"k1": 25}

    seen = []
    tally = services.rotate_field(
        field=REMARK, rows_per_batch=10, on_batch=lambda t: seen.append(t.rewritten)
    )

    assert (tally.rewritten, tally.unreadable) == (25, 0)
    assert seen == [10, 20, 25]
    assert held(REMARK) == {"k2": 25}
    assert [v.remark for v in Visit.objects.order_by("number")] == [f"r{n}" for n in range(25)]
    assert Rotation.objects.get(label="clinic.visit.remark").finished_at
    [event] = [e for e in said if e.kind.name == "encryption.rotation.finished"]
    assert event.data == {"key_id": "k2", "rotated": 25}
    keys("k2")
    assert Visit.objects.get(number=7).remark == "r7"


@pytest.mark.django_db
def test_a_second_run_finds_nothing_to_do(keys):
    Plain.objects.create(secret="s")
    keys("k2", "k1")
    services.rotate_field(field=SECRET)
    before = stored(Plain, "secret", Plain.objects.get().pk)

    assert services.rotate_field(field=SECRET).rewritten == 0
    assert stored(Plain, "secret", Plain.objects.get().pk) == before


@pytest.mark.django_db
def test_a_value_that_cannot_be_read_stays_is_counted_and_fails_the_command(keys):
    good, bad = Plain.objects.create(secret="good"), Plain.objects.create(secret="bad")
    broken = bytearray(stored(Plain, "secret", bad.pk))
    broken[-1] ^= 1
    put(Plain, "secret", bad.pk, bytes(broken))
    keys("k2", "k1")

    out = io.StringIO()
    with pytest.raises(CommandError, match="could not be read"):
        call_command("encryption_rotate", "--field", "clinic.Plain.secret", "--json", stdout=out)

    assert json.loads(out.getvalue())["fields"] == [
        {"field": "clinic.Plain.secret", "due": 2, "rotated": 1, "unreadable": 1}
    ]
    assert stored(Plain, "secret", bad.pk) == bytes(broken)
    assert Plain.objects.get(pk=good.pk).secret == "good"
    assert Rotation.objects.get(label="clinic.plain.secret").finished_at is None


@pytest.mark.django_db
def test_the_command_rotates_everything_draws_a_bar_and_can_only_look(keys):
    Plain.objects.bulk_create([Plain(secret=str(n)) for n in range(3)])
    keys("k2", "k1")

    out, err = io.StringIO(), io.StringIO()
    call_command("encryption_rotate", "--dry-run", stdout=out, stderr=err)
    assert held(SECRET) == {"k1": 3}
    call_command("encryption_rotate", "--progress", "--batch", "2", stdout=out, stderr=err)

    assert held(SECRET) == {"k2": 3}
    assert "clinic.Plain.secret: 3 of 3 rotated, 0 unreadable." in out.getvalue()
    assert re.search(r"clinic\.Plain\.secret \[#{30}\] 100% 3/3", err.getvalue())
    with pytest.raises(CommandError, match="no encrypted field"):
        call_command("encryption_rotate", "--field", "clinic.Plain.nothing")
    with pytest.raises(CommandError, match="from 1 to"):
        call_command("encryption_rotate", "--batch", "0")


@pytest.mark.django_db
def test_the_status_names_rows_per_key_and_what_is_due(keys):
    KeyVersion.objects.all().delete()
    Plain.objects.create(secret="old")
    keys("k2", "k1")
    Plain.objects.create(secret="new")

    out = io.StringIO()
    call_command("encryption_status", "--json", stdout=out)
    status = json.loads(out.getvalue())
    assert status["active"] == "k2"
    [field] = [f for f in status["fields"] if f["field"] == "clinic.Plain.secret"]
    assert field["rows"] == {"k1": 1, "k2": 1}
    assert field["due"] == 1
    text = io.StringIO()
    call_command("encryption_status", stdout=text)
    assert "clinic.Plain.secret: k1: 1, k2: 1; 1 due" in text.getvalue()
    keys("k2")
    with pytest.raises(CommandError, match="'k1', which is not in the keyring"):
        call_command("encryption_status", stdout=io.StringIO())


@pytest.mark.django_db
def test_a_key_is_retired_only_when_nothing_needs_it(keys, settings, said):  # noqa: F811
    KeyVersion.objects.all().delete()
    Plain.objects.create(secret="old")
    keys("k2", "k1")

    with pytest.raises(KeyInUse, match=r"1 values of clinic\.Plain\.secret"):
        services.retire_key(key_id="k1")
    with pytest.raises(KeyInUse, match="active key"):
        services.retire_key(key_id="k2")
    with pytest.raises(KeyUnknown):
        services.retire_key(key_id="k9")
    services.rotate_field(field=SECRET)
    with pytest.raises(KeyInUse, match=r"clinic\.Patient\.email_index derives its key"):
        services.retire_key(key_id="k1")
    settings.ENCRYPTION_INDEX_KEY = "k2"

    out = io.StringIO()
    call_command("encryption_rotate", "--retire", "k1", stdout=out)

    assert "Remove it from ENCRYPTION_KEYS" in out.getvalue()
    assert KeyVersion.objects.get(key_id="k1").retired_at
    kinds = [event.kind.name for event in said]
    assert kinds.count("encryption.retirement.refused") == 3
    assert kinds.count("encryption.key.retired") == 1


@pytest.mark.django_db
def test_a_value_under_a_retired_key_is_refused_with_the_day_it_was_retired(keys, settings):
    made = Plain.objects.create(secret="s")
    envelope = stored(Plain, "secret", made.pk)
    keys("k2", "k1")
    settings.ENCRYPTION_INDEX_KEY = "k2"
    services.rotate_field(field=SECRET)
    services.retire_key(key_id="k1")
    put(Plain, "secret", made.pk, envelope)
    keys("k2")

    with pytest.raises(
        DecryptionFailed, match=r"clinic\.Plain\.secret .*'k1', which was retired on \d{4}-"
    ):
        _ = Plain.objects.get().secret


@pytest.mark.django_db
def test_whoever_registers_as_a_user_of_keys_is_asked_before_one_is_retired(keys, settings):
    settings.ENCRYPTION_INDEX_KEY = "k2"
    keys("k2", "k1")

    with key_users.users.temporarily():

        @key_users.register("paper archives")
        def paper_archives(key_id):
            return ["3 paper archives hold values under it."]

        with pytest.raises(KeyInUse, match="3 paper archives"):
            services.retire_key(key_id="k1")
    with (
        key_users.users.temporarily({"paper archives": lambda key_id: 1 / 0}),
        pytest.raises(KeyInUse, match="paper archives could not be examined"),
    ):
        services.retire_key(key_id="k1")
    assert services.retire_key(key_id="k1").retired_at


KEPT: list = []


def kept():
    """What a host's function gives: the moments of the backups it keeps."""
    return KEPT


@pytest.mark.django_db
def test_a_key_that_kept_backups_need_is_not_retired_before_they_end(keys, settings, monkeypatch):
    settings.ENCRYPTION_INDEX_KEY = "k2"
    settings.ENCRYPTION_KEPT_BACKUPS = f"{__name__}.kept"
    KeyVersion.objects.all().delete()
    now, hour = services.timezone.now(), timedelta(hours=1)
    adopt(now=now - 10 * hour)
    Plain.objects.create(secret="s")
    keys("k2", "k1")

    monkeypatch.setattr(f"{__name__}.KEPT", [now - 9 * hour, now - 2 * hour, now + hour])
    assert [why for why in key_users.reasons("k1") if why.startswith("2 kept backups")]
    services.rotate_field(field=SECRET, clock=lambda: now - 3 * hour)
    with pytest.raises(KeyInUse, match=r"1 kept backups, of .* hold values under it"):
        services.retire_key(key_id="k1")

    services.rotate_files()  # ends now: files were under k1 until then
    monkeypatch.setattr(f"{__name__}.KEPT", [now - 2 * hour])
    with pytest.raises(KeyInUse, match="1 kept backups"):
        services.retire_key(key_id="k1")
    services.rotate_files()  # says nothing new
    monkeypatch.setattr(f"{__name__}.KEPT", [now - 11 * hour, now + hour])
    assert services.retire_key(key_id="k1").retired_at


@pytest.mark.django_db
def test_a_value_changed_since_it_was_read_belongs_to_whoever_changed_it(keys):
    made = Plain.objects.create(secret="old")
    envelope = stored(Plain, "secret", made.pk)
    keys("k2", "k1")
    Plain.objects.filter(pk=made.pk).get()
    made.secret = "written meanwhile"
    made.save()

    resealed = SECRET.cipher.seal(b"old", made.pk.bytes)
    cells = [(made.pk, [resealed, envelope])]
    written = write_cells(Plain, ["secret"], cells, using="default", expected="secret")
    assert written == 0
    assert Plain.objects.get().secret == "written meanwhile"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_rows_that_others_hold_are_skipped_and_come_later(keys):
    made = [Plain.objects.create(secret=str(n)) for n in range(4)]
    keys("k2", "k1")
    is_held, let_go = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            list(Plain.objects.select_for_update().filter(pk=made[0].pk))
            is_held.set()
            let_go.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait(10)
    first = []

    def after_batch(tally):
        first.append(tally.rewritten)
        let_go.set()

    tally = services.rotate_field(field=SECRET, on_batch=after_batch)
    holder.join()

    assert first[0] == 3
    assert tally.rewritten == 4
    assert held(SECRET) == {"k2": 4}


@pytest.mark.postgresql
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_no_write_is_lost_while_writers_and_two_rotations_run_at_once(keys):  # noqa: C901
    rows = [Plain(secret=f"first {n}") for n in range(3000)]
    Plain.objects.bulk_create(rows, batch_size=1000)
    keys("k2", "k1")
    stop, last_written, errors = threading.Event(), {}, []

    def write(worker):
        number = 0
        try:
            while not stop.is_set():
                row = rows[(number * 7 + worker) % len(rows)]
                if row.pk.int % 2 == worker:
                    fresh = Plain.objects.get(pk=row.pk)
                    assert fresh.secret.startswith(("first", "worker"))
                    fresh.secret = f"worker {worker} {number}"
                    fresh.save()
                    last_written[row.pk] = fresh.secret
                number += 1
        except Exception as failure:  # noqa: BLE001
            errors.append(failure)
        finally:
            connection.close()

    def rotate():
        try:
            services.rotate_field(field=SECRET, rows_per_batch=200)
        except Exception as failure:  # noqa: BLE001
            errors.append(failure)
        finally:
            connection.close()

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(2)]
    rotations = [threading.Thread(target=rotate) for _ in range(2)]
    for thread in [*writers, *rotations]:
        thread.start()
    for thread in rotations:
        thread.join()
    stop.set()
    for thread in writers:
        thread.join()

    assert errors == []
    assert len(last_written) > 10
    assert held(SECRET) == {"k2": 3000}
    keys("k2")
    for row in Plain.objects.all():
        expected = last_written.get(row.pk)
        assert row.secret == expected if expected else row.secret.startswith("first")


CHILD = textwrap.dedent(
    """
    import os, sys
    os.environ["DJANGO_SETTINGS_MODULE"] = {module!r}
    from django.conf import settings
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, {clinic!r}]
    settings.ENCRYPTION_KEYS = {keys!r}
    settings.DATABASES["default"]["NAME"] = {name!r}
    import django
    django.setup()
    from django.core.management import call_command
    call_command("encryption_rotate", "--field", "clinic.Plain.secret", "--batch", "50",
                 "--progress")
    """
)


@pytest.mark.slow
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_killed_rotation_goes_on_where_it_was(keys, settings):
    Plain.objects.bulk_create([Plain(secret=f"row {n}") for n in range(20_000)], batch_size=2000)
    keys("k2", "k1")
    script = CHILD.format(
        module=os.environ["DJANGO_SETTINGS_MODULE"],
        clinic=CLINIC,
        keys=settings.ENCRYPTION_KEYS,
        name=connection.settings_dict["NAME"],
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        if Rotation.objects.filter(rotated__gte=2000).exists():
            break
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    _, err = child.communicate()
    assert child.returncode == -signal.SIGKILL, err.decode()

    at = Rotation.objects.get(label="clinic.plain.secret")
    assert at.finished_at is None
    assert at.cursor
    done = held(SECRET).get("k2", 0)
    assert 2000 <= done < 20_000
    assert done == at.rotated, "the cursor commits with its batch"

    tally = services.rotate_field(field=SECRET, rows_per_batch=1000)

    assert tally.rewritten == 20_000 - done
    assert held(SECRET) == {"k2": 20_000}
    keys("k2")
    assert {row.secret for row in Plain.objects.all()} == {f"row {n}" for n in range(20_000)}


@pytest.mark.django_db
def test_rotation_asks_a_fixed_number_of_questions_a_batch(keys, django_assert_num_queries):
    Plain.objects.bulk_create([Plain(id=uuid.uuid4(), secret=str(n)) for n in range(30)])
    keys("k2", "k1")
    run = RotationPass(SECRET, ToActiveKey(), rows_per_batch=31)
    progress = services._progress(SECRET.label, "default", services.timezone.now())
    # where the window ends · savepoint · its rows with their lock · (the writes, by executemany) ·
    # the cursor · release; on SQLite, a write of nothing for its lock
    with django_assert_num_queries(6 + (connection.vendor == "sqlite")) as asked:
        run._rewrite_table(progress, Tally(), services.timezone.now, skip_locked=True)
    kinds = [query["sql"].split()[0].strip('"') for query in asked]
    assert kinds.count("SELECT") == 2
    [ends] = [query["sql"] for query in asked if "OFFSET 30" in query["sql"]]
    assert "SUBSTR" not in ends, "the index alone tells where the window ends"
