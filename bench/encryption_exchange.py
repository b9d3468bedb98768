"""Columns exchanged and rotated beside writers, killed all the time: no committed value is wrong.

    python bench/encryption_exchange.py [rows] [kills] [seconds]

Four processes write plain UPDATE, INSERT and DELETE against two tables (a UUID key, an integer key)
and keep what the database confirmed, while ``migrate`` with EncryptField, then
``encryption_rotate``, then ``migrate`` with DecryptField are killed (SIGKILL), each within so many
seconds and so many times, and resumed. Exit code 1 where one value differs, or anything is left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import servers

ROWS, KILLS, SECONDS, WRITERS = 200_000, 10, 5.0, 4
BATCH = 500  # small batches: more moments to be killed in
TABLES = ("bed", "cot")

MODELS = """
import uuid
from django.db import models
from encryption.fields import Encrypted, RowSalt

class Bed(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    note = Encrypted(models.TextField())

class Cot(models.Model):
    row_salt = RowSalt()
    note = Encrypted(models.TextField())
"""
MIGRATION = """
import uuid
from django.db import migrations, models
from encryption.fields import Encrypted, RowSalt
from encryption.operations import DecryptField, EncryptField

class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [{before}]
    operations = [{operation}]
"""
NOTE = "models.TextField()"
MIGRATIONS = {
    "0001_bed": "migrations.CreateModel('Bed', [('id', models.UUIDField(primary_key=True)), "
    f"('note', {NOTE})])",
    "0002_cot": "migrations.CreateModel('Cot', [('id', models.BigAutoField(primary_key=True)), "
    f"('note', {NOTE})])",
    "0003_salt": "migrations.AddField('cot', 'row_salt', RowSalt(null=True, default=None))",
    "0004_cot": f"EncryptField('cot', 'note', Encrypted({NOTE}), rows_per_batch={BATCH})",
    "0005_salt": "migrations.AlterField('cot', 'row_salt', RowSalt())",
    "0006_bed": f"EncryptField('bed', 'note', Encrypted({NOTE}), rows_per_batch={BATCH})",
    "0007_cot": f"DecryptField('cot', 'note', {NOTE}, rows_per_batch={BATCH})",
    "0008_bed": f"DecryptField('bed', 'note', {NOTE}, rows_per_batch={BATCH})",
}


def write_project(folder: Path) -> None:
    """Write the app whose columns are exchanged."""
    (folder / "ward" / "migrations").mkdir(parents=True)
    for package in ("ward", "ward/migrations"):
        (folder / package / "__init__.py").touch()
    (folder / "ward" / "models.py").write_text(MODELS)
    before = ""
    for name, operation in MIGRATIONS.items():
        source = MIGRATION.format(
            before=before, operation=operation, atomic="crypt" not in operation
        )
        (folder / "ward" / "migrations" / f"{name}.py").write_text(source)
        before = f"('ward', '{name}')"


def set_up() -> None:
    import dj_database_url
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="the secret key of the drill, and of nothing else",
        INSTALLED_APPS=["garrison", "encryption", "ward"],
        DATABASES={"default": dj_database_url.parse(os.environ["DATABASE_URL"])},
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        ENCRYPTION_KEYS=os.environ["DRILL_KEYS"].split(),
        LOGGING_CONFIG=None,
    )
    django.setup()


# --- writers --------------------------------------------------------------------------------------


class Writer:
    """One process; it knows what the database confirmed for each of its own rows."""

    def __init__(self, book: Path, *, is_sealing: bool) -> None:
        from ward.models import Bed, Cot

        self.fields = {m._meta.model_name: m._meta.get_field("note") for m in (Bed, Cot)}
        self.book, self.is_sealing = book, is_sealing
        self.kept: dict[str, dict[str, Any]] = json.loads(book.read_text())
        self.keys = {table: list(self.kept[table]) for table in TABLES}
        self.counts = {"confirmed": 0, "refused": 0}

    def run(self, stop: Path) -> None:
        from django.db import Error

        parent = os.getppid()
        while not stop.exists() and os.getppid() == parent:
            table = random.choice(TABLES)
            try:
                done = self._transaction(table) if random.random() < 0.1 else self._write(table)
            except Error:  # the other release's column: refused, so nothing is confirmed
                self.counts["refused"] += 1
                time.sleep(0.005)
                continue
            self.keys[table] += [pk for pk in done if pk not in self.kept[table]]
            self.kept[table].update(done)
            self.counts["confirmed"] += len(done)
        self.book.write_text(json.dumps(self.kept | {"counts": self.counts}))

    def _transaction(self, table: str) -> dict[str, Any]:
        from django.db import transaction

        done: dict[str, Any] = {}
        with transaction.atomic():
            done |= self._write(table)
            with transaction.atomic():
                done |= self._write(table, known=done)
            time.sleep(random.random() * 0.02)
        return done

    def _write(self, table: str, known: dict[str, Any] | None = None) -> dict[str, Any]:
        chance, pk = random.random(), random.choice(self.keys[table])
        held = (known or {}).get(pk, self.kept[table].get(pk))
        if chance < 0.1 or held is None:
            return self._insert(table)
        return self._change(table, pk, held, is_deleted=chance > 0.9)

    def _change(self, table: str, pk: str, held: Any, *, is_deleted: bool) -> dict[str, Any]:
        from django.db import connection

        row, text = held[0], None if is_deleted else f"{pk} {uuid.uuid4()}"
        with connection.cursor() as cursor:
            if text is None:
                cursor.execute(f"DELETE FROM ward_{table} WHERE id = %s", [pk])
                return {pk: None}
            cursor.execute(
                f"UPDATE ward_{table} SET note = %s WHERE id = %s",
                [self._note(table, text, row), pk],
            )
        return {pk: [row, text]}

    def _insert(self, table: str) -> dict[str, Any]:
        from django.db import connection

        row, text = str(uuid.uuid4()), f"new {uuid.uuid4()}"
        values = {"note": self._note(table, text, row)}
        if table == "bed":
            values["id"] = row
        elif self.is_sealing:
            values["row_salt"] = row
        names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO ward_{table} ({names}) VALUES ({marks}) RETURNING id",
                list(values.values()),
            )
            return {str(cursor.fetchone()[0]): [row, text]}

    def _note(self, table: str, text: str, row: str) -> Any:
        return self.fields[table].seal(text, row=uuid.UUID(row).bytes) if self.is_sealing else text


# --- the drill ------------------------------------------------------------------------------------


class Drill:
    """The tables, the books of their writers, and what is killed."""

    def __init__(self, folder: Path, rows: int, kills: int, seconds: float) -> None:
        self.folder, self.kills, self.seconds = folder, kills, seconds
        self.books = [folder / f"writer-{n}.json" for n in range(WRITERS)]
        kept: list[dict[str, Any]] = [{name: {} for name in TABLES} for _ in self.books]
        from django.db import connection

        with connection.cursor() as cursor:
            for number in range(rows):
                row, text = str(uuid.uuid4()), f"first {number}"
                mine = kept[number % WRITERS]
                mine["bed"][row], mine["cot"][str(number + 1)] = [row, text], [row, text]
            for mine in kept:
                beds = [(pk, text) for pk, (_, text) in mine["bed"].items()]
                cots = [(int(pk), text) for pk, (_, text) in mine["cot"].items()]
                for table, values in (("bed", beds), ("cot", cots)):
                    with cursor.copy(f"COPY ward_{table} (id, note) FROM STDIN") as copy:
                        for value in values:
                            copy.write_row(value)
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('ward_cot', 'id'), %s)", [rows + 1]
            )
        for book, mine in zip(self.books, kept, strict=True):
            book.write_text(json.dumps(mine))

    def phase(self, name: str, command: list[str], *, is_sealing: bool) -> bool:
        """Run a command to its end beside writers, killed on the way; compare every value."""
        stop, started = self.folder / "stop", time.monotonic()
        stop.unlink(missing_ok=True)
        mode = "sealed" if is_sealing else "clear"
        writers = [self._child("write", str(book), str(stop), mode) for book in self.books]
        time.sleep(0.5)
        try:
            killed = self._to_the_end(command)
        finally:
            stop.touch()
        ended = [writer.wait() for writer in writers]
        books = [json.loads(book.read_text()) for book in self.books]
        wrong = self._wrong(books)
        counts = {
            key: sum(book["counts"][key] for book in books) for key in ("confirmed", "refused")
        }
        print(
            f"{name}: killed {killed} times in {time.monotonic() - started:.0f} s beside "
            f"{WRITERS} writers; {counts['confirmed']:,} changes confirmed, "
            f"{counts['refused']:,} refused; {wrong} values wrong",
            flush=True,
        )
        return not wrong and not any(ended)

    def learn_salts(self) -> None:
        """Write down the salts that the exchange made, for writers that seal."""
        from ward.models import Cot

        salts = {str(pk): str(salt) for pk, salt in Cot.objects.values_list("pk", "row_salt")}
        for book in self.books:
            kept = json.loads(book.read_text())
            cots = kept["cot"].items()
            kept["cot"] = {pk: held and [salts[pk], held[1]] for pk, held in cots}
            book.write_text(json.dumps(kept))

    def _to_the_end(self, command: list[str]) -> int:
        for killed in range(self.kills):
            name = f"drill-{uuid.uuid4()}"
            child = self._child(*command, name=name)
            self._await_session(name, child)
            time.sleep(random.random() * self.seconds)
            if child.poll() is not None:
                assert child.returncode == 0, command
                return killed
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        assert self._child(*command).wait() == 0, command
        return self.kills

    def _await_session(self, name: str, child: subprocess.Popen[bytes]) -> None:
        from django.db import connection

        statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        while child.poll() is None:
            with connection.cursor() as cursor:
                cursor.execute(statement, [name])
                if cursor.fetchone()[0]:
                    return
            time.sleep(0.01)

    def _child(self, *arguments: str, name: str = "drill") -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PGAPPNAME": name}
        return subprocess.Popen([sys.executable, __file__, *arguments], env=environment)

    def _wrong(self, books: list[dict[str, Any]]) -> int:
        """Count the rows that are not what a writer was told, and columns that are left over."""
        from django.db import connection
        from ward.models import Bed, Cot

        wrong = 0
        for model in (Bed, Cot):
            table = model._meta.db_table
            expected = {
                pk: held[1]
                for book in books
                for pk, held in book[model._meta.model_name].items()
                if held is not None
            }
            with connection.cursor() as cursor:
                described = connection.introspection.get_table_description(cursor, table)
                columns = {column.name: column.type_code for column in described}
                wrong += sum(name.endswith("_exchanged") for name in columns)
                cursor.execute("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
                wrong += cursor.fetchone()[0]
                if columns["note"] == 25:  # PostgreSQL's text
                    cursor.execute(f"SELECT id, note FROM {table}")
                    found = {str(pk): note for pk, note in cursor.fetchall()}
                else:
                    pairs = model.objects.values_list("pk", "note").iterator()
                    found = {str(pk): note for pk, note in pairs}
            wrong += sum(found.get(pk) != expected.get(pk) for pk in {*found, *expected})
        return wrong


def drill(rows: int, kills: int, seconds: float) -> int:
    with tempfile.TemporaryDirectory() as scratch, servers.fresh_servers(Path(scratch)):
        folder = Path(scratch)
        write_project(folder)
        sys.path.insert(0, scratch)
        old, new = servers.fresh_key("k1"), servers.fresh_key("k2")
        os.environ |= {"PYTHONPATH": f"{scratch}:{servers.ROOT}", "DRILL_KEYS": old}
        set_up()
        from django.core.management import call_command

        call_command("migrate", "encryption", verbosity=0)
        call_command("migrate", "ward", "0002", verbosity=0)
        one = Drill(folder, rows, kills, seconds)
        is_whole = one.phase("encrypt", ["migrate", "0006"], is_sealing=False)
        os.environ["DRILL_KEYS"] = f"{new} {old}"
        from django.conf import settings

        from encryption.keyring import keyring

        settings.ENCRYPTION_KEYS = [new, old]
        keyring.cache_clear()
        one.learn_salts()
        is_whole &= one.phase("rotate", ["rotate"], is_sealing=True)
        is_whole &= one.phase("decrypt", ["migrate", "0008"], is_sealing=True)
    return int(not is_whole)


def main() -> int:
    match sys.argv[1:]:
        case ["migrate", target]:
            set_up()
            from django.core.management import call_command

            call_command("migrate", "ward", target, verbosity=0)
        case ["rotate"]:
            set_up()
            from django.core.management import call_command

            call_command("encryption_rotate", "--batch", str(BATCH), stdout=sys.stderr)
        case ["write", book, stop, mode]:
            set_up()
            Writer(Path(book), is_sealing=mode == "sealed").run(Path(stop))
        case numbers:
            given = [float(number) for number in numbers]
            rows, kills, seconds = [*given, *(ROWS, KILLS, SECONDS)[len(given) :]]
            return drill(int(rows), int(kills), seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
