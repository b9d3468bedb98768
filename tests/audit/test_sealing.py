"""Sealing: every event once, in one chain, whoever seals and whatever is open meanwhile."""

import itertools
import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import tasks
from audit.keys import EPOCH
from audit.models import EventSeal, SealedUntil, SecurityEvent
from audit.sealing import horizon, sealer
from audit.sealing.encoding import GENESIS
from tests.audit.attacks import looked
from tests.audit.happenings import NOON, happened

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def chain():
    return list(EventSeal.objects.order_by("stream", "seq"))


def unsealed():
    return SecurityEvent.objects.filter(seal__isnull=True).count()


def settled_at():
    return SealedUntil.objects.get().settled_at


@pytest.mark.django_db
def test_each_event_gets_its_place_in_one_chain():
    events = happened(NOON + SECOND * n for n in range(7))
    assert sealer.catch_up(now=NOON + MINUTE * 5, batch=3) == 8
    seals = chain()
    adopted = SecurityEvent.objects.get(kind="audit.key.adopted")
    assert adopted.data == {"before": None, "from_number": 1, "stream": "main"}
    assert [s.event_id for s in seals] == [*(e.pk for e in events), adopted.pk]
    assert [s.seq for s in seals] == list(range(1, 9))
    assert [bytes(s.prev) for s in seals] == [GENESIS, *(bytes(s.mac) for s in seals[:-1])]


@pytest.mark.django_db
def test_sealing_again_changes_nothing():
    happened(NOON + SECOND * n for n in range(5))
    sealer.catch_up(now=NOON + MINUTE)
    sealer.catch_up(now=NOON + MINUTE)
    before = list(EventSeal.objects.order_by("pk").values())
    assert sealer.catch_up(now=NOON + HOUR, since=EPOCH) == 0
    assert list(EventSeal.objects.order_by("pk").values()) == before


@pytest.mark.django_db
def test_each_stream_has_a_chain_of_its_own():
    happened((NOON + SECOND * n for n in range(3)), stream="main")
    happened((NOON + SECOND * n for n in range(3)), stream="side")
    sealer.catch_up(now=NOON + MINUTE, batch=2)
    of_side = EventSeal.objects.filter(stream="side").order_by("seq")
    assert [s.seq for s in of_side] == [1, 2, 3]
    assert bytes(of_side[0].prev) == GENESIS
    assert looked().heads.keys() == {"main", "side"}


@pytest.mark.django_db
def test_the_database_itself_knows_one_seal_for_an_event_and_one_event_for_a_number():
    one, two = happened([NOON, NOON + SECOND])
    sealer.catch_up(now=NOON + MINUTE)
    seal = EventSeal.objects.get(event=one)
    for event, seq in ((one, 99), (two, seal.seq)):
        with pytest.raises(IntegrityError), transaction.atomic():
            EventSeal.objects.create(
                event=event,
                stream="main",
                seq=seq,
                version=1,
                key_id="k",
                prev=b"",
                mac=b"",
                sealed_at=NOON,
            )


@pytest.mark.django_db
def test_an_event_that_is_stored_late_is_found_while_it_is_within_the_grace(alone):
    happened([NOON, NOON + MINUTE])
    for n in range(4):
        sealer.catch_up(now=NOON + MINUTE + SECOND * 6 * n)
    assert settled_at() > NOON
    happened([settled_at() + SECOND])
    assert sealer.keep_up(now=NOON + MINUTE * 2) == 1


@pytest.mark.django_db
def test_an_event_that_is_stored_later_than_the_grace_is_sealed_by_the_tasks(alone):
    now = timezone.now()
    happened([now - HOUR * 3, now])
    for n in range(4):
        sealer.catch_up(now=now + SECOND * 6 * n)
    happened([now - MINUTE * 10, now - HOUR])
    assert sealer.keep_up(now=timezone.now()) == 0
    assert unsealed() == 2
    tasks.seal_events()
    assert unsealed() == 2  # one of them reports that the first checkpoint was signed
    tasks.seal_late()
    assert unsealed() == 0


@pytest.mark.django_db
def test_a_mark_that_lies_in_the_future_is_not_believed():
    SealedUntil.objects.create(settled_at=NOON + timedelta(days=9999))
    happened([NOON])
    assert sealer.keep_up(now=NOON + SECOND * 30) == 1


@pytest.mark.django_db
def test_an_event_dated_in_the_future_hides_nothing():
    happened([NOON + timedelta(days=300)])
    sealer.catch_up(now=NOON)
    happened([NOON, NOON + SECOND])
    sealer.keep_up(now=NOON + SECOND * 2)
    assert unsealed() == 0


@pytest.fixture
def alone(monkeypatch):
    """Have nobody else's transactions on the server; other tests may run beside this one."""
    numbers = itertools.count(1)
    monkeypatch.setattr(
        horizon, "transactions", lambda _: horizon.Transactions(n := next(numbers), n)
    )


def named(queries):
    """Name each query by its verb and its tables."""
    names = []
    for query in queries:
        sql = query["sql"]
        if "SAVEPOINT" in sql:
            continue
        tables = "+".join(dict.fromkeys(re.findall(r"audit_(\w+?)\b", sql)))
        names.append(f"{sql.split()[0]} {tables or 'nothing'}")
    return names


@pytest.mark.django_db
def test_a_look_where_nothing_is_new_asks_twice_and_locks_and_writes_nothing(alone):
    happened([NOON])
    for n in range(3):
        sealer.catch_up(now=NOON + SECOND * 6 * n)
    now = settled_at() + MINUTE
    with CaptureQueriesContext(connection) as queries:
        assert sealer.keep_up(now=now) == 0
    assert named(queries) == ["SELECT sealeduntil", "SELECT securityevent+eventseal"]


@pytest.mark.postgresql
@pytest.mark.django_db
def test_every_query_of_a_batch_is_known(alone):
    happened([NOON])
    for n in range(3):
        sealer.catch_up(now=NOON + SECOND * 6 * n)
    happened(NOON + SECOND * (20 + n) for n in range(50))
    with CaptureQueriesContext(connection) as queries:
        assert sealer.catch_up(now=NOON + MINUTE * 2) == 50
    assert named(queries) == [
        "SET nothing",  # a sealer that is stopped in its transaction loses it
        "SELECT sealeduntil",  # is there a mark?
        "SELECT sealeduntil",  # locked
        "UPDATE sealeduntil",  # wait for them
        "SELECT securityevent+eventseal",  # what has no seal
        "SELECT eventseal",  # the head
        "COPY eventseal",
        "UPDATE sealeduntil",  # settled
    ]


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("since", [None, NOON + HOUR * 2])
def test_no_look_reads_a_whole_table(alone, since):
    """With 9,000 sealed events, a look at the last of them goes along two indexes."""
    happened(NOON + SECOND * n for n in range(9_000))
    for n in range(3):
        sealer.catch_up(now=NOON + HOUR * 2 + MINUTE * 31 + SECOND * 6 * n)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE audit_securityevent, audit_eventseal")
        with CaptureQueriesContext(connection) as queries:
            sealer.catch_up(now=NOON + HOUR * 2 + MINUTE * 32, since=since)
        (sql,) = [q["sql"] for q in queries if "NOT EXISTS" in q["sql"]]
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF) {sql}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    if since is None:
        cursor_rows = max(int(n) for n in re.findall(r"actual rows=(\d+)", plan))
        assert cursor_rows < 500, plan
    assert "Seq Scan" not in plan, plan


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 40), st.booleans()), min_size=1, max_size=12
    ),
    batch=st.integers(1, 5),
)
@pytest.mark.django_db
def test_however_events_arrive_the_chain_holds_each_of_them_once(steps, batch, db):
    """Each step: so many seconds later, an event that is so many seconds old, and a look or not."""
    with transaction.atomic():
        now = NOON
        for later, age, looks in steps:
            now += SECOND * later
            happened([now - SECOND * age])
            if looks:
                sealer.catch_up(now=now, batch=batch)
        sealer.catch_up(now=now, batch=batch)
        sealer.catch_up(now=now, batch=batch)
        assert unsealed() == 0
        assert [s.seq for s in chain()] == list(range(1, SecurityEvent.objects.count() + 1))
        assert looked().counts.keys() <= {"unprotected"}
        transaction.set_rollback(True)


def test_the_numbers_of_another_server_are_not_waited_for():
    """A restored database remembers transaction numbers that this server has not reached."""
    running = horizon.Transactions(oldest=100, ours=101)
    mark = SealedUntil(waiting_at=NOON, waiting_for=5_000_000)
    assert horizon.settles(mark, running) is None
    assert horizon.wait_anew(mark, running, NOON + MINUTE)
    assert (mark.waiting_at, mark.waiting_for) == (NOON + MINUTE, 101)
    assert horizon.settles(mark, horizon.Transactions(oldest=101, ours=120)) is None
    assert horizon.settles(mark, horizon.Transactions(oldest=102, ours=120)) == NOON
