"""The embedded PostgreSQL where root starts it: it runs as nobody, in folders of root's."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.starter import unprivileged, wheels
from config.starter.failure import StartFailure
from config.starter.postgresql import EmbeddedPostgreSQL
from tests.starter.embedding import answers, modes_above

ROOT = Path(__file__).resolve().parents[2]
# An ordinary user has no other user to become; the last test here begins as one.
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to step down")


@as_root
def test_as_root_postgresql_runs_as_nobody_in_a_folder_that_is_roots(made, tmp_path):
    before = modes_above(tmp_path / "var")
    server = made(EmbeddedPostgreSQL)
    server.start()
    nobody = pwd.getpwnam("nobody").pw_uid
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    assert status["Uid"].split() == [str(nobody)] * 4
    assert status["Groups"].split() == []
    assert server.base().parent == Path("/var/tmp")
    assert (server.base().lstat().st_uid, server.base().lstat().st_mode & 0o777) == (0, 0o711)
    assert (server.home().stat().st_uid, server.home().stat().st_mode & 0o777) == (nobody, 0o700)
    assert modes_above(tmp_path / "var") == before


@as_root
def test_as_root_with_a_closed_environment_a_copy_of_the_programs_is_used(
    made, tmp_path, monkeypatch
):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = wheels.postgresql().parent
    for source in (package / wheels.POSTGRESQL_BUILD, package.with_name(f"{package.name}.libs")):
        place = closed / source.relative_to(package.parent)
        shutil.copytree(source, place, symlinks=True)
    inside = closed / package.name / wheels.POSTGRESQL_BUILD
    monkeypatch.setattr(wheels, "postgresql", lambda: inside)
    before = modes_above(inside)

    server = made(EmbeddedPostgreSQL)
    assert answers(server.start())
    program = Path(f"/proc/{server.process.pid}/exe").resolve()
    assert program.is_relative_to(server.base())
    assert modes_above(inside) == before
    copied = [server.build, *server.build.rglob("*")]
    assert {p.lstat().st_uid for p in copied} == {0}
    assert not [p for p in copied if not p.is_symlink() and p.stat().st_mode & 0o022]
    server.stop()

    inode = (server.build / "bin/postgres").stat().st_ino
    again = made(EmbeddedPostgreSQL)
    again.start()
    assert (again.build / "bin/postgres").stat().st_ino == inode  # copied once


@as_root
def test_as_root_a_folder_that_somebody_has_planted_is_refused(tmp_path):
    planted = tmp_path / "planted"
    planted.mkdir()
    os.chown(planted, pwd.getpwnam("nobody").pw_uid, -1)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    for home in (planted, link, open_to_all):
        with pytest.raises(StartFailure, match="not a folder that only root can write to"):
            unprivileged.make_home(home)


@as_root
def test_as_root_data_whose_password_was_thrown_away_is_set_aside_and_not_deleted(
    made, tmp_path, capsys
):
    first = made(EmbeddedPostgreSQL)
    first.start()
    shutil.rmtree(tmp_path / "var")
    second = made(EmbeddedPostgreSQL)
    assert answers(second.start())
    assert first.process.wait(timeout=10) == 0
    (aside,) = second.base().glob("data-before-*")
    assert str(aside) in capsys.readouterr().out
    assert (aside / "PG_VERSION").exists()


def test_two_checkouts_have_two_folders(tmp_path):
    first, second = (unprivileged.home_for(tmp_path / name) for name in ("one", "two"))
    assert first != second
    assert first == unprivileged.home_for(tmp_path / "one")


AS_NOBODY = """
import importlib, os, pathlib, pkgutil, pwd, sys
sys.path.insert(0, {root!r})
import config.starter, encodings.idna, psycopg, redis
from config.starter import logs, ports, server, unprivileged
from config.starter.postgresql import EmbeddedPostgreSQL
from config.starter.valkey import EmbeddedValkey
nobody = pwd.getpwnam("nobody")
os.setgroups([]); os.setgid(nobody.pw_gid); os.setuid(nobody.pw_uid)
postgresql, valkey = (kind(pathlib.Path({var!r})) for kind in (EmbeddedPostgreSQL, EmbeddedValkey))
try:
    postgresql.start(); valkey.start()
    print(postgresql.home(), os.stat(postgresql.home()).st_uid, postgresql.build)
    postgresql.stop()
    again = EmbeddedPostgreSQL(postgresql.var_dir)
    again.start(); again.stop()
finally:
    valkey.destroy(); postgresql.destroy()
"""


@as_root
def test_an_ordinary_user_keeps_the_data_in_var_dir_and_uses_the_wheel_itself(tmp_path):
    nobody = pwd.getpwnam("nobody").pw_uid
    try:
        theirs = Path("/var/tmp") / f"garrison-test-{os.getpid()}"
        theirs.mkdir(mode=0o700)
        os.chown(theirs, nobody, -1)
        if not unprivileged.can_run(wheels.postgresql() / "bin/postgres", unprivileged.account()):
            pytest.skip("an ordinary user cannot reach this virtual environment")
        ran = subprocess.run(
            [sys.executable, "-c", AS_NOBODY.format(root=str(ROOT), var=str(theirs / "var"))],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        home, uid, build = ran.stdout.split()
        assert (home, uid) == (str(theirs / "var/postgresql/data"), str(nobody))
        assert build == str(wheels.postgresql())
    finally:
        shutil.rmtree(theirs)
