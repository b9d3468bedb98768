"""A site with keys, targets, files and a source database of its own, on both engines."""

from __future__ import annotations

import os
import random
import secrets
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pyrage import x25519

from backups import keys, opening, services, targets, tasks
from backups.dumpers.connection import connect
from backups.models import Backup
from backups.opening import OpenedBackup
from garrison import drills as registry
from tests.backups import hosting
from tests.backups.rich import schema

MARKER = "plain-text-marker-7f3a"  # must never be found on a target


@pytest.fixture
def installed() -> Iterator[Callable[[datetime], None]]:
    """Let the app have been installed at another time; no flush undoes what Django noted of it."""
    rows = MigrationRecorder.Migration.objects.filter(app="backups")
    before = dict(rows.values_list("pk", "applied"))

    def move(at: datetime) -> None:
        rows.update(applied=at)

    yield move
    for key, applied in before.items():
        rows.filter(pk=key).update(applied=applied)


@dataclass
class Site:
    """What a test needs to know of the project it stands in."""

    root: Path
    settings: Any
    engine: str
    identity_file: Path
    recipient: str
    database: str = ""
    names: list[str] = field(default_factory=list)

    @property
    def media(self) -> Path:
        return self.root / "media"

    @property
    def target(self) -> Path:
        return self.root / "backups"

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.media / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def back_up(self, **options: Any) -> Backup:
        return services.backup_now(now=timezone.now(), **options)

    def open(self, backup: Backup, target: str = "backups") -> OpenedBackup:
        found = targets.target(target)
        return opening.open_backup(found, backup.folder, keys.identities())

    def execute(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run one statement in the source database, outside of Django."""
        if self.engine == "sqlite":
            with closing(sqlite3.connect(self.database, timeout=30)) as session, session:
                return session.execute(statement, parameters).fetchall()
        with connect("source") as session:
            found = session.execute(statement, parameters or None)
            return found.fetchall() if found.description else []

    def script(self, text: str) -> None:
        """Run several statements."""
        if self.engine == "sqlite":
            with closing(sqlite3.connect(self.database)) as session, session:
                session.executescript(text)
            return
        with connect("source") as session:
            session.execute(text)

    def add_file_storage(self) -> None:
        """Have the files of a second storage backed up, which holds one."""
        other = storages(self.root)["default"] | {"OPTIONS": {"location": self.root / "other"}}
        self.settings.STORAGES = storages(self.root, other=other)
        self.settings.BACKUPS_FILE_STORAGES = ["default", "other"]
        (self.root / "other").mkdir()
        (self.root / "other" / "x").write_text("x")

    def empty(self) -> None:
        """Begin again with an empty source database, as on a new machine."""
        if self.engine == "sqlite":
            for path in Path(self.database).parent.glob(Path(self.database).name + "*"):
                path.unlink()
            return
        recreate(self.database)


def recreate(name: str) -> None:
    with connect("default", database="postgres") as session:
        session.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        session.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')


def storages(root: Path, **more: dict[str, Any]) -> dict[str, Any]:
    files = "django.core.files.storage.FileSystemStorage"
    return {
        "default": {
            "BACKEND": "backups.deletions.PatientFileSystemStorage",
            "OPTIONS": {"location": root / "media"},
        },
        "backups": {"BACKEND": files, "OPTIONS": {"location": root / "backups"}},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
        **more,
    }


@pytest.fixture(scope="session")
def key_pair() -> tuple[str, str]:
    return keys.generate()


@pytest.fixture(scope="session", autouse=True)
def _no_host_is_left() -> Iterator[None]:
    """Remove the databases that hosts in processes of their own were copied from."""
    yield
    hosting.forget_kept()


def engines() -> list[str]:
    """Return the engines that are backed up; ``BACKUPS_ENGINES`` leaves one to another run."""
    present = ["postgresql", "sqlite"] if _is_postgresql() else ["sqlite"]
    wanted = os.environ.get("BACKUPS_ENGINES", " ".join(present)).split()
    return [engine for engine in present if engine in wanted]


def _is_postgresql() -> bool:
    return os.environ["DATABASE_URL"].startswith("postgres")


@pytest.fixture(params=engines())
def engine(request: pytest.FixtureRequest) -> str:
    if request.param not in engines():
        pytest.skip(f"{request.param} is backed up in another run of the suite")
    return str(request.param)


@pytest.fixture
def site(  # noqa: PLR0917 - fixtures are arguments
    engine: str,
    tmp_path: Path,
    settings: Any,
    key_pair: tuple[str, str],
    transactional_db: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    """A source database with one small table, two files, one target, and a key."""
    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", _allow_made_up_aliases())
    identity, recipient = key_pair
    identity_file = tmp_path / "identity.txt"
    identity_file.write_text(identity)
    identity_file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    settings.STORAGES = storages(tmp_path)
    settings.BACKUPS_RECIPIENTS = [recipient]
    settings.BACKUPS_IDENTITY_FILE = str(identity_file)
    settings.BACKUPS_DATABASES = ["source"]
    settings.BACKUPS_REQUIRE_FRESH = ""
    site = Site(tmp_path, settings, engine, identity_file, recipient)
    site.media.mkdir()
    # What the apps bring is for their own tables, which a source database here does not have.
    with registry.DRILLS.temporarily(), _source(site):
        site.script(
            "CREATE TABLE note (id integer PRIMARY KEY, text varchar(200));"
            f"INSERT INTO note VALUES (1, '{MARKER}'), (2, 'two'), (3, 'drei ß');"
        )
        site.write("one.txt", f"{MARKER} in a file")
        site.write("deep/er/two.bin", bytes(range(256)) * 40)
        yield site


def _allow_made_up_aliases() -> Any:
    """Django's test case refuses aliases that settings do not have; the test makes ours."""
    guarded = BaseDatabaseWrapper.ensure_connection

    def ensure_connection(self: BaseDatabaseWrapper) -> None:
        if self.alias == "default":
            guarded(self)
        elif self.connection is None:
            with self.wrap_database_errors:
                self.connect()

    return ensure_connection


class _source:  # noqa: N801 - reads as what it is
    """Make the alias ``source`` known to Django, on a database of this test alone."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __enter__(self) -> None:
        fields = dict(connections["default"].settings_dict)
        fields["CONN_MAX_AGE"] = 0
        if self._site.engine == "sqlite":
            self._site.database = str(self._site.root / "source.sqlite3")
            fields |= {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}}
            fields["NAME"] = self._site.database
            with closing(sqlite3.connect(self._site.database)) as made:
                made.execute("PRAGMA journal_mode=WAL")
        else:
            self._site.database = f"bak_test_{secrets.token_hex(6)}"
            recreate(self._site.database)
            fields["NAME"] = self._site.database
        connections.databases["source"] = fields

    def __exit__(self, *_: object) -> None:
        connections["source"].close()
        del connections["source"]
        del connections.databases["source"]
        if self._site.engine == "postgresql":
            with connect("default", database="postgres") as session:
                session.execute(f'DROP DATABASE IF EXISTS "{self._site.database}" WITH (FORCE)')


@pytest.fixture
def new_host(
    engine: str, tmp_path: Path, key_pair: tuple[str, str]
) -> Iterator[Callable[..., hosting.Host]]:
    """Make a host in processes of its own, with more in their environment."""
    identity, recipient = key_pair
    path = tmp_path / "host-identity.txt"
    path.touch(mode=0o600)
    path.write_text(identity)
    made: list[hosting.Host] = []

    def make(**more: str) -> hosting.Host:
        made.append(hosting.migrated(tmp_path, recipient, path, engine, **more))
        return made[-1]

    yield make
    for each in made:
        hosting.drop(each)


@pytest.fixture
def host(new_host: Callable[..., hosting.Host], engine: str) -> hosting.Host:
    """Make one with rows and files that take a moment to back up."""
    made = new_host()
    hosting.fill(made, engine)
    return made


@pytest.fixture
def rich(site: Site) -> Site:
    """Every type, large objects, sequences, many-to-many, hostile names."""
    site.script(schema(site.engine))
    return site


@pytest.fixture
def bulky(site):
    """A backup of several 64 KiB chunks in every kind of part."""
    blob = (
        "randomblob(3000)" if site.engine == "sqlite" else "decode(repeat(md5(i::text), 90), 'hex')"
    )
    rows = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)"
        f" INSERT INTO bulk SELECT i, {blob} FROM n"
        if site.engine == "sqlite"
        else f"INSERT INTO bulk SELECT i, {blob} FROM generate_series(1, 150) AS i"
    )
    kind = "blob" if site.engine == "sqlite" else "bytea"
    site.script(f"CREATE TABLE bulk (id integer, raw {kind}); {rows};")
    site.write("big.bin", random.Random(1).randbytes(5 * 64 * 1024 + 17))
    site.backup = site.back_up()
    return site


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was handed to workers; the tests run it themselves."""
    found: list[str] = []
    monkeypatch.setattr(tasks.work_off, "delay", lambda: found.append("work_off"))
    monkeypatch.setattr(tasks.verify, "delay", lambda pk: found.append(f"verify {pk}"))
    return found


@pytest.fixture
def identities(key_pair: tuple[str, str]) -> list[x25519.Identity]:
    line = key_pair[0].splitlines()[-1]
    return [x25519.Identity.from_str(line)]


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative name."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
