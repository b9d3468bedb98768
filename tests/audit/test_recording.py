"""Events are stored with their change, and refusals survive it."""

import pytest
from django.db import transaction

from audit.models import SecurityEvent
from garrison import events
from garrison.events import EventKind, Outcome, Severity

DONE = EventKind("tests.door.opened", Severity.INFO, "A door was opened.")
REFUSED = EventKind("tests.door.refused", Severity.MEDIUM, "A door stayed shut.", Outcome.REFUSED)


class Rollback(Exception):
    """Undoes what a test did."""


@pytest.mark.django_db(transaction=True)
def test_a_success_is_stored_with_its_change_and_rolled_back_with_it():
    events.emit(DONE, target="door:1")
    with pytest.raises(Rollback), transaction.atomic():
        events.emit(DONE, target="door:2")
        raise Rollback
    assert [e.target for e in SecurityEvent.objects.all()] == ["door:1"]


@pytest.mark.django_db(transaction=True)
def test_a_refusal_survives_the_rollback_of_what_was_refused():
    with pytest.raises(Rollback), events.kept_refusals(), transaction.atomic():
        events.emit(REFUSED, target="door:3")
        raise Rollback
    assert [e.target for e in SecurityEvent.objects.all()] == ["door:3"]
