"""Rotation of a million rows while others write: killed, resumed, verified, the old key retired.

    BENCH_DATABASE_URL=postgresql://… python bench/encryption_rotation.py [rows]

Makes its own table in that database and drops it. Exit code 1 where a write was lost, a value was
left under the old key, or memory grew.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import encryption_ground as ground

if TYPE_CHECKING:
    import uuid

ROWS = 1_000_000
WRITERS = 2
KEYS = os.environ.get("BENCH_KEYS", "").split()


def peak_memory(pid: int) -> int:
    """The most memory a process has held so far, in MiB; 0 once it has gone."""
    try:
        with open(f"/proc/{pid}/status") as status:  # noqa: PTH123
            line = next(line for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) // 1024


def rotate() -> int:
    """The child: the command itself, over the bench's table."""
    ground.set_up(KEYS)
    clear, encrypted = ground.models()  # noqa: RUF059
    from django.core.management import call_command

    from encryption import rotation

    field = encrypted._meta.get_field("note")
    rotation.all_fields = lambda: iter([field])  # type: ignore[assignment]
    from encryption.management.commands import encryption_rotate

    encryption_rotate.all_fields = rotation.all_fields  # type: ignore[assignment]
    call_command("encryption_rotate", "--field", field.place, "--progress")
    return 0


def fill(model: Any, rows: int) -> list[uuid.UUID]:
    """Write the rows by COPY; give every hundredth key, for the writers."""
    from django.db import connection
    from django.utils import timezone

    columns = [field.column for field in model._meta.local_concrete_fields]
    now, ids = timezone.now(), []
    with connection.cursor() as cursor:
        statement = f"COPY {model._meta.db_table} ({', '.join(columns)}) FROM STDIN"
        with cursor.copy(statement) as copy:
            for number in range(rows):
                row = model(created_at=now, updated_at=now)
                note = model._meta.get_field("note").seal(f"first {number}", row=row.pk.bytes)
                diary = model._meta.get_field("diary").seal("", row=row.pk.bytes)
                known = {"note": bytes(note), "diary": bytes(diary)}
                copy.write_row([known.get(c, row.__dict__.get(c)) for c in columns])
                if number % 100 == 0:
                    ids.append(row.pk)
    return ids


def child(keys: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "BENCH_KEYS": " ".join(keys)}
    return subprocess.Popen([sys.executable, __file__, "rotate"], env=environment)


def main() -> int:  # noqa: PLR0915
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    old, new = ground.fresh_key("k1"), ground.fresh_key("k2")
    ground.set_up([old])
    clear, model = ground.models()
    from django.conf import settings
    from django.db import connection

    from encryption.keyring import forget
    from encryption.models import Rotation
    from encryption.rotation import rows_per_key

    field = model._meta.get_field("note")
    ground.fresh_tables(clear, model)
    Rotation.objects.all().delete()
    started = time.perf_counter()
    ids = fill(model, rows)
    print(f"{rows:,} rows written in {time.perf_counter() - started:.0f} s", flush=True)

    settings.ENCRYPTION_KEYS = [new, old]
    forget()
    stop, written = threading.Event(), [{} for _ in range(WRITERS)]

    def write(worker: int) -> None:
        mine, number = [pk for pk in ids if pk.int % WRITERS == worker], 0
        while not stop.is_set():
            row = model.objects.get(pk=random.choice(mine))
            row.note = f"writer {worker} {number}"
            row.save()
            written[worker][row.pk] = row.note
            number += 1
            time.sleep(0.002)
        connection.close()

    writers = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(WRITERS)]
    for thread in writers:
        thread.start()
    started = time.perf_counter()
    first_run = child([new, old])
    while not Rotation.objects.filter(label=field.label, rotated__gte=rows // 3).exists():
        assert first_run.poll() is None, "the rotation ended before it could be killed"
        time.sleep(0.2)
    early = peak_memory(first_run.pid)
    os.kill(first_run.pid, signal.SIGKILL)
    first_run.wait()
    at = Rotation.objects.get(label=field.label)
    print(f"\nkilled at {at.rotated:,}, finished: {at.finished_at}", flush=True)
    second_run, late = child([new, old]), 0
    while second_run.poll() is None:
        late = max(late, peak_memory(second_run.pid))
        time.sleep(0.2)
    taken = time.perf_counter() - started
    stop.set()
    for thread in writers:
        thread.join()

    held = rows_per_key(field, using="default")
    settings.ENCRYPTION_KEYS = [new]
    forget()
    lost = 0
    for worker in written:
        for pk, note in worker.items():
            lost += model.objects.get(pk=pk).note != note
    unread = sum(not note for note in model.objects.values_list("note", flat=True).iterator())
    writes = sum(len(worker) for worker in written)
    print(
        f"{rows:,} rows rotated in {taken:.0f} s ({rows / taken:,.0f}/s) beside {WRITERS} writers; "
        f"{writes:,} rows written meanwhile, {lost} lost, {unread} unread without the old key; "
        f"held: {held}; peak memory {early} MiB at a third, {late} MiB at the end"
    )
    ground.drop_tables(clear, model)
    Rotation.objects.all().delete()
    return int(bool(lost or unread) or held != {"k2": rows} or late > early * 1.2)


if __name__ == "__main__":
    sys.exit(rotate() if sys.argv[1:] == ["rotate"] else main())
