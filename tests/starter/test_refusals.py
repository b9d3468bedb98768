"""What keeps ``make run`` from starting is one sentence, and leaves nothing behind."""

import os
import re
import socket
import subprocess
import sys

import pytest

from tests.starter.site import ROOT

START_SECONDS = 90


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
