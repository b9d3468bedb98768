"""What comes back is what went in, by our command and by the stock tools."""

import gzip
import hashlib
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.utils import timezone

from backups import services, tools
from backups.dumpers.connection import connect, environment
from tests.backups.conftest import MARKER, tree
from tests.backups.rich import schema

ROWS = 100_000


def seen_in_sqlite(site):
    with closing(sqlite3.connect(site.database)) as found:
        found.text_factory = bytes
        written = found.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2")
        said = {"written": written.fetchall(), "rows": 0, "values": {}}
        for kind, name, _table, _sql in said["written"]:
            if kind == b"table":
                quoted = name.decode().replace('"', '""')
                total = hashlib.sha256()
                for row in found.execute(f'SELECT rowid, * FROM "{quoted}" ORDER BY rowid'):
                    total.update(repr(row).encode())
                    said["rows"] += name == b"every_type"
                said["values"][name] = total.hexdigest()
        said["version"] = found.execute("PRAGMA user_version").fetchone()
        return said


def seen(site):
    """Everything in the database, told without any of our own counting and hashing."""
    if site.engine == "sqlite":
        return seen_in_sqlite(site)
    tables = site.execute(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
    )
    whole_rows = "SELECT count(*), sum(hashtextextended(t::text, 42)) FROM ONLY"
    return {
        "rows": site.execute("SELECT count(*) FROM every_type")[0][0],
        "tables": {name: site.execute(f"{whole_rows} {name} t") for (name,) in tables},
        "objects": site.execute("SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata"),
        "sequences": site.execute(
            "SELECT sequencename, start_value, increment_by, last_value FROM pg_sequences"
            " ORDER BY 1"
        ),
        "constraints": site.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
        ),
        "triggers": site.execute(
            "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
        ),
        "views": site.execute("SELECT * FROM totals, named ORDER BY 2, 3 LIMIT 50"),
    }


def next_ids(site):
    """Which keys the next rows get, each for this once."""
    if site.engine == "sqlite":
        site.execute("INSERT INTO every_type (whole) VALUES (1)")
        return site.execute("SELECT max(id) FROM every_type")
    return site.execute(
        "SELECT nextval('author_id_seq'), nextval('never_used'), nextval('every_type_id_seq')"
    )


def restore(opened, **options):
    plan = services.plan(opened)
    return services.restore(plan, now=timezone.now(), **options)


def by_our_command(site, backup):
    shutil.rmtree(site.media)
    done = restore(site.open(backup))
    assert done.rows > ROWS
    assert done.files == len(tree(site.media))


def by_stock_tools(site, backup):
    folder = site.target / backup.folder
    (sealed,) = folder.glob("database.*")
    if site.engine == "sqlite":
        Path(site.database).write_bytes(opened(site, sealed))
        with closing(sqlite3.connect(site.database)) as found:
            assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    else:
        with connect("source") as session:
            matching = tools.matching(session.info.server_version // 10_000)
        subprocess.run(
            [
                matching.path("pg_restore"), "--single-transaction", "--exit-on-error",
                "--no-owner", f"--dbname={site.database}",
            ],
            input=opened(site, sealed),
            env=environment("source"),
            check=True,
        )  # fmt: skip
    shutil.rmtree(site.media)
    for line in opened(site, folder / "files.tsv.gz.age").decode().splitlines():
        blob, path = line.split("\t")[0], unquote(line.split("\t")[6])
        site.write(path, opened(site, site.target / blob))


def opened(site, path):
    sealed = subprocess.run(
        ["age", "--decrypt", "--identity", str(site.identity_file), str(path)],
        capture_output=True,
        check=True,
    )
    return subprocess.run(["gunzip"], input=sealed.stdout, capture_output=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize("way", [by_our_command, by_stock_tools])
def test_a_hundred_thousand_rows_of_every_type_come_back(site, way):
    site.script(schema(site.engine, rows=ROWS))
    site.write("ünï/cödé ☃.txt", "schnee")
    site.write("tab\tand\nline.txt", "odd name")
    site.write("empty", b"")
    before, files = seen(site), tree(site.media)
    assert before["rows"] > ROWS
    backup = site.back_up()
    site.empty()

    way(site, backup)

    assert seen(site) == before
    assert tree(site.media) == files
    rows = before["rows"]
    expected = [(rows + 1,)] if site.engine == "sqlite" else [(778, 1000, rows + 1)]
    assert next_ids(site) == expected


def test_nothing_on_a_target_is_in_plain_text(site):
    site.back_up()
    stored = tree(site.target)
    assert len(stored) == 5
    for name, content in stored.items():
        assert content.startswith(b"age-encryption.org/v1\n"), name
        assert MARKER.encode() not in content
        assert gzip.compress(b"")[:2] not in content[:2]
        assert "one.txt" not in name


def test_a_replaced_database_loses_what_came_later(site):
    backup = site.back_up()
    site.script("CREATE TABLE later (id integer); INSERT INTO note VALUES (9, 'later')")

    restore(site.open(backup), confirm=services.plan(site.open(backup)).to_confirm)

    assert site.execute("SELECT count(*) FROM note") == [(3,)]
    catalogue = "sqlite_master" if site.engine == "sqlite" else "pg_class"
    name = "name" if site.engine == "sqlite" else "relname"
    assert site.execute(f"SELECT count(*) FROM {catalogue} WHERE {name} = 'later'") == [(0,)]
