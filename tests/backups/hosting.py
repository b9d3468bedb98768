"""A host project in processes of its own, so that they can be killed."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[2]
MARKER = "plain-text-marker-91bc"
ROWS = int(os.environ.get("BACKUPS_KILL_ROWS", "40000"))


def server() -> str:
    """Return the address of the suite's PostgreSQL, without a database."""
    return os.environ["DATABASE_URL"].rpartition("/")[0]


@dataclass
class Host:
    """One host: its database, its folders, its key."""

    root: Path
    url: str
    recipient: str
    identity_file: Path
    target: Path
    more: dict[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/backups/host'}",
            "DJANGO_SETTINGS_MODULE": "backups_host_settings",
            "HOST_VAR": str(self.root),
            "HOST_TARGET": str(self.target),
            "HOST_DATABASE_URL": self.url,
            "HOST_RECIPIENTS": self.recipient,
            "HOST_IDENTITY_FILE": str(self.identity_file),
            "TMPDIR": str(self.root / "tmp"),
            **self.more,
            **more,
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "django", *arguments],
            env=self.environment(**options.pop("environment", {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            **options,
        )

    def run(self, *arguments: str, code: int = 0, **options: Any) -> str:
        program = self.start(*arguments, **options)
        out, err = program.communicate(timeout=120)
        assert program.returncode == code, f"{arguments}: {program.returncode}\n{out}\n{err}"
        return out if code == 0 else err

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        if self.url.startswith("sqlite"):
            import sqlite3
            from contextlib import closing

            with (
                closing(sqlite3.connect(self.url.removeprefix("sqlite://"), timeout=30)) as session,
                session,
            ):
                return session.execute(statement).fetchall()
        with psycopg.connect(self.url, autocommit=True) as session:
            found = session.execute(statement)
            return found.fetchall() if found.description else []

    def good(self) -> dict[str, str]:
        """Return the folders of the backups that are listed as good."""
        listed = json.loads(self.run("backup_list", "--json"))
        return {row["folder"]: row["id"] for row in listed["backups"]}

    def expire_lease(self) -> None:
        """Let the time pass after which a dead run's lease is free."""
        self.sql("UPDATE backups_lease SET expires_at = '2000-01-01 00:00:00+00'")

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.target)): path.read_bytes()
            for path in sorted(self.target.rglob("*"))
            if path.is_file()
        }

    def plain_text(self) -> list[str]:
        """Name what holds plain text outside of the media folder and the database itself."""
        suspects = [*self.target.rglob("*"), *(self.root / "tmp").rglob("*")]
        return [str(p) for p in suspects if p.is_file() and MARKER.encode() in p.read_bytes()]


def on_server(statement: str) -> None:
    with psycopg.connect(f"{server()}/postgres", autocommit=True) as session:
        session.execute(statement)


def migrated(root: Path, recipient: str, identity_file: Path, engine: str, **more: str) -> Host:
    """Make a host with its tables, and with more in the environment of its processes.

    Hosts of one kind are copies of one that was migrated: a process that migrates takes seconds.
    """
    (root / "tmp").mkdir()
    host = Host(root, "", recipient, identity_file, root / "backups", more)
    kind = (engine, *sorted(more.items()))
    known = _migrated.get(kind)
    host.url = _database(root, engine, copy_of=known)
    if known is None:
        host.run("migrate", "--run-syncdb", "--verbosity=0")
        _migrated[kind] = _kept(host, engine)
    return host


_migrated: dict[tuple[Any, ...], str] = {}  # a database, or the folder of a file, by kind


def _database(root: Path, engine: str, *, copy_of: str | None) -> str:
    """Make a database, empty or a copy, and give its address."""
    if engine == "sqlite":
        for path in Path(copy_of).iterdir() if copy_of else ():
            shutil.copy(path, root)
        return f"sqlite://{root / 'host.sqlite3'}"
    name = f"bak_host_{secrets.token_hex(6)}"
    on_server(f'CREATE DATABASE "{name}" TEMPLATE "{copy_of or "template0"}"')
    return f"{server()}/{name}"


def _kept(host: Host, engine: str) -> str:
    """Keep a copy of a host's database for others of its kind."""
    if engine == "sqlite":
        folder = tempfile.mkdtemp(prefix="bak-hosts-")
        for path in host.root.glob("host.sqlite3*"):
            shutil.copy(path, folder)
        return folder
    name = f"bak_hosts_{secrets.token_hex(6)}"
    on_server(f'CREATE DATABASE "{name}" TEMPLATE "{database_of(host)}"')
    return name


def forget_kept() -> None:
    """Remove the copies; at the end of a run."""
    for (engine, *_), kept in _migrated.items():
        if engine == "sqlite":
            shutil.rmtree(kept)
        else:
            on_server(f'DROP DATABASE IF EXISTS "{kept}" WITH (FORCE)')
    _migrated.clear()


def fill(host: Host, engine: str) -> None:
    for number in range(20):
        path = host.root / "media" / f"{number % 3}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{MARKER} {number}" * 5000)
    host.sql("CREATE TABLE bulk (id integer, text text)")
    if engine == "postgresql":
        host.sql(
            f"INSERT INTO bulk SELECT i, '{MARKER} ' || repeat(md5(i::text), 10)"
            f" FROM generate_series(1, {ROWS}) AS i"
        )
    else:
        host.sql(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
            f" INSERT INTO bulk SELECT i, '{MARKER} ' || hex(randomblob(150)) FROM n"
        )


def make_empty(host: Host) -> None:
    """Begin again with an empty database, as on a new machine."""
    if host.url.startswith("sqlite"):
        for path in host.root.glob("host.sqlite3*"):
            path.unlink()
        return
    name = host.url.rpartition("/")[2]
    on_server(f'DROP DATABASE "{name}" WITH (FORCE)')
    on_server(f'CREATE DATABASE "{name}" TEMPLATE template0')


def database_of(host: Host) -> str:
    """Return the name that an operator has to type."""
    return host.url.rpartition("/")[2]


def drop(host: Host) -> None:
    if not host.url.startswith("sqlite"):
        on_server(f'DROP DATABASE IF EXISTS "{host.url.rpartition("/")[2]}" WITH (FORCE)')
