# ruff: noqa: E501
"""The forms of a query that Django's documentation lists, one a line, for rows with encrypted columns.

Every form is run on rows in clear and on the same rows encrypted, by ``test_compiling.py``.
"""

from __future__ import annotations

import datetime as dt

from django.db import connection, models
from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    FilteredRelation,
    Max,
    Min,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    Sum,
    TextField,
    Value,
    When,
    Window,
)
from django.db.models import functions as f


def listed(rows):
    """Values of rows in the order the database returned them."""
    return [tuple(row.values()) if isinstance(row, dict) else row for row in rows]


def unordered(rows):
    """Values of rows whose order nobody asked for."""
    return sorted(listed(rows), key=repr)


def without_key(rows):
    """Values of rows whose order nobody asked for, after the key that keeps them apart."""
    return unordered(tuple(row)[1:] for row in rows)


def numbers(rows):
    """The rows themselves, in their order, by what clear and sealed ones share."""
    return [(row.number, row.note, row.diary) for row in rows]


def inner(o):
    """A subquery for each row: the parent's note."""
    return o.filter(pk=OuterRef("parent")).values("note")


def joined(o, *conditions):
    return o.filter(*conditions).order_by("number")


# fmt: off
# Every form is run on rows in clear and on the same rows encrypted. OPENED ones must return the
# same; REFUSED ones must return in clear (so that the form is a form) and refuse encrypted.

OPENED = {
    # --- methods that return query sets
    "all": lambda o: numbers(sorted(o.all(), key=lambda row: row.number)),
    "order_by another": lambda o: numbers(o.order_by("-number")),
    "order_by traversal": lambda o: numbers(o.order_by("parent__number", "number")),
    "order_by expression of another": lambda o: numbers(o.order_by(f.Abs("number").desc())),
    "order_by isnull": lambda o: numbers(o.order_by(Case(When(note__isnull=True, then=0), default=1), "number")),
    "reverse": lambda o: numbers(o.order_by("number").reverse()),
    "first, last": lambda o: numbers([o.order_by("number").first(), o.order_by("number").last()]),
    "earliest": lambda o: numbers([o.earliest("number"), o.latest("number")]),
    "values": lambda o: listed(o.order_by("number").values("note", "diary", "day")),
    "values_list": lambda o: listed(o.order_by("number").values_list("note", flat=True)),
    "values_list named": lambda o: [r.note for r in o.order_by("number").values_list("note", named=True)],
    "values expression": lambda o: listed(o.order_by("number").values(x=F("note"))),
    "values_list expression": lambda o: listed(o.order_by("number").values_list(F("note"), "plain")),
    "values traversal": lambda o: listed(o.order_by("number").values("parent__note", "note")),
    "values reverse": lambda o: listed(o.order_by("number", "children__number").values("children__note")),
    "annotate": lambda o: [row.x for row in o.annotate(x=F("note")).order_by("number")],
    "annotate traversal": lambda o: [r.x for r in o.annotate(x=F("parent__note")).order_by("number")],
    "alias": lambda o: numbers(o.alias(x=F("note")).filter(x__isnull=False).order_by("number")),
    "annotate isnull": lambda o: listed(o.annotate(x=F("note")).filter(x__isnull=False).order_by("number").values("x")),
    "isnull": lambda o: numbers(joined(o, Q(note__isnull=True))),
    "exact None": lambda o: numbers(joined(o, Q(note=None))),
    "negated isnull": lambda o: numbers(joined(o, ~Q(note__isnull=True) | Q(number=9))),
    "exclude": lambda o: numbers(o.exclude(note=None).order_by("number")),
    "exclude reverse": lambda o: numbers(o.exclude(children__note__isnull=True).order_by("number")),
    "isnull traversal": lambda o: numbers(joined(o, Q(parent__note__isnull=False))),
    "isnull of a subquery": lambda o: numbers(o.annotate(x=Subquery(inner(o))).filter(x__isnull=False).order_by("number")),
    "isnull in a lookup of a value": lambda o: numbers(joined(o, Q(Q(note__isnull=True)))),
    "Case isnull": lambda o: listed(o.annotate(x=Case(When(note__isnull=True, then=1), default=2)).order_by("number").values("x")),
    "only, defer": lambda o: [r.note for r in [*o.only("number").order_by("number"), *o.defer("note").order_by("number")]],
    "slice": lambda o: numbers(o.order_by("number")[1:3]),
    "in_bulk": lambda o: unordered(numbers(o.in_bulk().values())),
    "iterator": lambda o: numbers(o.order_by("number").iterator(chunk_size=2)),
    "count, exists": lambda o: (o.count(), o.values("note").count(), o.values("note").exists()),
    "count of a slice": lambda o: (o.values("note")[:2].count(), o.all()[:2].count()),
    "contains": lambda o: o.contains(o.get(number=1)),
    "explain": lambda o: bool(o.explain()),
    "text of the query": lambda o: "note" in str(o.values("note").query),
    "select_related": lambda o: [r.parent and r.parent.note for r in o.select_related("parent").order_by("number")],
    "select_related distinct": lambda o: unordered(numbers(o.select_related("parent").filter(children__number__gt=0).distinct())),
    "prefetch": lambda o: [numbers(sorted(r.children.all(), key=lambda c: c.number)) for r in o.prefetch_related("children").order_by("number")],
    "prefetch sliced": lambda o: [numbers(r.first) for r in o.order_by("number").prefetch_related(Prefetch("children", o.order_by("-number")[:1], to_attr="first"))],
    "dates of rows": lambda o: [r.day for r in o.order_by("number")],
    # --- rows told apart by more than the value
    "distinct rows": lambda o: unordered(numbers(o.filter(children__number__gt=0).distinct())),
    "distinct rows only": lambda o: unordered(numbers(o.filter(children__number__gt=0).only("note").distinct())),
    "distinct with a key": lambda o: without_key(o.values_list("pk", "note").distinct()),
    "distinct, annotated by the parent": lambda o: unordered((r.number, r.x) for r in o.annotate(x=F("parent__note")).distinct()),
    "distinct by the link": lambda o: without_key(o.values_list("parent", "parent__note").distinct()),
    "distinct count": lambda o: o.filter(children__number__gt=0).distinct().count(),
    "distinct aggregate": lambda o: o.filter(children__number__gt=0).distinct().aggregate(x=Sum("number")),
    "distinct slice exists": lambda o: o.distinct()[:2].exists(),
    "Exists of distinct slice": lambda o: o.filter(Exists(o.distinct()[:2])).count(),
    "group rows": lambda o: [(r.number, r.note, r.n) for r in o.annotate(n=Count("children")).order_by("number")],
    "group with a key": lambda o: listed(o.values("pk", "note").annotate(n=Count("children")).order_by("number").values_list("note", "n")),
    "group by the parent": lambda o: [(r.n, r.x) for r in o.annotate(x=F("parent__note"), n=Count("children")).order_by("number")],
    "group by the link": lambda o: without_key(o.values_list("parent", "parent__note").annotate(n=Count("pk"))),
    "group, subquery selected": lambda o: [(r.n, r.x) for r in o.annotate(x=Subquery(inner(o)), n=Count("children")).order_by("number")],
    "having": lambda o: numbers(o.annotate(n=Count("children")).filter(n__gt=1).order_by("number")),
    "having isnull": lambda o: numbers(o.annotate(n=Count("children")).filter(Q(n__gt=1) | Q(note=None)).order_by("number")),
    "count filtered by isnull": lambda o: o.aggregate(x=Count("pk", filter=Q(note__isnull=False))),
    "count of a slice by isnull": lambda o: o.order_by("number")[:2].aggregate(x=Count("pk", filter=Q(note__isnull=False))),
    "aggregate beside": lambda o: o.annotate(x=F("note")).aggregate(n=Max("number")),
    "aggregate beside, sliced": lambda o: o.annotate(x=F("note"))[:9].aggregate(n=Max("number")),
    "window beside": lambda o: listed(o.annotate(r=Window(f.RowNumber(), partition_by="parent", order_by="number")).filter(r=1).order_by("number").values("note", "r")),
    "window rows": lambda o: numbers(o.annotate(r=Window(f.RowNumber(), order_by="number")).filter(r__lt=3, note__isnull=False).order_by("number")),
    "window or isnull": lambda o: numbers(o.annotate(r=Window(f.RowNumber(), order_by="number")).filter(Q(r=1) | Q(note__isnull=True)).order_by("number")),
    "union rows": lambda o: unordered(numbers(o.filter(number__lt=3).union(o.filter(number__gt=1)))),
    "union rows ordered": lambda o: numbers(o.filter(number__lt=3).union(o.filter(number__gt=3)).order_by("-number")),
    "union all": lambda o: unordered(o.values_list("note").union(o.values_list("note"), all=True)),
    "union all, beside": lambda o: unordered(o.values_list("plain", "note").union(o.values_list("plain", "note"), all=True)),
    "union with a key": lambda o: without_key(o.values_list("pk", "note").union(o.values_list("pk", "note"))),
    "union count": lambda o: o.filter(number__lt=3).union(o.filter(number__gt=1)).count(),
    "intersection rows": lambda o: numbers(o.filter(number__lt=3).intersection(o.filter(number__gt=1))),
    "difference rows": lambda o: unordered(numbers(o.all().difference(o.filter(number__gt=1)))),
    # --- subqueries
    "Subquery": lambda o: [r.x for r in o.annotate(x=Subquery(inner(o))).order_by("number")],
    "Subquery values": lambda o: listed(o.annotate(x=Subquery(inner(o))).order_by("number").values("x")),
    "Subquery of a renamed column": lambda o: [r.x for r in o.annotate(x=Subquery(inner(o).annotate(y=F("note")).values("y"))).order_by("number")],
    "Subquery in a Subquery": lambda o: listed(o.annotate(x=Subquery(o.filter(pk=OuterRef("pk")).annotate(y=Subquery(inner(o))).values("y"))).order_by("number").values("x")),
    "Subquery ordered by another": lambda o: [r.x for r in o.annotate(x=Subquery(o.order_by("-number").values("note")[:1])).order_by("number")],
    "OuterRef selected": lambda o: listed(o.annotate(x=Subquery(o.filter(pk=OuterRef("pk")).annotate(y=OuterRef("note")).values("y"))).order_by("number").values("x")),
    "Exists": lambda o: numbers(o.filter(Exists(o.filter(parent=OuterRef("pk")).values("note"))).order_by("number")),
    "Exists isnull": lambda o: numbers(o.filter(Exists(o.filter(parent=OuterRef("pk"), note=None))).order_by("number")),
    "in rows": lambda o: numbers(joined(o, Q(parent__in=o.filter(number=1)))),
    "in a union of rows": lambda o: numbers(joined(o, Q(pk__in=o.filter(number=1).union(o.filter(number=2)).values("pk")))),
    "FilteredRelation": lambda o: listed(o.annotate(c=FilteredRelation("children", condition=Q(children__number__gt=2))).order_by("number", "c__number").values_list("c__note")),
    "extra select beside": lambda o: [(r.x, r.note) for r in o.extra(select={"x": "number"}).order_by("number")],
    # --- writes
    "get_or_create by another": lambda o: o.get_or_create(number=1, defaults={"note": "x"})[0].note,
    "update_or_create": lambda o: o.update_or_create(number=1, defaults={"note": "y"})[0].note,
    "update of another": lambda o: o.filter(note__isnull=False).update(number=F("number") + 1),
    "update by a window": lambda o: o.filter(pk__in=o.filter(number__gt=1).values("pk")).update(plain="z"),
    "delete": lambda o: o.filter(note__isnull=True).delete()[0],
    "raw": lambda o: [r.note for r in o.raw(f"SELECT * FROM {o.model._meta.db_table} ORDER BY number")],
}

REFUSED = {
    # --- lookups
    **{f"filter {lookup}": lambda o, lookup=lookup: numbers(o.filter(**{f"note__{lookup}": "a"})) for lookup in ("exact", "iexact", "contains", "icontains", "gt", "gte", "lt", "lte", "startswith", "istartswith", "endswith", "iendswith", "regex", "iregex")},
    "filter in": lambda o: numbers(o.filter(note__in=["a"])),
    "filter range": lambda o: numbers(o.filter(note__range=("a", "b"))),
    **{f"filter {part}": lambda o, part=part: numbers(o.filter(**{f"day__{part}": 1})) for part in ("year", "iso_year", "month", "day", "week", "week_day", "iso_week_day", "quarter")},
    "filter traversal": lambda o: numbers(o.filter(parent__note="a")),
    "filter reverse": lambda o: numbers(o.filter(children__note="a")),
    "exclude": lambda o: numbers(o.exclude(note="a")),
    "exclude reverse": lambda o: numbers(o.exclude(children__note="a")),
    "negated": lambda o: numbers(o.filter(~Q(note="a"))),
    "xor": lambda o: numbers(o.filter(Q(note="a") ^ Q(number=1))),
    "get": lambda o: o.get(note="b", number=1).number,
    "get_or_create": lambda o: o.get_or_create(note="c", number=4)[0].number,
    "update_or_create": lambda o: o.update_or_create(note="c", defaults={"number": 4})[0].number,
    "right side": lambda o: numbers(o.filter(plain=F("note"))),
    "right side, annotated": lambda o: numbers(o.annotate(x=F("note")).filter(plain=F("x"))),
    "both sides": lambda o: numbers(o.filter(note=F("diary"))),
    "right side traversal": lambda o: numbers(o.filter(plain=F("parent__note"))),
    "right side in a list": lambda o: numbers(o.filter(plain__in=[F("note"), "x"])),
    "right side, range": lambda o: numbers(o.filter(plain__range=("", F("note")))),
    "right side, pattern": lambda o: numbers(o.filter(plain__contains=F("note"))),
    "in a query": lambda o: numbers(o.filter(plain__in=o.values("note"))),
    "in a query, annotated": lambda o: numbers(o.filter(plain__in=o.annotate(x=F("note")).values("x"))),
    "in a union": lambda o: numbers(o.filter(plain__in=o.values("note").union(o.values("note"), all=True))),
    "not in a query": lambda o: numbers(o.exclude(plain__in=o.exclude(note=None).values("note"))),
    "exact a query": lambda o: numbers(o.filter(plain=o.order_by("number").values("note")[:1])),
    "exact a Subquery": lambda o: numbers(o.filter(plain=Subquery(inner(o)[:1]))),
    "a Subquery exact": lambda o: numbers(o.alias(x=Subquery(inner(o))).filter(x="a")),
    "a Subquery on the right": lambda o: numbers(o.annotate(x=Subquery(inner(o)[:1])).filter(plain=F("x"))),
    "in of an annotation": lambda o: numbers(o.annotate(x=F("note")).filter(x__in=["a"])),
    "Exists by OuterRef": lambda o: numbers(o.filter(Exists(o.filter(plain=OuterRef("note"))))),
    "Exists of distinct values": lambda o: o.filter(Exists(o.values("note").distinct()[:1])).count(),
    "Subquery by OuterRef": lambda o: listed(o.values(x=Subquery(o.filter(plain=OuterRef("note")).values("number")[:1]))),
    "FilteredRelation": lambda o: listed(o.annotate(c=FilteredRelation("children", condition=Q(children__note="a"))).values("c__number")),
    "lookup as a value": lambda o: listed(o.annotate(x=Q(note="a")).values("x")),
    # --- orders
    "order_by": lambda o: numbers(o.order_by("note")),
    "order_by descending": lambda o: numbers(o.order_by("-note")),
    "order_by F": lambda o: numbers(o.order_by(F("note"))),
    "order_by nulls": lambda o: numbers(o.order_by(F("note").asc(nulls_last=True))),
    "order_by function": lambda o: numbers(o.order_by(f.Lower("note"))),
    "order_by traversal": lambda o: numbers(o.order_by("parent__note")),
    "order_by reverse": lambda o: numbers(o.order_by("children__note")),
    "order_by second": lambda o: numbers(o.order_by("number", "note")),
    "values order_by": lambda o: listed(o.values("note").order_by("note")),
    "values order_by descending": lambda o: listed(o.values("note").order_by("-note")),
    "values order_by F": lambda o: listed(o.values("note").order_by(F("note").desc(nulls_first=True))),
    "values order_by traversal": lambda o: listed(o.values("parent__note").order_by("parent__note")),
    "values_list order_by": lambda o: listed(o.values_list("note").order_by("note")),
    "values_list flat order_by": lambda o: listed(o.values_list("note", flat=True).order_by("note")),
    "values expression order_by": lambda o: listed(o.values(x=F("note")).order_by("x")),
    "values order_by reverse": lambda o: listed(o.values("note").order_by("note").reverse()),
    "order_by, then values": lambda o: listed(o.order_by("note").values("note", "number")),
    "annotate order_by": lambda o: numbers(o.annotate(x=F("note")).order_by("x")),
    "annotate order_by F": lambda o: numbers(o.annotate(x=F("note")).order_by(F("x").desc())),
    "annotate order_by function": lambda o: numbers(o.annotate(x=F("note")).order_by(f.Upper("x"))),
    "annotate traversal order_by": lambda o: numbers(o.annotate(x=F("parent__note")).order_by("x")),
    "alias order_by": lambda o: numbers(o.alias(x=F("note")).order_by("x")),
    "Subquery order_by": lambda o: numbers(o.annotate(x=Subquery(inner(o))).order_by("x")),
    "order_by Subquery": lambda o: numbers(o.order_by(Subquery(inner(o)))),
    "Subquery in its order": lambda o: listed(o.values(x=Subquery(o.order_by("note").values("note")[:1]))),
    "group order_by": lambda o: listed(o.annotate(n=Count("children")).order_by("note").values("n")),
    "earliest": lambda o: o.earliest("note").number,
    "latest": lambda o: o.latest("day").number,
    "first": lambda o: o.order_by("note").first().number,
    "last": lambda o: o.order_by("note").last().number,
    "slice by order": lambda o: numbers(o.order_by("note")[:2]),
    "delete by order": lambda o: o.filter(pk__in=o.order_by("note").values("pk")[:1]).delete()[0],
    "prefetch by order": lambda o: list(o.prefetch_related(Prefetch("children", o.order_by("note")[:1], to_attr="first"))),
    "union order_by": lambda o: numbers(o.all().union(o.all()).order_by("note")),
    "union all order_by": lambda o: listed(o.values("note").union(o.values("note"), all=True).order_by("note")),
    "union annotation order_by": lambda o: listed(o.values(x=F("note")).union(o.values(x=F("note")), all=True).order_by("-x")),
    "extra order_by": lambda o: numbers(o.extra(order_by=["note"])),
    # --- rows told apart by the value
    "distinct values": lambda o: unordered(o.values("note").distinct()),
    "distinct values_list": lambda o: unordered(o.values_list("note", "plain").distinct()),
    "distinct annotation": lambda o: unordered(o.values(x=F("note")).distinct()),
    "distinct traversal": lambda o: unordered(o.values("parent__note").distinct()),
    "distinct to many": lambda o: without_key(o.values_list("pk", "children__note").distinct()),
    "distinct count": lambda o: o.values("note").distinct().count(),
    "distinct Subquery": lambda o: unordered(o.values(x=Subquery(inner(o))).distinct()),
    "distinct in a Subquery": lambda o: listed(o.values(x=Subquery(o.values("note").distinct()[:1]))),
    "union": lambda o: unordered(o.values_list("note").union(o.values_list("note"))),
    "union of columns": lambda o: unordered(o.values_list("note").union(o.values_list("diary"), all=True)),
    "union clear first": lambda o: unordered(o.values_list("plain").union(o.values_list("note"), all=True)),
    "union clear second": lambda o: unordered(o.values_list("note").union(o.values_list("plain"), all=True)),
    "union swapped": lambda o: unordered(o.values_list("plain", "note").union(o.values_list("note", "plain"), all=True)),
    "union, then values": lambda o: unordered(o.all().union(o.all()).values_list("note")),
    "union with a key of another": lambda o: unordered(o.values_list("pk", "note").union(o.values_list("number", "note"))),
    "union of unions": lambda o: unordered(o.values_list("plain").union(o.values_list("plain").union(o.values_list("note"), all=True), all=True)),
    "intersection": lambda o: unordered(o.values_list("note").intersection(o.values_list("note"))),
    "difference": lambda o: unordered(o.values_list("note").difference(o.values_list("note"))),
    "union count": lambda o: o.values("note").union(o.values("note")).count(),
    "group by": lambda o: unordered(o.values("note").annotate(n=Count("pk"))),
    "group by, unselected": lambda o: unordered(o.values("note").annotate(n=Count("pk")).values_list("n")),
    "group by annotation": lambda o: unordered(o.values(x=F("note")).annotate(n=Count("pk"))),
    "group by traversal": lambda o: unordered(o.values("parent__note").annotate(n=Count("pk"))),
    "group by to many": lambda o: unordered(o.values("pk", "children__note").annotate(n=Count("pk")).values_list("n")),
    "group by Subquery": lambda o: unordered(o.values(x=Subquery(inner(o))).annotate(n=Count("pk"))),
    "group by, counted": lambda o: o.values("note").annotate(n=Count("pk")).count(),
    "having": lambda o: unordered(o.values("number").annotate(n=Max("note")).filter(n="a")),
    # --- aggregates
    **{f"aggregate {function.__name__}": lambda o, function=function: o.aggregate(x=function("note")) for function in (Max, Min, Count)},
    "aggregate distinct": lambda o: o.aggregate(x=Count("note", distinct=True)),
    "aggregate traversal": lambda o: o.aggregate(x=Max("parent__note")),
    "aggregate annotation": lambda o: o.annotate(x=F("note")).aggregate(y=Max("x")),
    "aggregate slice": lambda o: o.order_by("number")[:3].aggregate(x=Max("note")),
    "aggregate slice annotation": lambda o: o.annotate(x=F("note"))[:3].aggregate(y=Max("x")),
    "aggregate distinct rows": lambda o: o.distinct().aggregate(x=Max("note")),
    "aggregate of a group": lambda o: o.annotate(n=Count("children")).aggregate(x=Max("note")),
    "aggregate Subquery": lambda o: o.annotate(x=Subquery(inner(o))).aggregate(y=Max("x")),
    "aggregate filter": lambda o: o.aggregate(x=Count("pk", filter=Q(plain=F("note")))),
    "aggregate filter of a slice": lambda o: o.all()[:3].aggregate(x=Count("pk", filter=Q(plain=F("note")))),
    "aggregate Case of a slice": lambda o: o.all()[:3].aggregate(x=Count(Case(When(plain=F("note"), then=1)))),
    "annotate aggregate": lambda o: unordered(o.values("number").annotate(x=Max("note"))),
    "annotate aggregate reverse": lambda o: unordered(r.x for r in o.annotate(x=Min("children__note"))),
    # --- expressions
    "Lower": lambda o: unordered(o.values(x=f.Lower("note"))),
    "Lower of an annotation": lambda o: unordered(o.annotate(x=F("note")).values(y=f.Lower("x"))),
    "Length": lambda o: unordered(o.annotate(x=f.Length("note")).values("x")),
    "Concat": lambda o: unordered(o.values(x=f.Concat("note", Value("!", TextField()), output_field=TextField()))),
    "Coalesce": lambda o: unordered(o.values(x=f.Coalesce("note", Value("", TextField()), output_field=TextField()))),
    "Greatest": lambda o: unordered(o.values(x=f.Greatest("note", "plain", output_field=TextField()))),
    "NullIf": lambda o: unordered(o.values(x=f.NullIf("note", "plain", output_field=TextField()))),
    "Cast": lambda o: unordered(o.values(x=f.Cast("note", TextField()))),
    "Collate": lambda o: unordered(o.values(x=f.Collate("note", "C" if connection.vendor == "postgresql" else "nocase"))),
    "JSONObject": lambda o: unordered(o.values_list(f.JSONObject(x="note"), flat=True)),
    "combined": lambda o: unordered(o.values(x=ExpressionWrapper(F("day") + dt.timedelta(days=1), output_field=models.DateField()))),
    "ExpressionWrapper": lambda o: unordered(o.values(x=ExpressionWrapper(F("note"), output_field=TextField()))),
    "Case then": lambda o: unordered(o.values(x=Case(When(number=1, then="note"), default=Value("", TextField()), output_field=TextField()))),
    "Case default": lambda o: unordered(o.values(x=Case(When(number=1, then=Value("", TextField())), default="note", output_field=TextField()))),
    "When": lambda o: unordered(o.values(x=Case(When(note="a", then=1)))),
    "When F": lambda o: unordered(o.values(x=Case(When(plain=F("note"), then=1)))),
    "When F beside the column": lambda o: unordered(o.annotate(y=F("note")).values("y", x=Case(When(plain=F("y"), then=1)))),
    "Window of": lambda o: unordered(o.values(x=Window(f.FirstValue("note"), order_by="number"))),
    "Window partition": lambda o: unordered(o.values(x=Window(f.RowNumber(), partition_by="note"))),
    "Window order": lambda o: unordered(o.values(x=Window(f.RowNumber(), order_by="note"))),
    "Window filter": lambda o: listed(o.annotate(y=F("note"), r=Window(f.RowNumber(), order_by="number")).filter(Q(r=1) | Q(plain=F("y"))).values("y")),
    "Window filter beside": lambda o: listed(o.annotate(r=Window(f.RowNumber(), order_by="number")).filter(r=1, plain=F("note")).values("number")),
    "Window filter, ordered": lambda o: listed(o.annotate(r=Window(f.RowNumber(), order_by="number")).filter(r=1).values("note").order_by("note")),
    "Subquery of another type": lambda o: unordered(o.values(x=Subquery(inner(o), output_field=CharField()))),
    "Subquery in a function": lambda o: unordered(o.values(x=f.Lower(Subquery(inner(o))))),
    "Subquery in Coalesce": lambda o: unordered(o.values(x=f.Coalesce(Subquery(inner(o)), Value("", TextField()), output_field=TextField()))),
    "Subquery of a function": lambda o: unordered(o.values(x=Subquery(inner(o).annotate(y=f.Lower("note")).values("y")))),
    "OuterRef in a function": lambda o: unordered(o.values(x=Subquery(o.filter(pk=OuterRef("pk")).annotate(y=f.Lower(OuterRef("note"))).values("y")))),
    # --- writes
    "update to another": lambda o: o.update(plain=f.Coalesce(F("note"), Value("", TextField()), output_field=TextField())),
    "update from F": lambda o: o.exclude(note=None).update(plain=F("note")),
    "update from a Subquery": lambda o: o.filter(number=2).update(plain=Subquery(o.filter(number=1).values("note"))),
    "update to F": lambda o: o.update(note=F("plain")),
    "update by filter": lambda o: o.filter(note="a").update(plain="x"),
    "update by order": lambda o: o.filter(pk__in=o.order_by("note").values("pk")[:1]).update(plain="x"),
    "create from F": lambda o: o.create(number=9, note=f.Lower(Value("X"))).number,
    "create from a Subquery": lambda o: o.create(number=9, plain=Subquery(o.filter(number=1).values("note"))).number,
    "delete": lambda o: o.filter(note="a").delete()[0],
    # --- forms of one type alone
    "dates": lambda o: list(o.dates("day", "month")),
    "Extract": lambda o: unordered(o.values(x=f.ExtractYear("day"))),
    "Trunc": lambda o: unordered(o.values(x=f.TruncMonth("day"))),
}
# fmt: on

if connection.vendor == "postgresql":
    OPENED["distinct on another"] = lambda o: numbers(o.order_by("plain").distinct("plain"))
    REFUSED |= {
        "distinct on": lambda o: unordered(o.distinct("note").values("note")),
        "distinct on an annotation": lambda o: unordered(
            o.annotate(x=F("note")).distinct("x").values("x")
        ),
        "distinct on, ordered": lambda o: numbers(o.order_by("note").distinct("note")),
    }
