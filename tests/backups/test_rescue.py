"""One table's rows are brought beside the live ones, and nothing that exists is changed."""

import pytest
from django.utils import timezone

from backups import services
from backups.errors import (
    BackupsRefusal,
)
from tests.backups.conftest import engines

postgresql_only = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
sqlite_only = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@postgresql_only
def test_one_table_comes_back_beside_the_live_ones(rich):
    backup = rich.back_up()
    before = rich.execute("SELECT count(*) FROM every_type")
    rich.execute("DELETE FROM every_type WHERE id % 2 = 0")
    count = services.bring_table(
        rich.open(backup), table="every_type", schema="rescue", now=timezone.now()
    )
    assert [(count,)] == before
    assert rich.execute("SELECT count(*) FROM rescue.every_type") == before
    assert rich.execute("SELECT count(*) FROM every_type") != before, (
        "the live table is not touched"
    )
    same = (
        "SELECT count(*) FROM every_type l JOIN rescue.every_type r USING (id)"
        " WHERE l.long IS NOT DISTINCT FROM r.long AND l.raw IS NOT DISTINCT FROM r.raw"
        " AND l.moment IS NOT DISTINCT FROM r.moment AND l.exact IS NOT DISTINCT FROM r.exact"
    )
    assert rich.execute(same) == rich.execute("SELECT count(*) FROM every_type")
    with pytest.raises(BackupsRefusal, match="exists already"):
        services.bring_table(
            rich.open(backup), table="public.every_type", schema="rescue", now=timezone.now()
        )
    odd = '"Odd Schema"."Table ""with"" \'quotes\' ö"'
    assert (
        services.bring_table(rich.open(backup), table=odd, schema="odd_rescue", now=timezone.now())
        == 2
    )
    left = rich.execute("SELECT datname FROM pg_database WHERE datname LIKE 'garrison_drill%'")
    assert [name for (name,) in left if rich.database in name] == []


@sqlite_only
def test_one_table_of_sqlite_comes_back_beside_the_live_ones(rich):
    backup = rich.back_up()
    rich.execute("DELETE FROM every_type")
    count = services.bring_table(
        rich.open(backup), table="every_type", schema="rescue", now=timezone.now()
    )
    assert rich.execute("SELECT count(*) FROM rescue_every_type") == [(count,)] == [(2002,)]
    assert rich.execute("SELECT count(*) FROM every_type") == [(0,)]
    assert not list(rich.root.glob(".garrison_drill*"))


@pytest.mark.parametrize("schema", ["public", "pg_x", "Big", "a b", "", "x;drop", "a" * 64, "ü"])
@pytest.mark.parametrize("engine", engines()[:1], indirect=True)
def test_the_side_schema_must_be_a_plain_name(site, schema):
    backup = site.back_up()
    with pytest.raises(BackupsRefusal, match="side schema"):
        services.bring_table(site.open(backup), table="note", schema=schema, now=timezone.now())


def test_a_table_that_the_backup_does_not_hold_is_named(site):
    backup = site.back_up()
    with pytest.raises(BackupsRefusal, match="no table 'nope'"):
        services.bring_table(site.open(backup), table="nope", schema="x", now=timezone.now())
