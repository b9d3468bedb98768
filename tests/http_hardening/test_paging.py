"""A list, page by page: nothing twice, nothing left out, and no cursor but our own."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import EventCount, SecurityEvent
from http_hardening.api.paging import page_of
from http_hardening.errors import InvalidQuery

pytestmark = pytest.mark.django_db


@pytest.fixture
def events():
    at = timezone.now()
    return SecurityEvent.objects.bulk_create(
        SecurityEvent(at=at - timedelta(milliseconds=n), kind="tests.door.opened") for n in range(7)
    )


@pytest.fixture
def counts():
    """Rows of which many share the moment that orders them."""
    at = timezone.now().replace(microsecond=123456)
    return EventCount.objects.bulk_create(
        EventCount(
            period="m",
            starts_at=at - timedelta(microseconds=n // 3),
            kind=f"tests.door.{n}",
            severity=10,
            count=1,
        )
        for n in range(10)
    )


def opened():
    return SecurityEvent.objects.filter(kind="tests.door.opened")


def pages(rows, *, limit, **how):
    cursor = ""
    while cursor is not None:
        page = page_of(rows, of="notes", cursor=cursor, limit=limit, **how)
        yield page.results
        cursor = page.next


@pytest.mark.parametrize(("limit", "lengths"), [(3, [3, 3, 1]), (7, [7]), (1, [1] * 7), (200, [7])])
def test_pages_hold_every_row_once(events, limit, lengths):
    found = list(pages(opened(), limit=limit))
    assert [len(page) for page in found] == lengths
    assert [row.pk for page in found for row in page] == [event.pk for event in events]


def test_rows_of_one_moment_are_told_apart_by_their_key(counts):
    found = list(pages(EventCount.objects.all(), limit=2, newest_by=("starts_at", "pk")))
    keys = [row.pk for page in found for row in page]
    assert sorted(keys) == sorted(count.pk for count in counts)
    assert keys == list(
        EventCount.objects.order_by("-starts_at", "-pk").values_list("pk", flat=True)
    )


def test_what_comes_in_between_shifts_nothing(events):
    first = page_of(opened(), of="notes", cursor="", limit=3)
    SecurityEvent.objects.create(kind="tests.door.opened", at=timezone.now())
    second = page_of(opened(), of="notes", cursor=first.next, limit=3)
    assert [row.pk for row in second.results] == [event.pk for event in events[3:6]]


def test_a_page_is_one_query_that_counts_nothing_and_skips_nothing(events):
    cursor = page_of(opened(), of="notes", cursor="", limit=2).next
    with CaptureQueriesContext(connection) as queries:
        page_of(opened(), of="notes", cursor=cursor, limit=2)
    (query,) = queries
    assert "LIMIT 3" in query["sql"]
    assert not {"COUNT", "OFFSET"} & set(query["sql"].split())


def forged(cursor):
    place, _, signature = cursor.partition(":")
    other = base64.urlsafe_b64encode(b'["00000000-0000-0000-0000-000000000000"]').decode()
    yield from ["x", place, f"{place}:", f"{other.rstrip('=')}:{signature}", f"{cursor}x"]
    yield from [cursor[1:], "\x00", "é", ":" * 40, signing.Signer().sign_object(["x"])]


def test_a_cursor_that_is_not_ours_is_refused(events, counts):
    cursor = page_of(opened(), of="notes", cursor="", limit=2).next
    other = page_of(opened(), of="other notes", cursor="", limit=2).next
    for wrong in [*forged(cursor), other]:
        with pytest.raises(InvalidQuery) as refused:
            page_of(opened(), of="notes", cursor=wrong, limit=2)
        assert [error.field for error in refused.value.errors] == ["cursor"]


def test_a_cursor_outlives_a_change_of_the_secret_key(events, settings):
    cursor = page_of(opened(), of="notes", cursor="", limit=3).next
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-that-is-long-enough-for-django-and-for-the-test"
    assert len(page_of(opened(), of="notes", cursor=cursor, limit=9).results) == 4
