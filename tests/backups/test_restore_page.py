"""Every command of docs/restore.md is run, as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backups import tools
from tests.backups import hosting
from tests.backups.conftest import engines, tree

one_engine = pytest.mark.parametrize("engine", engines()[:1], indirect=True)
PAGE = (hosting.ROOT / "docs/restore.md").read_text()
BLOCKS = re.findall(r"```(sh|bash)\n(.*?)```", PAGE, re.DOTALL)
MANAGE = """
import os, sys
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


@pytest.fixture
def host(engine, tmp_path, key_pair):
    identity, recipient = key_pair
    path = tmp_path / "identity.txt"
    path.write_text(identity)
    path.chmod(0o600)
    made = hosting.build(tmp_path, recipient, path, engine)
    (tmp_path / "media" / "ünï 100% \\ odd\tname.txt").write_text("odd")
    (tmp_path / "manage.py").write_text(MANAGE)
    made.run("backup_create")
    yield made
    hosting.drop(made)


def run(host, kind, block, *, code=0, **more):
    """Run one block as an operator would: in the project's folder, with the page's variables."""
    folder = Path(sys.executable).parent
    path = f"{folder}:{os.environ['PATH']}"
    environment = host.environment(**more, PATH=path)
    shell = {"sh": "sh", "bash": "bash"}[kind]
    ran = subprocess.run(
        [shell, "-e", "-c", block], cwd=host.root, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == code, f"{block}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def blocks(*words):
    return [(k, b) for k, b in BLOCKS if all(word in b for word in words)]


def database_of(host):
    return host.url.rpartition("/")[2]


def make_empty(host):
    if host.url.startswith("sqlite"):
        for path in host.root.glob("host.sqlite3*"):
            path.unlink()
        return
    name = database_of(host)
    hosting.on_server(f'DROP DATABASE "{name}" WITH (FORCE)')
    hosting.on_server(f'CREATE DATABASE "{name}" TEMPLATE template0')


def test_the_page_holds_the_commands_it_promises():
    assert len(BLOCKS) == 11
    assert {"age", "gunzip", "pg_restore", "tar"} <= set(re.findall(r"\b[a-z_]+\b", PAGE))


def test_the_commands_restore_a_lost_site(host):
    rows, files = host.sql("SELECT count(*) FROM bulk"), tree(host.root / "media")
    (look,), (plan,) = blocks("--on-targets"), [("sh", "python manage.py backup_restore")]
    assert plan[1] in PAGE
    make_empty(host)
    shutil.rmtree(host.root / "media")
    assert "backups: 2" in run(host, *look)
    assert "1. Read backup" in run(host, *plan)
    (empty,) = [b for b in blocks("backup_restore --yes\n") if "--only" not in b[1]]
    run(host, *empty)
    assert host.sql("SELECT count(*) FROM bulk") == rows
    assert tree(host.root / "media") == files

    (afterwards,) = blocks("backup_drill")
    run(host, *afterwards)


def test_the_commands_replace_what_is_there(host):
    rows = host.sql("SELECT count(*) FROM bulk")
    host.sql("DELETE FROM bulk")
    (full,) = [b for b in blocks("--confirm-database") if "--only" not in b[1]]
    run(host, *full, DATABASE=database_of(host))
    assert host.sql("SELECT count(*) FROM bulk") == rows

    host.sql("INSERT INTO auth_group (id, name) VALUES (1, 'editors')")
    host.run("backup_create")
    (parts,) = blocks("--table")
    run(host, *parts, DATABASE=database_of(host))
    side = "rescue_auth_group" if host.url.startswith("sqlite") else "rescue.auth_group"
    assert host.sql(f"SELECT count(*) FROM {side}") == [(1,)]


def variables(host, folder):
    """What an operator sets before the commands for the stock tools."""
    return {
        "BACKUPS": str(host.target),
        "FOLDER": folder,
        "IDENTITY": str(host.identity_file),
        "SIGNER": host.run("backup_keygen", "--signer").strip(),
        "RESTORED": str(host.root / "restored"),
        "MEDIA": str(host.root / "media"),
    }


def stock(*words):
    (block,) = blocks(*words)
    return block


def with_pg_restore(host, block):
    """Put the server's own pg_restore in front of the path."""
    import psycopg

    with psycopg.connect(host.url) as session:
        matching = tools.matching(session.info.server_version // 10_000)
    shim = host.root / "bin"
    shim.mkdir()
    (shim / "pg_restore").symlink_to(matching.path("pg_restore"))
    return block[0], f'PATH="{shim}:$PATH"\n{block[1]}'


def test_the_stock_tools_alone_restore_everything(host, engine):
    rows, files = host.sql("SELECT count(*), max(text) FROM bulk"), tree(host.root / "media")
    (folder,) = host.good()
    known = variables(host, folder)
    make_empty(host)
    shutil.rmtree(host.root / "media")
    (host.root / "media").mkdir()
    assert run(host, *stock('mkdir "$RESTORED"'), **known).startswith(
        "GARRISON-BACKUP-MANIFEST 1 ed25519:"
    )
    assert "Verified Successfully" in run(host, *stock("openssl"), **known)
    if engine == "postgresql":
        block = with_pg_restore(host, stock("# PostgreSQL"))
        run(host, *block, **known, DATABASE=host.url)
    else:
        run(host, *stock("# SQLite"), **known, DATABASE=host.url.removeprefix("sqlite://"))
    assert host.sql("SELECT count(*), max(text) FROM bulk") == rows
    told = run(host, *stock("files.tsv"), **known)
    assert "DAMAGED" not in told
    assert "REFUSED" not in told
    assert tree(host.root / "media") == files


def encrypt(host, content, path):
    squeezed = subprocess.run(["gzip"], input=content, capture_output=True, check=True).stdout
    subprocess.run(["age", "-r", host.recipient, "-o", path], input=squeezed, check=True)


def look(host, known):
    """Begin as the page says."""
    shutil.rmtree(known["RESTORED"], ignore_errors=True)
    run(host, *stock('mkdir "$RESTORED"'), **known)


@one_engine
def test_the_stock_tools_tell_a_stranger_s_backup_from_ours(host):
    (folder,) = host.good()
    known, check = variables(host, folder), stock("openssl")
    look(host, known)
    run(host, *check, **known)
    run(host, *check, code=1, **{**known, "SIGNER": f"ed25519:{'A' * 43}="})
    for name in ("files.tsv.gz.age", *(p.name for p in (host.target / folder).glob("database*"))):
        path = host.target / folder / name
        whole = path.read_bytes()
        path.unlink()
        encrypt(host, b"another", path)
        assert "NOT OURS" in run(host, *check, code=1, **known)
        path.write_bytes(whole)
    manifest = Path(known["RESTORED"]) / "manifest"
    manifest.write_bytes(manifest.read_bytes().replace(b'"rows":', b'"rows":1', 1))
    run(host, *check, code=1, **known)
    shutil.copytree(host.target / folder, host.target / "20990101T000000000Z-000000000000")
    known["FOLDER"] = "20990101T000000000Z-000000000000"
    look(host, known)
    run(host, *check, code=1, **known)


@one_engine
def test_the_stock_tools_write_nowhere_else(host, tmp_path):
    """A list that leads out of its storage, and links where the files go."""
    (folder,) = host.good()
    known = variables(host, folder)
    outside = tmp_path / "outside"
    outside.mkdir()
    listed = host.target / folder / "files.tsv.gz.age"
    stored = next((host.target / "files").rglob("*.age"))
    name, columns = stored.relative_to(host.target), f"{'0' * 64}\t1\t{'0' * 64}\t1"
    paths = ["../../outside/x", "/outside/x", "a/../../../outside/x", f"{outside}/x", "%2e%2e/x"]
    lines = [f"{name}\t{columns}\tdefault\t{path}\n" for path in paths]
    lines += [f"{name}\t{columns}\t../../outside\tx\n", f"{name}\t{columns}\tdefault\tlink/x\n"]
    listed.unlink()
    encrypt(host, "".join(lines).encode(), listed)
    (host.root / "media" / "link").symlink_to(outside)
    look(host, known)
    told = run(host, *stock("files.tsv"), **known)
    assert told.count("REFUSED") == 6
    assert list(outside.iterdir()) == []
    assert (host.root / "media" / "link" / "x").is_file()
