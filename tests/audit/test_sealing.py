"""Sealing: every event once, in one chain, whoever seals and whatever is open meanwhile."""

from datetime import timedelta

import pytest

from audit.models import EventSeal, SecurityEvent
from audit.sealing import sealer
from audit.sealing.encoding import GENESIS
from tests.audit.happenings import NOON, happened


def chain():
    return list(EventSeal.objects.order_by("stream", "seq"))


@pytest.mark.django_db
def test_each_event_gets_its_place_in_one_chain():
    events = happened(NOON + timedelta(seconds=n) for n in range(7))
    assert sealer.catch_up(now=NOON + timedelta(minutes=5), batch=3) == 8
    seals = chain()
    adopted = SecurityEvent.objects.get(kind="audit.key.adopted")
    assert [s.event_id for s in seals] == [e.pk for e in events] + [adopted.pk]
    assert [s.seq for s in seals] == list(range(1, 9))
    assert [bytes(s.prev) for s in seals] == [GENESIS, *(bytes(s.mac) for s in seals[:-1])]
    assert adopted.data == {"before": None, "from_number": 1, "stream": "main"}
