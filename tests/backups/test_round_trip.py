"""What comes back is what went in, by our command and by the stock tools."""

import gzip
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest
from django.utils import timezone

from backups import services, tools
from backups.dumpers import dumper
from backups.dumpers.connection import connect, environment
from tests.backups.conftest import MARKER, tree


def describe(site):
    with dumper("source", timeout_seconds=60) as dump:
        return dump.describe()


def next_ids(site):
    if site.engine == "sqlite":
        site.execute("INSERT INTO every_type (whole) VALUES (1)")
        return site.execute("SELECT max(id) FROM every_type")
    return site.execute(
        "SELECT nextval('author_id_seq'), nextval('never_used'), nextval('every_type_id_seq')"
    )


def restore(opened, **options):
    plan = services.plan(opened)
    return services.restore(plan, now=timezone.now(), **options)


def test_our_restore_brings_back_every_row_object_and_file(rich):
    rich.write("ünï/cödé ☃.txt", "schnee")
    rich.write("tab\tand\nline.txt", "odd name")
    rich.write("empty", b"")
    files, state = tree(rich.media), describe(rich)
    backup = rich.back_up()
    rich.empty()
    shutil.rmtree(rich.media)

    done = restore(rich.open(backup))

    found = describe(rich)
    assert found.tables == state.tables
    assert found.large_objects == state.large_objects
    assert found.sequences == state.sequences
    assert tree(rich.media) == files
    assert (done.rows, done.files) == (state.rows, len(files))
    expected = [(2003,)] if rich.engine == "sqlite" else [(778, 1000, 2004)]
    assert next_ids(rich) == expected


def test_the_stock_tools_bring_back_the_same(rich, tmp_path):
    state, files = describe(rich), tree(rich.media)
    backup = rich.back_up()
    folder = rich.target / backup.folder
    rich.empty()

    def opened(name):
        sealed = subprocess.run(
            ["age", "--decrypt", "--identity", str(rich.identity_file), str(name)],
            capture_output=True,
            check=True,
        )
        return subprocess.run(
            ["gunzip"], input=sealed.stdout, capture_output=True, check=True
        ).stdout

    if rich.engine == "sqlite":
        from pathlib import Path

        Path(rich.database).write_bytes(opened(folder / "database.sqlite3.gz.age"))
        with closing(sqlite3.connect(rich.database)) as found:
            assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    else:
        with connect("source") as session:
            matching = tools.matching(session.info.server_version // 10_000)
        subprocess.run(
            [
                matching.path("pg_restore"), "--single-transaction", "--exit-on-error",
                "--no-owner", f"--dbname={rich.database}",
            ],
            input=opened(folder / "database.dump.gz.age"),
            env=environment("source"),
            check=True,
        )  # fmt: skip
    found = describe(rich)
    assert found.tables == state.tables
    assert found.large_objects == state.large_objects
    assert found.sequences == state.sequences

    listed = opened(folder / "files.tsv.gz.age").decode().splitlines()
    restored = {line.split("\t")[6]: opened(rich.target / line.split("\t")[0]) for line in listed}
    assert restored == files


@pytest.mark.slow
def test_a_hundred_thousand_rows_come_back(rich):
    if rich.engine == "sqlite":
        rich.script(
            "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 100010)"
            " INSERT INTO note SELECT i, 'row ' || i || ' ä' FROM n;"
        )
    else:
        rich.script(
            "INSERT INTO note SELECT i, 'row ' || i || ' ä' FROM generate_series(10, 100010) i"
        )
    state = describe(rich)
    assert state.rows > 100_000
    backup = rich.back_up()
    rich.empty()
    restore(rich.open(backup))
    assert describe(rich).tables == state.tables


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

    restore(site.open(backup), confirm_database=services.plan(site.open(backup)).database_name)

    assert site.execute("SELECT count(*) FROM note") == [(3,)]
    catalogue = "sqlite_master" if site.engine == "sqlite" else "pg_class"
    name = "name" if site.engine == "sqlite" else "relname"
    assert site.execute(f"SELECT count(*) FROM {catalogue} WHERE {name} = 'later'") == [(0,)]
