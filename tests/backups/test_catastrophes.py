"""Killed at any moment, a full disk, a failing storage, a vanished database.

The whole number of kills is ``BACKUPS_KILLS=50``; the ordinary run does fewer.
"""

import json
import os
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.backups import hosting
from tests.backups.conftest import engines

KILLS = int(os.environ.get("BACKUPS_KILLS", "6"))
FILE_LIMIT = 400 * 1024  # above the host's own database, below a part


def require_sound(host, older):
    """What must hold after anything: the old is untouched, the good is whole, nothing is plain."""
    stored = host.files()
    for name, content in older.items():
        assert stored.get(name) == content, f"{name} of an older backup changed"
    assert host.plain_text() == []
    assert [p for p in (host.root / "tmp").rglob("*") if p.is_file()] == []
    for folder in host.good():
        assert f"{folder}/manifest.age" in stored, f"{folder} is listed as good and has no manifest"


def names_on(target):
    """List what is there; what vanishes meanwhile is passed over."""
    return {name for _, folders, files in os.walk(target) for name in (*folders, *files)}


def kill_at_work(host, delay):
    """Start a backup, wait until its first file appears, and kill it so much later."""
    before = names_on(host.target)
    running = host.start("backup_create")
    while running.poll() is None and names_on(host.target) == before:
        time.sleep(0.005)
    time.sleep(delay)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    return running.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_backup_killed_at_random_moments_harms_nothing(host):
    host.run("backup_create")
    seconds = json.loads(host.run("backup_create", "--json"))["seconds"]
    older = host.files()
    chance = random.Random(f"kills {host.url[:8]}")
    killed = started = 0
    while killed < KILLS:
        started += 1
        assert started <= 4 * KILLS, "it is never caught at work"
        (host.root / "media" / f"new-{started}.txt").write_text(
            f"{hosting.MARKER} {started}" * 9000
        )
        killed += kill_at_work(host, seconds * 1.2 * chance.random())
        require_sound(host, older)
        host.expire_lease()

    host.run("backup_create")
    require_sound(host, older)
    assert not list(host.target.rglob("*.partial")), "the next run sweeps up"
    assert host.sql("SELECT count(*) FROM backups_backup WHERE state = 'running'") == [(0,)]
    host.run("backup_verify", "--all")
    oldest = min(host.good().items())[1]
    drilled = json.loads(host.run("backup_drill", oldest, "--json"))
    assert drilled["state"] == "good"


def test_a_full_disk_fails_the_run_and_nothing_else(host):
    """The limit on a file's size stands for a disk that fills up in the middle of a part."""
    host.run("backup_create")
    older, good = host.files(), host.good()
    told = host.run(
        "backup_create",
        code=1,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT)),
    )
    assert "File too large" in told
    assert host.good() == good
    assert not list(host.target.rglob("*.partial"))
    require_sound(host, older)
    host.run("backup_create")
    host.run("backup_verify", "--all")


@pytest.mark.parametrize("engine", engines()[:1], indirect=True)
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_a_full_tmpfs_fails_the_run_and_nothing_else(host):
    host.target.mkdir(exist_ok=True)
    size = "size=2500k"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", host.target], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this root may not mount")
    try:
        host.run("backup_create", "--only=files")
        older, good = host.files(), host.good()
        (host.target / "ballast").write_bytes(bytes(2_000_000))
        assert "No space left" in host.run("backup_create", code=1)
        assert host.good() == good
        (host.target / "ballast").unlink()
        require_sound(host, older)
        host.run("backup_create", "--only=files")
        host.run("backup_verify", "--all")
    finally:
        subprocess.run(["umount", host.target], check=True)


@pytest.mark.postgresql
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_database_that_vanishes_fails_the_run_and_can_be_restored(host):
    host.run("backup_create")
    older = host.files()
    rows = host.sql("SELECT count(*), md5(string_agg(text, ',' ORDER BY id)) FROM bulk")
    running = host.start("backup_create")
    name = host.url.rpartition("/")[2]
    deadline = time.monotonic() + 30
    while not list(host.target.rglob("*database*.partial")):
        assert time.monotonic() < deadline
        assert running.poll() is None
    hosting.on_server(f'DROP DATABASE "{name}" WITH (FORCE)')
    _out, err = running.communicate(timeout=60)
    assert running.returncode == 1, err
    stored = host.files()
    assert {k: stored[k] for k in older} == older
    assert host.plain_text() == []
    assert len([k for k in stored if k.endswith("manifest.age")]) == 1

    hosting.on_server(f'CREATE DATABASE "{name}" TEMPLATE template0')
    host.run("backup_restore", "--yes")
    assert host.sql("SELECT count(*), md5(string_agg(text, ',' ORDER BY id)) FROM bulk") == rows
    host.run("backup_create")
    assert len(host.good()) == 2


@pytest.mark.postgresql
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_restore_killed_at_random_moments_leaves_the_database_as_it_was(host):
    host.run("backup_create")
    host.sql("INSERT INTO bulk VALUES (-1, 'after the backup')")
    name = host.url.rpartition("/")[2]
    command = ("backup_restore", "--yes", "--confirm-database", name, "--only=database")
    chance = random.Random(7)
    before = host.sql("SELECT count(*), min(id) FROM bulk")
    killed = 0
    for _ in range(max(3, KILLS // 2)):
        running = host.start(*command, "--no-safety-backup")
        time.sleep(0.5 + 0.8 * chance.random())
        running.send_signal(signal.SIGKILL)
        running.communicate()
        killed += running.returncode == -signal.SIGKILL
        host.expire_lease()
        found = host.sql("SELECT count(*), min(id) FROM bulk")
        assert found in (before, [(before[0][0] - 1, 1)]), "neither as before nor restored"
        if found != before:
            host.sql("INSERT INTO bulk VALUES (-1, 'after the backup')")
    assert killed
    host.run(*command)
    assert host.sql("SELECT min(id) FROM bulk") == [(1,)]


def test_the_password_is_never_in_argv(host):
    """Every user of a machine can read every process's arguments."""
    if host.url.startswith("sqlite"):
        pytest.skip("SQLite has no password")
    user, _, rest = host.url.removeprefix("postgresql://").partition("@")
    name, _, password = user.partition(":")
    password = password or "hunter2-secret"  # a server that trusts everybody believes any
    host.url = f"postgresql://{name}:{password}@{rest}"
    running = host.start("backup_create")
    seen = []
    while running.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments = path.read_bytes()
            except OSError:
                continue
            if b"pg_dump" in arguments:
                seen.append(arguments)
    running.communicate()
    assert running.returncode == 0
    assert seen
    assert not [arguments for arguments in seen if password.encode() in arguments]
