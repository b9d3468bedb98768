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
from tests.backups.conftest import tree

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


def run(host, kind, block, **more):
    """Run one block as an operator would: in the project's folder, with the page's variables."""
    folder = Path(sys.executable).parent
    path = f"{folder}:{os.environ['PATH']}"
    environment = host.environment(**more, PATH=path)
    shell = {"sh": "sh", "bash": "bash"}[kind]
    ran = subprocess.run(
        [shell, "-e", "-c", block], cwd=host.root, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{block}\n{ran.stdout}\n{ran.stderr}"
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
    assert len(BLOCKS) == 10
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


def test_the_stock_tools_alone_restore_everything(host, engine):
    rows, files = host.sql("SELECT count(*), max(text) FROM bulk"), tree(host.root / "media")
    (folder,) = host.good()
    make_empty(host)
    shutil.rmtree(host.root / "media")
    (host.root / "media").mkdir()
    known = {
        "BACKUPS": str(host.target),
        "FOLDER": folder,
        "IDENTITY": str(host.identity_file),
        "RESTORED": str(host.root / "restored"),
        "MEDIA": str(host.root / "media"),
    }
    (look,) = blocks("manifest.age")
    assert run(host, *look, **known).startswith("GARRISON-BACKUP-MANIFEST 1 ed25519:")
    if engine == "postgresql":
        import psycopg

        with psycopg.connect(host.url) as session:
            matching = tools.matching(session.info.server_version // 10_000)
        (block,) = blocks("# PostgreSQL")
        shim = host.root / "bin"
        shim.mkdir()
        (shim / "pg_restore").symlink_to(matching.path("pg_restore"))
        block = (block[0], f'PATH="{shim}:$PATH"\n{block[1]}')
        run(host, *block, **known, DATABASE=host.url)
    else:
        (block,) = blocks("# SQLite")
        run(host, *block, **known, DATABASE=host.url.removeprefix("sqlite://"))
    assert host.sql("SELECT count(*), max(text) FROM bulk") == rows
    (block,) = blocks("files.tsv")
    assert "DAMAGED" not in run(host, *block, **known)
    assert tree(host.root / "media") == files
