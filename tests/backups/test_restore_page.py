"""Every command of docs/restore.md is run, as it stands there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.backups import hosting
from tests.backups.conftest import engines, tree
from tests.backups.page import BLOCKS, PAGE, blocks, run, stock, variables, with_pg_restore

pytestmark = pytest.mark.slow
one_engine = pytest.mark.parametrize("engine", engines()[:1], indirect=True)
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


def database_of(host):
    return host.url.rpartition("/")[2]


def test_the_page_holds_the_commands_it_promises():
    assert len(BLOCKS) == 11
    assert {"age", "gunzip", "pg_restore", "tar"} <= set(re.findall(r"\b[a-z_]+\b", PAGE))


def test_the_commands_restore_a_lost_site(host):
    rows, files = host.sql("SELECT count(*) FROM bulk"), tree(host.root / "media")
    (look,), (plan,) = blocks("--on-targets"), [("sh", "python manage.py backup_restore")]
    assert plan[1] in PAGE
    hosting.make_empty(host)
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


def test_the_stock_tools_alone_restore_everything(host, engine):
    rows, files = host.sql("SELECT count(*), max(text) FROM bulk"), tree(host.root / "media")
    (folder,) = host.good()
    known = variables(host, folder)
    hosting.make_empty(host)
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
