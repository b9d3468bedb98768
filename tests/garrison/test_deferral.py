"""What waits for the end of a request is done, however the request ends."""

import asyncio
import threading

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory

from garrison import deferral
from garrison.deferral import Deferral, defer, deferred_events
from garrison.middleware import RequestContextMiddleware


class Boom(BaseException):
    """Something that nobody catches."""


def note(name):
    """Write a row, as a listener does."""
    ContentType.objects.create(app_label="tests", model=name)


def noted():
    return set(ContentType.objects.filter(app_label="tests").values_list("model", flat=True))


def test_it_waits_for_the_end_and_then_is_done_in_order():
    done = []
    with deferred_events():
        defer(lambda: done.append(1))
        with deferred_events():
            defer(lambda: done.append(2))
        assert done == []
    assert done == [1, 2]


@pytest.mark.django_db
def test_what_comes_after_the_end_is_done_at_once():
    done, scope = [], Deferral()
    with scope.bound():
        defer(lambda: done.append("before"))
        scope.close()
        defer(lambda: done.append("after"))
        with deferred_events():
            defer(lambda: done.append("in a scope of its own"))
            assert len(done) == 2
    assert done == ["before", "after", "in a scope of its own"]


@pytest.mark.django_db(transaction=True)
def test_what_comes_after_the_end_survives_a_rollback_too():
    scope = Deferral()
    scope.close()
    with scope.bound(), pytest.raises(Boom), transaction.atomic():
        defer(lambda: note("late"))
        raise Boom
    # SQLite has one writer, so there the late one shares the fate of the transaction.
    assert noted() == ({"late"} if connection.vendor == "postgresql" else set())


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_an_act_that_needs_what_its_caller_has_locked_is_done_when_that_is_released(monkeypatch):
    monkeypatch.setattr(deferral, "LONGEST_WAIT_SECONDS", 0.1)
    note("locked")
    done = threading.Event()

    def act():
        ContentType.objects.filter(model="locked").update(model="late")
        done.set()

    with pytest.raises(Boom), transaction.atomic():
        ContentType.objects.select_for_update().get(model="locked")
        defer(act)
        assert not done.is_set()
        raise Boom
    assert done.wait(10)
    assert noted() == {"late"}


@pytest.mark.django_db
def test_a_test_case_s_own_transaction_counts_as_none(monkeypatch):
    monkeypatch.setattr(deferral, "_do_in_own_thread", lambda _: pytest.fail("a connection more"))
    defer(lambda: note("seen"))
    assert noted() == {"seen"}


def test_a_request_that_ends_in_an_exception_loses_nothing(rf):
    done = []

    def view(request):
        defer(lambda: done.append("told"))
        raise Boom

    with pytest.raises(Boom):
        RequestContextMiddleware(view)(rf.get("/"))
    assert done == ["told"]


def cancelled_in_the_middle(view, *, cancellations=1):
    """Serve a request by ASGI's way, and hang up once the view has begun."""
    began = threading.Event()

    async def get_response(request):
        return await sync_to_async(view)(began)

    async def client():
        async with ThreadSensitiveContext():
            serving = asyncio.ensure_future(
                RequestContextMiddleware(get_response)(RequestFactory().get("/"))
            )
            await asyncio.to_thread(began.wait, 5)
            for _ in range(cancellations):
                serving.cancel()
                await asyncio.sleep(0.02)
            with pytest.raises(asyncio.CancelledError):
                await serving

    asyncio.run(client())


def test_a_view_whose_client_has_gone_before_it_deferred_anything_defers_to_its_end():
    done, hung_up = [], threading.Event()

    def view(began):
        began.set()
        hung_up.wait(0.3)
        defer(lambda: done.append("after"))
        assert done == []  # it may be in a transaction, which the act would wait for
        done.append("the view")

    cancelled_in_the_middle(view)
    assert done == ["the view", "after"]


@pytest.mark.parametrize("cancellations", [1, 3])
def test_a_cancelled_request_does_what_waited_and_what_came_after(cancellations):
    """The view goes on in its thread, as synchronous code does whose client has gone."""
    done, hung_up = [], threading.Event()

    def view(began):
        defer(lambda: done.append("before"))
        began.set()
        hung_up.wait(0.3)
        defer(lambda: done.append("after"))
        return HttpResponse()

    cancelled_in_the_middle(view, cancellations=cancellations)
    assert sorted(done) == ["after", "before"]


def test_a_loop_that_is_shut_down_loses_nothing():
    done = []

    async def serve():
        scope = Deferral()
        scope.add(lambda: done.append("told"))
        closing = asyncio.ensure_future(scope.aclose())
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing

    asyncio.run(serve())
    assert done == ["told"]
