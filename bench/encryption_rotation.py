"""Rotation of a million rows while others write: killed, resumed, verified, the old key retired.

    python bench/encryption_rotation.py [rows]

Exit code 1 where a write was lost, a value was
left under the old key, the old key was retired too early or not at all, or memory grew.
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
import servers

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
    """The child: the command itself, over both columns of the bench's table."""
    ground.set_up(KEYS)
    ground.models()
    from django.core.management import call_command

    call_command("encryption_rotate", "--progress")
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
                diary = model._meta.get_field("diary").seal("dear diary", row=row.pk.bytes)
                known = {"note": bytes(note), "diary": bytes(diary)}
                copy.write_row([known.get(c, row.__dict__.get(c)) for c in columns])
                if number % 100 == 0:
                    ids.append(row.pk)
    return ids


def child(keys: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "BENCH_KEYS": " ".join(keys)}
    return subprocess.Popen([sys.executable, __file__, "rotate"], env=environment)


class Writers:
    """Threads that change rows all the time, and remember what they wrote last."""

    def __init__(self, model: Any, ids: list[uuid.UUID]) -> None:
        self.model, self.ids = model, ids
        self.stop = threading.Event()
        self.written: dict[uuid.UUID, str] = {}
        self.threads = [threading.Thread(target=self.write, args=(n,)) for n in range(WRITERS)]
        for thread in self.threads:
            thread.daemon = True
            thread.start()

    def write(self, worker: int) -> None:
        from django.db import connection

        mine, number = [pk for pk in self.ids if pk.int % WRITERS == worker], 0
        while not self.stop.is_set():
            row = self.model.objects.get(pk=random.choice(mine))
            row.note = f"writer {worker} {number}"
            row.save()
            self.written[row.pk] = row.note
            number += 1
            time.sleep(0.002)
        connection.close()

    def lost(self) -> int:
        return sum(self.model.objects.get(pk=pk).note != note for pk, note in self.written.items())

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def kill_at(rows: int, keys: list[str]) -> int:
    """Start a rotation, kill it when it has done so many rows; give its memory until then."""
    from encryption.models import Rotation

    run = child(keys)
    while not Rotation.objects.filter(rotated__gte=rows).exists():
        assert run.poll() is None, "the rotation ended before it could be killed"
        time.sleep(0.05)
    memory = peak_memory(run.pid)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    at = Rotation.objects.get()
    print(f"\nkilled at {at.rotated:,}, finished: {at.finished_at}", flush=True)
    return memory


def end(keys: list[str]) -> int:
    """Let a second rotation end; give its memory."""
    run, memory = child(keys), 0
    while run.poll() is None:
        memory = max(memory, peak_memory(run.pid))
        time.sleep(0.2)
    return memory


def is_retired() -> bool:
    """Retire the old key, or say why that is refused."""
    from encryption import services
    from encryption.errors import KeyInUse

    try:
        services.retire_key(key_id="k1")
    except KeyInUse as refusal:
        print(refusal, flush=True)
        return False
    return True


def use_keys(*keys: str) -> None:
    from django.conf import settings

    from encryption.keyring import keyring

    settings.ENCRYPTION_KEYS = list(keys)
    keyring.cache_clear()


def rotation_of(model: Any, ids: list[uuid.UUID], rows: int, keys: list[str]) -> bool:
    """Rotate beside writers, killed once; print what was found, and tell whether all is well."""
    from encryption.rotation import rows_per_key

    writers, started = Writers(model, ids), time.perf_counter()
    early = kill_at(rows // 3, keys)
    was_refused = not is_retired()
    late = end(keys)
    taken = time.perf_counter() - started
    writers.end()
    held = [rows_per_key(model._meta.get_field(n), using="default") for n in ("note", "diary")]
    retired = is_retired()
    use_keys(keys[0])
    lost = writers.lost()
    values = model.objects.values_list("note", "diary").iterator()
    unread = sum(not (note and diary) for note, diary in values)
    print(
        f"{rows:,} rows of two columns rotated in {taken:.0f} s ({2 * rows / taken:,.0f} values/s) "
        f"beside {WRITERS} writers; {len(writers.written):,} rows written meanwhile, {lost} lost, "
        f"{unread} unread without the old key; held: {held}; k1 retired: {retired}, not before: "
        f"{was_refused}; peak memory {early} MiB at a third, {late} MiB at the end"
    )
    is_whole = not lost and not unread and held == [{"k2": rows}] * 2
    return is_whole and retired and was_refused and late <= early * 1.2


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    old, new = servers.fresh_key("k1"), servers.fresh_key("k2")
    with ground.fresh_tables([old]) as (_, model):
        started = time.perf_counter()
        ids = fill(model, rows)
        print(f"{rows:,} rows written in {time.perf_counter() - started:.0f} s", flush=True)
        use_keys(new, old)
        return int(not rotation_of(model, ids, rows, [new, old]))


if __name__ == "__main__":
    sys.exit(rotate() if sys.argv[1:] == ["rotate"] else main())
