"""``python -m config.starter`` from start to Ctrl-C, as ``make run`` calls it."""

import http.client
import json
import os
import pty
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from dotenv import dotenv_values

from config.starter import ports, processes, unprivileged

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90
STOP_SECONDS = 45


class Site:
    """A site of the test's own: folder, port, and what its runs said."""

    def __init__(self, folder):
        self.folder = folder
        self.var = folder / "var"
        self.port = ports.free_port()
        self.runs = []

    def environment(self):
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return kept | {
            "GARRISON_ENV_FILE": str(self.folder / ".env"),
            "VAR_DIR": str(self.var),
            "PORT": str(self.port),
            "WEB_WORKERS": "1",
        }

    def run(self, **told):
        """Begin a run in a session of its own, as a terminal would."""
        run = subprocess.Popen(
            [sys.executable, "-m", "config.starter"],
            cwd=ROOT,
            env=self.environment() | told,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.runs.append(run)
        return run

    def started(self, **told):
        """Run, and read until the site is up; returns the run and what it has said."""
        run = self.run(**told)
        said = []
        for line in run.stdout:
            said.append(line)
            if "Ctrl-C stops everything" in line:
                return run, "".join(said)
        pytest.fail("The site did not start:\n" + "".join(said))

    def get(self, path):
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as line:
            line.request("GET", path, headers={"Host": "localhost"})
            answer = line.getresponse()
            return answer.status, answer.read()

    def pid(self, slug):
        return json.loads((self.var / "run" / f"{slug}.json").read_text())["pid"]

    def processes(self):
        """Return every living process that works for this site, found by what was told to it."""
        traces = (str(self.var), str(unprivileged.home_for(self.var)))
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                is_zombie = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if not is_zombie and any(os.fsencode(trace) in known for trace in traces):
                found[int(entry.name)] = known.partition(b"\0")[0].decode()
        return found

    def clear(self):
        """Leave nothing of any run."""
        for run in self.runs:
            run.kill()
            run.wait()
            run.stdout.close()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        subprocess.run(["rm", "-rf", str(unprivileged.home_for(self.var))], check=True)


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.clear()


def interrupt(run):
    """Press Ctrl-C: the terminal sends it to the whole foreground group."""
    os.killpg(run.pid, signal.SIGINT)
    said = run.stdout.read()
    return run.wait(timeout=STOP_SECONDS), said


@pytest.mark.slow
def test_a_site_starts_survives_kills_keeps_its_data_and_stops_with_one_ctrl_c(site):
    """One long walk, because each start takes seconds."""
    _, said = site.started(GARRISON_ADMIN_EMAIL="first@example.com")
    assert site.get("/health/ready")[0] == 200
    assert f"http://127.0.0.1:{site.port}" in said
    password = re.search(r"Password: +(\S+) +\(shown this once\)", said)[1]
    assert "first@example.com" in said
    secrets = [v for n, v in dotenv_values(site.folder / ".env").items() if "IDENTITY" not in n]
    assert len(secrets) == 9
    assert not [secret for secret in secrets if secret in said]
    addresses = dotenv_values(site.var / "servers.env")
    assert addresses.pop("GARRISON_ENV") == "development"
    assert not [url for url in addresses.values() if url in said]
    kept = site.processes()
    roles = " ".join(kept.values())
    assert len(kept) >= 6, kept  # the starter, two servers, and three processes of the site
    assert "postgres" in roles
    assert "valkey-server" in roles
    with psycopg.connect(addresses["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept ()")
    logs = "".join(p.read_text(errors="replace") for p in (site.var / "log").iterdir())
    assert password not in logs
    assert not [secret for secret in secrets if secret in logs]

    the_walk_of_the_readme_works(site)
    the_demo_is_answered_as_expected(site)
    a_second_run_is_refused(site)
    manage_py_finds_the_site(site)
    at_a_terminal_a_command_is_silent_about_events(site)

    # The starter is killed: everything it started lives on, until the next run.
    os.kill(site.runs[0].pid, signal.SIGKILL)
    site.runs[0].wait()
    for slug in ("web", "worker", "beat"):
        assert processes.birth(site.pid(slug))
    manage_py_finds_the_site(site)
    another_folder_s_run_is_told_who_holds_the_port(site)
    again, said = site.started(GARRISON_ADMIN_EMAIL="second@example.com")
    assert "Stopped the web server of an earlier run" in said
    assert "Administrator" not in said
    assert "Password" not in said
    assert site.get("/health/ready")[0] == 200
    addresses = dotenv_values(site.var / "servers.env")
    assert addresses.pop("GARRISON_ENV") == "development"
    with psycopg.connect(addresses["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)

    a_dead_valkey_comes_back(site, again)
    assert dotenv_values(site.var / "servers.env").items() >= addresses.items()

    code, said = interrupt(again)
    assert code == 0, said
    assert "Stopping" in said
    assert "Traceback" not in said
    assert site.processes() == {}
    assert not (site.var / "servers.env").exists()
    assert (site.var / "run").stat().st_mode & 0o777 == 0o700


def the_walk_of_the_readme_works(site):
    readme = (ROOT / "README.md").read_text()
    (walk,) = re.findall(r"## A walk with curl\n+```sh\n(.*?)```", readme, re.DOTALL)
    there = f"site=http://127.0.0.1:{site.port} mail={site.var / 'mail'}"
    assert walk.startswith("site=http://127.0.0.1:8000 mail=var/mail\n")
    walked = subprocess.run(
        ["sh", "-eu", "-c", "\n".join([there, *walk.splitlines()[1:]])],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert walked.returncode == 0, walked.stderr
    answers = [json.loads(line) for line in walked.stdout.splitlines() if line]
    sessions, renewed, dead = answers
    assert [session["current"] for session in sessions] == [True]
    assert renewed["access"]
    assert dead["code"] == "session_ended"


def the_demo_is_answered_as_expected(site):
    visited = subprocess.run(
        [sys.executable, "-m", "config.starter.demo"],
        cwd=ROOT,
        env=site.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert visited.returncode == 0, visited.stdout + visited.stderr
    assert visited.stdout.count("signs in") == 3
    assert "locked_out" in visited.stdout


def a_second_run_is_refused(site):
    second = site.run(PORT=str(ports.free_port()))
    assert "Another `make run` is using" in second.stdout.read()
    assert second.wait() == 1
    assert site.get("/health/ready")[0] == 200


def manage(site, *command, **options):
    """Run a command from a folder that is not the checkout's, told nothing but whose keys."""
    environment = site.environment()
    del environment["VAR_DIR"]
    return subprocess.run(
        [sys.executable, ROOT / "manage.py", *command],
        cwd=site.folder,
        env=environment,
        text=True,
        check=False,
        timeout=60,
        **({"capture_output": True} | options),
    )


def manage_py_finds_the_site(site):
    ask = "from django.conf import settings as s; print(s.VAR_DIR, s.IS_PRODUCTION)"
    told = manage(site, "shell", "-v", "0", "-c", ask)
    assert told.stdout.split() == [str(site.var), "False"], told.stderr
    assert manage(site, "migrate", "--check").returncode == 0


def at_a_terminal_a_command_is_silent_about_events(site):
    for flags, is_shown in [((), False), (("-v", "2"), True)]:
        ours, theirs = pty.openpty()
        done = manage(
            site,
            "audit_checkpoint",
            *flags,
            capture_output=False,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.write(theirs, b"the end")
        seen = os.read(ours, 65536).decode()
        os.close(ours)
        os.close(theirs)
        assert done.returncode == 0, seen
        assert done.stdout.startswith("Signed ")
        assert done.stdout.count("\n") == 1
        assert ("audit.checkpoint.written" in seen) is is_shown
    stored = manage(site, "audit_verify", "--json")
    json.loads(stored.stdout)


def another_folder_s_run_is_told_who_holds_the_port(site):
    other = site.run(
        VAR_DIR=str(site.folder / "other"), GARRISON_ENV_FILE=str(site.folder / "other.env")
    )
    assert f"taken by the run in {site.var}" in other.stdout.read()
    assert other.wait() == 1


def a_dead_valkey_comes_back(site, run):
    """It is started again on the same port, and the site finds it by itself."""
    (valkey,) = (p for p, name in site.processes().items() if name.endswith("valkey-server"))
    os.kill(valkey, signal.SIGKILL)
    assert "Valkey has ended unexpectedly, killed by signal 9" in run.stdout.readline()
    assert "Valkey is back" in run.stdout.readline()
    deadline = time.monotonic() + 20
    while site.get("/health/ready")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
def test_with_servers_named_none_is_started_and_a_dead_process_ends_everything(site):
    named = {
        "DATABASE_URL": f"sqlite:///{site.folder / 'db.sqlite3'}",
        "REDIS_URL": os.environ["REDIS_URL"],
        "GARRISON_ENV": "production",
        "GARRISON_ADMIN_PASSWORD": "a-long-Passphrase-nobody-guesses-71",
    }
    run, said = site.started(**named)
    assert "(production)" in said
    assert "PostgreSQL" not in said
    assert "Valkey" not in said
    assert named["GARRISON_ADMIN_PASSWORD"] not in said
    assert site.get("/health/ready")[0] == 200
    with closing(sqlite3.connect(site.folder / "db.sqlite3")) as database:
        ask = "SELECT count(*) FROM accounts_user WHERE is_superuser"
        assert database.execute(ask).fetchone() == (1,)
    web = Path(f"/proc/{site.pid('web')}/environ").read_bytes()
    assert b"GARRISON_ADMIN_PASSWORD" not in web

    os.kill(site.pid("beat"), signal.SIGKILL)
    said = run.stdout.read()
    assert run.wait(timeout=STOP_SECONDS) == 1
    assert "The beat has ended unexpectedly, killed by signal 9. The end of" in said
    assert "beat.log" in said
    assert site.processes() == {}


def test_a_taken_port_is_named_before_anything_is_started(site):
    with socket.create_server(("127.0.0.1", site.port)):
        run = site.run()
        said = run.stdout.read()
    assert run.wait() == 1
    assert f"Port {site.port} on 127.0.0.1 is taken" in said
    assert "PORT=" in said
    assert "Traceback" not in said
    assert site.processes() == {}
    assert not (site.folder / ".env").exists()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"PORT": "http"}, "PORT is 'http'"),
        ({"VAR_DIR": "/dev/null/var"}, "The folder /dev/null/var cannot be used"),
        ({"HOST": "192.0.2.1"}, "Nothing can listen on HOST=192.0.2.1"),
        (
            {"DATABASE_URL": "postgresql://me:hidden-word@127.0.0.1:1/db"},
            "The database of DATABASE_URL cannot be reached",
        ),
        (
            {"DATABASE_URL": "sqlite:////dev/null/db.sqlite3"},
            "The database of DATABASE_URL cannot be reached",
        ),
        (
            {
                "REDIS_URL": "redis://:hidden-word@127.0.0.1:1/0",
                "DATABASE_URL": "sqlite://:memory:",
            },
            "The Valkey or Redis of REDIS_URL cannot be reached",
        ),
        ({"SECRET_KEY": "hidden-word", "DATABASE_URL": "sqlite://:memory:"}, "SECRET_KEY is 11"),
        (
            {
                "GARRISON_ADMIN_EMAIL": "nobody",
                "DATABASE_URL": "sqlite:///{folder}/db.sqlite3",
            },
            "GARRISON_ADMIN_EMAIL=nobody: Enter a valid email address",
        ),
        (
            {
                "GARRISON_ADMIN_PASSWORD": "hidden-word",
                "GARRISON_ENV": "production",
                "DATABASE_URL": "sqlite:///{folder}/db.sqlite3",
            },
            "GARRISON_ADMIN_PASSWORD is too weak",
        ),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(site, told, message):
    store = {"REDIS_URL": os.environ["REDIS_URL"]}
    told = {name: value.format(folder=site.folder) for name, value in told.items()}
    run = site.run(**(store | told))
    said = run.stdout.read()
    assert run.wait() == 1, said
    assert message in said
    assert "Traceback" not in said
    assert "hidden-word" not in said
    assert site.processes() == {}


def test_a_full_disk_is_named(site):
    """A file system of two megabytes, which the static files fill."""
    site.var.mkdir()
    mount = 'mount -t tmpfs -o size=2m none "$VAR_DIR"'
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    try:
        can_mount = subprocess.run(
            [*alone, mount], env=site.environment(), check=False, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("There is no unshare here.")
    if can_mount.returncode:
        pytest.skip("This user may not mount anything.")
    done = subprocess.run(
        [*alone, f"{mount} && exec {sys.executable} -m config.starter"],
        cwd=ROOT,
        env=site.environment()
        | {
            "DATABASE_URL": f"sqlite:///{site.folder / 'db.sqlite3'}",
            "REDIS_URL": os.environ["REDIS_URL"],
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    assert done.returncode == 1
    assert f"The disk that holds {site.var} is full." in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_says_what_to_do_when_nobody_answers(site):
    visited = subprocess.run(
        [sys.executable, "-m", "config.starter.demo"],
        cwd=ROOT,
        env=site.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert visited.returncode == 1
    assert "Start the site first" in visited.stderr


def test_every_variable_that_is_read_is_documented():
    code = "\n".join(
        path.read_text()
        for path in (*(ROOT / "config").glob("*.py"), *(ROOT / "config/starter").rglob("*.py"))
    )
    readers = r"(?:env\.\w+|secret|required|encryption_keys|told\.get|environ\.get)"
    read = set(re.findall(readers + r"""\(\s*["']([A-Z_]+)["']""", code))
    assert {"DATABASE_URL", "SECRET_KEY", "PORT", "VAR_DIR", "GARRISON_ADMIN_EMAIL"} <= read
    internal = {"DJANGO_SETTINGS_MODULE", "PGCONNECT_TIMEOUT"}
    documented = (ROOT / "docs/running.md").read_text()
    assert sorted(name for name in read - internal if f"`{name}`" not in documented) == []
