"""Every form of a query that Django's documentation lists: opened as in clear, or refused."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection, models, transaction
from django.db.models import CheckConstraint, F, Index, Q, UniqueConstraint, Value
from django.db.models.functions import Lower
from django.test.utils import isolate_apps

from encryption.errors import ExpressionRefused
from encryption.fields import Encrypted, RowSalt
from tests.encryption.clinic.models import ClearEntry, Clinical, EmergencyVisit, SealedEntry
from tests.encryption.conftest import CLINIC
from tests.encryption.query_forms import OPENED, REFUSED

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries():
    """The managers of two tables with the same rows, one in clear and one encrypted."""
    for model in (ClearEntry, SealedEntry):
        rows = {}
        for number, note, parent in [
            (1, "b", None), (2, "a", 1), (3, "a", 1), (4, None, 2), (5, "c", 2), (6, "b", None),
        ]:  # fmt: skip
            rows[number] = model.objects.create(
                number=number,
                note=note,
                plain="b" if number > 3 else "d",
                diary=f"d{9 - number}",
                day=dt.date(2026, 10 - number, 1),
                parent=rows.get(parent),
            )
    return ClearEntry.objects, SealedEntry.objects


@pytest.mark.parametrize("form", OPENED)
def test_a_form_that_compares_no_encrypted_value_returns_what_it_returns_in_clear(entries, form):
    clear, sealed = entries

    expected = OPENED[form](clear)

    assert OPENED[form](sealed) == expected
    assert expected not in ([], None)


@pytest.mark.parametrize("form", REFUSED)
def test_a_form_that_compares_an_encrypted_value_is_refused(entries, form):
    clear, sealed = entries

    with transaction.atomic():
        REFUSED[form](clear)  # it is a form that works

    with pytest.raises(ExpressionRefused) as refusal, transaction.atomic():
        REFUSED[form](sealed)
    assert "clinic.SealedEntry." in str(refusal.value)


@pytest.mark.parametrize(
    "rule",
    [
        CheckConstraint(condition=Q(note="a"), name="rule"),
        CheckConstraint(condition=Q(note__gt=Value("a")), name="rule"),
        CheckConstraint(condition=Q(plain=F("note")), name="rule"),
        UniqueConstraint(F("note"), name="rule"),
        UniqueConstraint(Lower("note"), name="rule"),
        UniqueConstraint("plain", condition=Q(note="a"), name="rule"),
        Index(F("note").desc(), name="rule"),
        Index("plain", condition=Q(note="a"), name="rule"),
    ],
    ids=str,
)
def test_a_constraint_or_index_over_an_encrypted_value_is_refused(rule):
    str(rule.create_sql(ClearEntry, connection.schema_editor()))

    with pytest.raises(ExpressionRefused):
        str(rule.create_sql(SealedEntry, connection.schema_editor()))


@isolate_apps(CLINIC)
def test_a_generated_column_over_an_encrypted_value_is_refused():
    class Generated(Clinical):
        row_salt = RowSalt()
        note = Encrypted(models.TextField())
        lowered = models.GeneratedField(
            expression=Lower("note"), output_field=models.TextField(), db_persist=True
        )

    with pytest.raises(ExpressionRefused):
        Generated._meta.get_field("lowered").generated_sql(connection)


def test_a_clear_column_of_a_parent_table_is_updated_beside_encrypted_ones():
    EmergencyVisit.objects.create(number=1, remark="r", cause="c")

    assert EmergencyVisit.objects.filter(number=1, cause__isnull=False).update(number=2) == 1

    assert EmergencyVisit.objects.get(number=2).remark == "r"


def test_the_sql_of_a_query_can_be_read_without_running_it():
    query = SealedEntry.objects.order_by("number").values("note").query

    sql, _ = query.get_compiler("default").as_sql()

    assert sql == query.sql_with_params()[0]
