"""The main file of a SQLite database stays the snapshot, whatever others write and checkpoint."""

import resource
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from backups.dumpers import dumper
from backups.dumpers import sqlite as sqlite_dumper
from backups.errors import BackupBusy, BackupsRefusal, EngineUnsupported
from tests.backups import hosting

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


class Writers:
    """Move money between accounts, and checkpoint, as hard as they can; the sum stays the same."""

    def __init__(self, path):
        self.path, self.stopped, self.writes, self.failures = path, threading.Event(), 0, []
        self.threads = [threading.Thread(target=self.write) for _ in range(2)]
        self.threads.append(threading.Thread(target=self.checkpoint))

    def write(self):
        try:
            with closing(sqlite3.connect(self.path, timeout=60, isolation_level=None)) as session:
                session.execute("PRAGMA wal_autocheckpoint=5")
                while not self.stopped.is_set():
                    session.execute("BEGIN IMMEDIATE")
                    session.execute(
                        "UPDATE account SET money = money - 1 WHERE id = abs(random()) % 50"
                    )
                    taken = session.execute("SELECT changes()").fetchone()[0]
                    session.execute("UPDATE account SET money = money + ? WHERE id = 50", (taken,))
                    session.execute("COMMIT")
                    self.writes += 1
                    time.sleep(0.002)
        except sqlite3.Error as failure:
            self.failures.append(failure)

    def checkpoint(self):
        with closing(sqlite3.connect(self.path, timeout=0.1, isolation_level=None)) as session:
            while not self.stopped.is_set():
                for kind in ("PASSIVE", "FULL", "RESTART", "TRUNCATE"):
                    with suppress(sqlite3.OperationalError):  # locked; that is the point
                        session.execute(f"PRAGMA wal_checkpoint({kind})").fetchone()
                    time.sleep(0.1)  # all but the first shut writers out while they wait

    def require_going_on(self, writes):
        """Wait until they have written; with a log they do so while a backup reads."""
        deadline = time.monotonic() + 30
        while self.writes < writes + 5:
            assert time.monotonic() < deadline, "the writers are held up"
            time.sleep(0.01)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def bank(site):
    site.script(
        "CREATE TABLE account (id integer PRIMARY KEY, money integer, pad text);"
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 50)"
        " INSERT INTO account SELECT i, 1000, hex(randomblob(2000)) FROM n;"
    )
    return site


def copy_of(dump, path):
    with dump.stream() as program, path.open("wb") as out:
        while chunk := program.read(4096):
            out.write(chunk)
            time.sleep(0.0005)  # give the writers time to get at it


def sha256_of(path):
    """In a process of its own: to open and close it here would drop this process's locks on it."""
    told = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True)
    return told.stdout.split()[0]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_snapshot_is_consistent_under_writers_and_checkpoints(bank, tmp_path, mode):
    bank.script(f"PRAGMA journal_mode={mode}")
    with Writers(bank.database) as writers:
        for number in range(4):
            with dumper("source") as dump:
                before = sha256_of(bank.database)
                state = dump.describe()
                writes = writers.writes
                writers.require_going_on(writes)
                copy_of(dump, tmp_path / f"copy-{number}")
                after = sha256_of(bank.database)
            if mode == "wal":
                assert before == after, "the main file does not change while the snapshot is held"
            assert not list(Path(bank.database).parent.glob(".garrison-*"))
            with closing(sqlite3.connect(tmp_path / f"copy-{number}")) as found:
                assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                assert found.execute("SELECT sum(money) FROM account").fetchone() == (51_000,)
                rows = found.execute("SELECT count(*) FROM account").fetchone()[0]
            assert {t.name: t.rows for t in state.tables}["account"] == rows
    assert writers.failures == []


def test_stock_settings_back_up_the_database_that_holds_the_index(engine, new_host):
    """Django's default has no log: a reader that stays keeps our own lease and progress out."""
    host = new_host(HOST_STOCK_SQLITE="1", HOST_LEASE_SECONDS="4")
    hosting.fill(host, engine)
    assert host.sql("PRAGMA journal_mode") == [("delete",)]
    host.run("backup_create")
    host.run("backup_verify")
    name = hosting.database_of(host)
    host.sql("DELETE FROM bulk")
    host.run("backup_restore", "--yes", "--confirm-database", name)
    assert host.sql("SELECT count(*) FROM bulk") == [(hosting.ROWS,)]
    assert len(host.good()) == 2


def test_a_copy_that_finds_no_room_is_refused_and_leaves_nothing(bank):
    """The limit of the file size is a full disk's likeness; see ``test_catastrophes``."""
    bank.script("PRAGMA journal_mode=delete")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
    try:
        with pytest.raises(BackupsRefusal, match="journal_mode=WAL"), dumper("source"):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(Path(bank.database).parent.glob(".garrison-*"))
    bank.execute("UPDATE account SET money = 1 WHERE id = 1")


def test_a_reader_that_never_ends_is_told_instead_of_waited_for(bank, monkeypatch):
    monkeypatch.setattr(sqlite_dumper, "PATIENCE_SECONDS", 0.3)
    with closing(sqlite3.connect(bank.database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM account").fetchone()
        bank.execute("UPDATE account SET money = 1 WHERE id = 1")
        with pytest.raises(BackupBusy, match="reading"), dumper("source"):
            pass


def test_commits_that_are_still_in_the_log_are_in_the_backup(bank, tmp_path):
    with closing(sqlite3.connect(bank.database, isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        for number in range(300):
            writer.execute("INSERT INTO account VALUES (?, 0, '')", (1000 + number,))
        assert Path(f"{bank.database}-wal").stat().st_size > 0
        with dumper("source") as dump:
            copy_of(dump, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy")) as found:
        assert found.execute("SELECT count(*) FROM account").fetchone() == (351,)


def test_a_database_in_memory_is_refused(site):
    from django.db import connections

    connections["source"].settings_dict["NAME"] = "file:memorydb?mode=memory&cache=shared"
    with pytest.raises(EngineUnsupported, match="in memory"):
        dumper("source")
