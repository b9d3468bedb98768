"""``python -m config.starter`` from start to Ctrl-C, as ``make run`` calls it."""

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from dotenv import dotenv_values

from config.starter import ports, processes
from tests.starter.site import ROOT, STOP_SECONDS, interrupt


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
