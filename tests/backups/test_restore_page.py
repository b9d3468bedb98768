"""Every command of docs/restore.md is run, as it stands there."""

import os
import re
import shutil
import subprocess

import pytest

from tests.backups import hosting
from tests.backups.conftest import engines, tree
from tests.backups.page import BLOCKS, PAGE, Person, blocks, run

pytestmark = pytest.mark.slow
one_engine = pytest.mark.parametrize("engine", engines()[:1], indirect=True)
HOSTILE = [
    "ünï 100% \\ odd\tname.txt".encode(), b"-rf", b"-d/--help", b"new\nline", b"ends\n", b"\n/\n",
    b" lead", b"trail ", b"*", b"~", b"#", b"!!", b"'\"$(touch run)`touch run`;&|>", b"\\", b"%41",
    b"\\x41\\c", b"\xff\xfe", b"\x1b]0;title\x07", b"\r", b"default\tx\t644\t0", b"a" * 255,
]  # fmt: skip
MANAGE = """
import os, sys
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


@pytest.fixture
def host(host, tmp_path):
    for name in HOSTILE:
        path = tmp_path / "media" / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name)
    (tmp_path / "media" / "0" / "0.txt").chmod(0o640)
    (tmp_path / "manage.py").write_text(MANAGE)
    host.run("backup_create")
    return host


def looks(root):
    """Mode and time of each file."""
    found = ((path, path.stat()) for path in root.rglob("*") if path.is_file())
    return {path.name: (status.st_mode, status.st_mtime_ns) for path, status in found}


def database_of(host):
    return host.url.rpartition("/")[2]


def test_the_page_holds_the_commands_it_promises():
    assert len(BLOCKS) == 19
    assert {"age", "gunzip", "openssl", "pg_restore", "tar"} <= set(
        re.findall(r"\b[a-z_]+\b", PAGE)
    )


def test_the_commands_restore_a_lost_site(host):
    rows, files = host.sql("SELECT count(*) FROM bulk"), tree(host.root / "media")
    (look,), plan = blocks("--on-targets"), "python manage.py backup_restore"
    assert f"\n{plan}\n" in PAGE
    hosting.make_empty(host)
    shutil.rmtree(host.root / "media")
    assert "backups: 2" in run(host, look)
    assert "1. Read backup" in run(host, plan)
    (empty,) = [b for b in blocks("backup_restore --yes\n") if "--only" not in b]
    run(host, empty)
    assert host.sql("SELECT count(*) FROM bulk") == rows
    assert tree(host.root / "media") == files

    (afterwards,) = blocks("backup_drill")
    run(host, afterwards)


def test_the_commands_replace_what_is_there(host):
    rows = host.sql("SELECT count(*) FROM bulk")
    host.sql("DELETE FROM bulk")
    (full,) = [b for b in blocks("--confirm-database") if "--only" not in b]
    run(host, full, DATABASE=database_of(host))
    assert host.sql("SELECT count(*) FROM bulk") == rows

    host.sql("INSERT INTO auth_group (id, name) VALUES (1, 'editors')")
    host.run("backup_create")
    (parts,) = blocks("--table")
    run(host, parts, DATABASE=database_of(host), FILE="0/0.txt")
    assert list(tree(host.root / "rescued")) == ["default/0/0.txt"]
    side = "rescue_auth_group" if host.url.startswith("sqlite") else "rescue.auth_group"
    assert host.sql(f"SELECT count(*) FROM {side}") == [(1,)]


def test_the_stock_tools_alone_restore_everything(host, engine):
    """Typed at a terminal, with names that no shell likes."""
    rows, files = host.sql("SELECT count(*), max(text) FROM bulk"), tree(host.root / "media")
    before = looks(host.root / "media")
    assert len(files) == 20 + len(HOSTILE)
    with Person(host) as person:
        hosting.make_empty(host)
        shutil.rmtree(host.root / "media")
        (host.root / "media").mkdir()
        assert "GARRISON-BACKUP-MANIFEST " in person.follow("manifest.age")
        assert "It is ours, and whole." in person.follow("openssl")
        if engine == "postgresql":
            shown = person.follow("SHOW server_version")
            assert shown.count(re.search(r'"tool":"\D+(\d+)', shown)[1]) >= 2, "archive and server"
        assert "The database is restored." in person.restore_database()
        shown = person.follow("files.tsv") + person.follow("tar --create")
    assert shown == "Every file is restored that is not named above.\n"
    assert host.sql("SELECT count(*), max(text) FROM bulk") == rows
    assert tree(host.root / "media") == files
    assert looks(host.root / "media") == before


def encrypt(host, content, path):
    path.unlink()
    squeezed = subprocess.run(["gzip"], input=content, capture_output=True, check=True).stdout
    subprocess.run(["age", "-r", host.recipient, "-o", path], input=squeezed, check=True)


@one_engine
def test_the_stock_tools_tell_a_stranger_s_backup_from_ours(host, tmp_path):
    (folder,) = host.good()
    ours = host.target / folder
    database, listed = next(ours.glob("database*")), ours / "files.tsv.gz.age"
    manifest = tmp_path / "restored" / "manifest"

    def alter_manifest():
        manifest.write_bytes(manifest.read_bytes().replace(b'"rows":', b'"rows":1', 1))

    def swap_parts():
        listed.rename(tmp_path / "kept")
        database.rename(listed)
        (tmp_path / "kept").rename(database)

    with Person(host) as person:
        person.follow("manifest.age")
        assert "It is ours" in person.follow("openssl")
        person.type(f"SIGNER=ed25519:{'A' * 43}=")
        assert "STOP" in person.follow("openssl")
    for change in (
        lambda: encrypt(host, b"another", database),
        lambda: encrypt(host, b"another", listed),
        database.unlink,
        swap_parts,
        alter_manifest,
    ):
        kept = shutil.copytree(ours, tmp_path / f"kept-{id(change)}")
        shutil.rmtree(tmp_path / "restored")
        with Person(host) as person:
            person.follow("manifest.age")
            change()
            shown = person.follow("openssl")
            assert "STOP" in shown
            assert "It is ours" not in shown
        shutil.rmtree(ours)
        kept.rename(ours)
    other = "20990101T000000000Z-000000000000"
    shutil.copytree(ours, host.target / other)
    shutil.rmtree(tmp_path / "restored")
    with Person(host, FOLDER=other) as person:
        person.follow("manifest.age")
        assert "STOP" in person.follow("openssl")


@one_engine
def test_a_step_that_fails_stops_and_leaves_the_shell(host, engine):
    """A wrong identity, a wrong folder, a truncated part; then the person goes on typing."""
    wrong = host.root / "wrong.txt"
    subprocess.run(["age-keygen", "-o", wrong], check=True, capture_output=True)
    (folder,) = host.good()
    part = next((host.target / folder).glob("database*"))
    with Person(host) as person:
        hosting.make_empty(host)
        person.type(f"IDENTITY='{wrong}'")
        for words in ("manifest.age", "files.tsv"):
            assert "STOP" in person.follow(words)
        assert "STOP" in person.restore_database()
        person.type(f"IDENTITY='{host.identity_file}'; FOLDER=none")
        assert "STOP" in person.follow("openssl")
        person.type(f"FOLDER='{folder}'")
        part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
        if engine == "sqlite":
            assert "STOP: something is there." in person.restore_database()
            person.type('rm "$DATABASE"')
        assert "STOP" in person.restore_database()
        assert person.type("echo still here") == "still here\n"


@one_engine
def test_the_stock_tools_write_nowhere_else(host, tmp_path):
    """A list that leads out of its storage, and links where the files go."""
    (folder,) = host.good()
    outside = tmp_path / "outside"
    outside.mkdir()
    stored = next((host.target / "files").rglob("*.age"))
    name, columns = stored.relative_to(host.target), f"{'0' * 64}\t1\t{'0' * 64}\t1"
    paths = ["../../outside/x", "/outside/x", "a/../../../outside/x", f"{outside}/x", "%2e%2e/x"]
    lines = [f"{name}\t{columns}\tdefault\t{path}\n" for path in [*paths, "..%00/x", ""]]
    lines += [f"{name}\t{columns}\t../../outside\tx\n", f"{name}\t{columns}\tdefault\tlink/x\n"]
    lines += [f"{name}\t{columns}\tdefault\t%1b]0;x\t4755\t@0\n"]
    encrypt(host, "".join(lines).encode(), host.target / folder / "files.tsv.gz.age")
    (host.root / "media" / "link").symlink_to(outside)
    with Person(host) as person:
        person.follow("manifest.age")
        shown = person.follow("files.tsv") + person.follow("tar --create")
    assert shown.count("REFUSED") == 8
    assert shown.count("DAMAGED") == 2
    assert "\x1b" not in shown, "no name drives the terminal"
    assert list(outside.iterdir()) == []
    assert (host.root / "media" / "link" / "x").is_file()
    assert (host.root / "media" / "\x1b]0;x").stat().st_mode & 0o7000 == 0
