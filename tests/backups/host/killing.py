"""Kill whatever changes data, at random moments, and look at every value after each kill.

``python killing.py KILLS SEED`` runs in the environment of a host. Each act is done once whole, to
learn how long it takes; then it is forked, killed at a random moment of that time, and what it
left must be what was before or what would have been after. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from contextlib import redirect_stdout
from datetime import timedelta
from io import StringIO
from pathlib import Path

import django

django.setup()

from django.apps import apps  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, connections, transaction  # noqa: E402
from django.db.migrations.loader import MigrationLoader  # noqa: E402
from django.db.models import F  # noqa: E402
from django.test.utils import override_settings  # noqa: E402
from django.utils import timezone  # noqa: E402

from backups import services  # noqa: E402
from backups.models import Backup, Lease, StoredFile  # noqa: E402

ROWS = 400


def expected() -> dict[int, str]:
    return {number: f"note {number} ß" for number in range(ROWS)}


def is_encrypted() -> bool:
    """Look at the column itself: a killed migration may have ended before it was recorded."""
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, "wards_bed")
        column = next(c for c in described if c.name == "note")
    return connection.introspection.get_field_type(column.type_code, column) == "BinaryField"


def wrong_values() -> list[str]:
    at = "0002_encrypt" if is_encrypted() else "0001_initial"
    state = MigrationLoader(connection).project_state(("wards", at))
    rows = state.apps.get_model("wards", "Bed")._base_manager.values_list("number", "note")
    found = dict(rows)
    return [f"{n}: {found.get(n)!r}" for n, note in expected().items() if found.get(n) != note]


def half_states() -> list[str]:
    """Name what a kill must never leave: a good backup without its manifest, another's files."""
    target = Path(os.environ["HOST_TARGET"])
    good = Backup.objects.good().filter(copies__state="good").values_list("folder", flat=True)
    return [folder for folder in good if not (target / folder / "manifest.age").is_file()]


def leftovers() -> list[str]:
    """Name what nothing may have left once every act was done to its end."""
    target = Path(os.environ["HOST_TARGET"])
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, "wards_bed")
    found = [column.name for column in described if column.name not in {"id", "number", "note"}]
    found += [str(path) for path in target.rglob("*.partial")]
    found += [str(row) for row in Backup.objects.filter(state="running")]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT proname FROM pg_proc WHERE proname LIKE '%exchange%'")
            found += [name for (name,) in cursor.fetchall()]
    return found


# --- the acts -------------------------------------------------------------------------------------


def exchange() -> None:
    done = MigrationLoader(connection).applied_migrations
    call_command("migrate", "wards", "0001" if ("wards", "0002_encrypt") in done else "0002")


def rotate() -> None:
    if is_encrypted():
        keys = random.sample(settings.ENCRYPTION_KEYS, len(settings.ENCRYPTION_KEYS))
        with override_settings(ENCRYPTION_KEYS=keys):
            call_command("encryption_rotate", "--batch=50")


def prune() -> None:
    """Prune all but the newest two, as if everything had been made two days earlier."""
    age = timedelta(days=2)
    with transaction.atomic():
        Backup.objects.update(snapshot_at=F("snapshot_at") - age)
        StoredFile.objects.update(
            first_used_at=F("first_used_at") - age, last_used_at=F("last_used_at") - age
        )
    with override_settings(
        BACKUPS_RETENTION_DAYS=1,
        BACKUPS_KEEP_WEEKLY=0,
        BACKUPS_KEEP_MONTHLY=0,
        BACKUPS_KEEP_LAST=2,
    ):
        services.prune(now=timezone.now(), allow=100)


def restore() -> None:
    name = os.environ["HOST_DATABASE_NAME"]
    call_command("backup_restore", "--yes", "--confirm-database", name)


ACTS = {
    "exchange": exchange,
    "rotate": rotate,
    "backup": lambda: call_command("backup_create"),
    "prune": prune,
    "restore": restore,
}


# --- killing --------------------------------------------------------------------------------------


def start(act: str) -> int:
    """Do it in a copy of this process; return the copy's id."""
    connections.close_all()
    if child := os.fork():
        return child
    code = 1
    try:
        random.seed()
        with redirect_stdout(StringIO()):
            ACTS[act]()
        code = 0
    except BaseException:  # noqa: BLE001 - the copy must end here, whatever was raised
        traceback.print_exc()
    finally:
        os._exit(code)


def finish(act: str) -> float:
    """Do it whole; return how many seconds it took."""
    began = time.monotonic()
    _, status = os.waitpid(start(act), 0)
    assert status == 0, f"{act} failed, and nobody killed it"
    return time.monotonic() - began


def kill(act: str, *, after: float) -> bool:
    """Start it and kill it; return whether it was still at work."""
    child = start(act)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    Lease.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert os.WIFSIGNALED(status) or status == 0, f"{act} failed before it was killed"
    return os.WIFSIGNALED(status)


def look(after: str) -> None:
    for what, found in (("wrong values", wrong_values()), ("half states", half_states())):
        assert not found, f"{what} after {after}: {found[:5]}"


def main(wanted: int, seed: int) -> Counter[str]:
    chance, killed = random.Random(seed), Counter[str]()
    finish("exchange")
    seconds = {act: finish(act) for act in (*ACTS, "exchange")}
    while killed.total() < wanted:
        act = chance.choice(list(ACTS))
        killed[act] += kill(act, after=seconds[act] * 1.2 * chance.random())
        if act == "restore":  # its index may be as old as the backup: the page says what to do
            call_command("backup_list", "--rebuild", stdout=StringIO())
        look(f"{act}, killed after {dict(killed)}")
        if chance.random() < 0.1:
            for each in ACTS:
                finish(each)
            call_command("backup_verify", "--all", stdout=StringIO())
            assert not leftovers(), leftovers()
    return killed


if __name__ == "__main__":
    Bed = apps.get_model("wards", "Bed")
    Bed.objects.bulk_create(Bed(number=n, note=note) for n, note in expected().items())
    sys.stdout.write(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
