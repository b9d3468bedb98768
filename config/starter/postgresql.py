"""PostgreSQL from its wheel: loopback only, with a password, its data kept for the next start."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar

import psycopg

from config.starter import logs, private_files, unprivileged, wheels
from config.starter.failure import StartFailure
from config.starter.ports import LOOPBACK
from config.starter.server import EmbeddedServer, plain_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

ROLE = DATABASE = "garrison"
ANSWER_SECONDS = 5
INITDB_SECONDS = 300


class EmbeddedPostgreSQL(EmbeddedServer):
    """The database of a development machine.

    ``options`` are server settings for this run, such as ``{"fsync": "off"}`` for tests.
    """

    name = "PostgreSQL"
    slug: ClassVar[str] = "postgresql"
    program: ClassVar[str] = "postgres"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": ends sessions, keeps the data

    def __init__(self, var_dir: Path, *, options: Mapping[str, str] | None = None) -> None:
        """Name the folders; nothing is created before ``start()``."""
        super().__init__(var_dir)
        self.options = dict(options or {})
        self.account = unprivileged.Account()
        self.build = Path()

    def base(self) -> Path:
        """Name the folder around the data: in VAR_DIR, or, for root, the one under /var/tmp."""
        return Path(str(self.state.get("base") or self.folder))

    def home(self) -> Path:
        """Name the data folder."""
        return self.base() / "data"

    def pid_file(self) -> Path:
        """Written by PostgreSQL itself."""
        return self.home() / "postmaster.pid"

    def url(self) -> str:
        """Return the address, with the password."""
        return f"postgresql://{ROLE}:{self.password}@{LOOPBACK}:{self.port}/{DATABASE}"

    # --- Preparing --------------------------------------------------------------------------------

    def start(self) -> str:
        """Start, and make the database where it is missing."""
        super().start()
        self._make_database()
        return self.url()

    def prepare(self) -> None:
        """Choose user, folder and programs, and make the data folder where there is none."""
        self.account = unprivileged.account()
        self._choose_base()
        self.build = wheels.postgresql()
        if not unprivileged.can_run(self.build / "bin" / self.program, self.account):
            self._copy_programs()
        self._require_same_version()
        if not (self.home() / "PG_VERSION").exists():
            self._initialize()

    def _choose_base(self) -> None:
        if self.account.uid is None:
            return
        new = "base" not in self.state
        self.state["base"] = str(unprivileged.home_for(self.var_dir))
        unprivileged.make_home(self.base())
        if new:
            self._set_aside_forgotten_data()
        self.remember()

    def _set_aside_forgotten_data(self) -> None:
        """VAR_DIR was removed, and with it the password: begin anew, and delete nothing."""
        self.stop_survivor()
        if self.home().exists():
            aside = self.home().with_name(f"data-before-{time.strftime('%Y%m%dT%H%M%S')}")
            self.home().rename(aside)
            print(
                f"The data of an earlier VAR_DIR is now in {aside}; delete it if nobody needs it."
            )

    def _copy_programs(self) -> None:
        if self.account.uid is None:
            raise StartFailure(
                f"{self.build / 'bin' / self.program} cannot be run here. The wheel needs a Linux "
                "with glibc 2.28 or newer; elsewhere set DATABASE_URL to a server of your own."
            )
        self.build = unprivileged.copy_of(self.build, self.base())

    def _require_same_version(self) -> None:
        try:
            written_by = (self.home() / "PG_VERSION").read_text().strip()
        except OSError:
            return
        brought = wheels.POSTGRESQL_BUILD.removeprefix("pginstall")
        if written_by != brought:
            raise StartFailure(
                f"The data in {self.home()} was written by PostgreSQL {written_by}, and the wheel "
                f"brings {brought}. Move that folder away to begin anew, or choose another VAR_DIR."
            )

    def _initialize(self) -> None:
        """Make the data folder under another name first, so that a half-made one is never used."""
        draft = self.base() / "data.partial"
        password_file = self.base() / "password.partial"
        shutil.rmtree(draft, ignore_errors=True)
        password_file.unlink(missing_ok=True)
        private_files.make_folder(draft)
        self.account.own(draft)
        private_files.replace(password_file, self.password)
        self.account.own(password_file)
        try:
            self._run_initdb(draft, password_file)
            draft.rename(self.home())
        finally:
            password_file.unlink(missing_ok=True)
        self.remember()

    def _run_initdb(self, data: Path, password_file: Path) -> None:
        command = [
            str(self.build / "bin" / "initdb"),
            *("--pgdata", str(data)),
            *("--username", ROLE),
            *("--auth", "scram-sha-256", "--pwfile", str(password_file)),
            # PostgreSQL's own Unicode rules: the same on every machine, whatever its locales.
            *("--encoding", "UTF8", "--locale", "C"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        ]
        with logs.open_new(self.log_path) as log:
            try:
                done = subprocess.run(  # noqa: S603 - our own arguments
                    command,
                    cwd=data,
                    env=plain_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    check=False,
                    timeout=INITDB_SECONDS,
                    **self.account.launch_options(),
                )
            except (OSError, subprocess.SubprocessError) as refusal:
                raise StartFailure(f"initdb cannot be run: {refusal}.") from refusal
        if done.returncode:
            raise StartFailure(f"PostgreSQL's data folder could not be made. {self.log_tail()}")

    # --- Running ----------------------------------------------------------------------------------

    def launch(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start it as its own user, with nothing of our environment."""
        options = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
        } | self.options
        command = [str(self.build / "bin" / self.program), "-D", str(self.home())]
        command += ["-p", str(self.port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        folder = self.home() if self.account.uid is None else "/"
        return self.spawn(command, log, cwd=folder, **self.account.launch_options())

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=LOOPBACK,
            port=self.port,
            user=ROLE,
            password=self.password,
            dbname=database,
            connect_timeout=ANSWER_SECONDS,
            autocommit=True,
        )

    def is_ready(self) -> bool:
        """Return whether it lets us in with the password."""
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_database(self) -> None:
        with closing(self._connect("postgres")) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if known.fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")  # a constant of ours

    def destroy(self) -> None:
        """Stop it and delete its data; for tests, which leave nothing behind."""
        self.stop()
        if self.base() != self.folder:
            shutil.rmtree(self.base(), ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
