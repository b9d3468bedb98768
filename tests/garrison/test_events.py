"""The two rules: an event commits with its change, or survives the rollback."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction

from garrison import checks, events, panels
from garrison.deferral import deferred_events
from garrison.errors import ConfigurationError, EventNotRecorded
from garrison.events import Delivery, EventKind, Outcome, Severity, emit, listener

DONE = EventKind("tests.thing.done", Severity.INFO, "Something was done.")
REFUSED = EventKind("tests.thing.refused", Severity.LOW, "It was refused.", Outcome.REFUSED)

BROKEN = EventKind(
    "tests.thing.broken", Severity.HIGH, "It broke.", Outcome.FAILURE, Delivery.WITH_CHANGE
)


def write_row(event):
    """Store the event where a rollback would take it away."""
    ContentType.objects.create(app_label="tests", model=f"{event.kind}:{event.target}"[:100])


def stored():
    return set(ContentType.objects.filter(app_label="tests").values_list("model", flat=True))


@pytest.fixture
def connected():
    """Connect receivers for one test."""
    receivers = []

    def connect(receiver):
        receivers.append(receiver)
        events.security_event.connect(receiver, weak=False)
        return receiver

    yield connect
    for receiver in receivers:
        events.security_event.disconnect(receiver)


@pytest.fixture
def writer(connected):
    return connected(listener(write_row))


class Boom(Exception):
    """Something that rolls a transaction back."""


@pytest.mark.django_db(transaction=True)
def test_a_success_commits_with_its_change(writer):
    with transaction.atomic():
        emit(DONE, target="kept")
    assert stored() == {"tests.thing.done:kept"}


@pytest.mark.django_db(transaction=True)
def test_a_success_is_rolled_back_with_its_change(writer):
    with pytest.raises(Boom), transaction.atomic():
        emit(DONE, target="lost")
        raise Boom
    assert stored() == set()


@pytest.mark.django_db(transaction=True)
def test_a_refusal_in_a_request_survives_the_rollback(writer):
    with pytest.raises(Boom), deferred_events(), transaction.atomic():
        emit(REFUSED, target="kept")
        assert stored() == set()
        raise Boom
    assert stored() == {"tests.thing.refused:kept"}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_refusal_outside_a_request_survives_the_rollback_too(writer):
    with pytest.raises(Boom), transaction.atomic():
        emit(REFUSED, target="kept")
        raise Boom
    assert stored() == {"tests.thing.refused:kept"}


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_refusal_is_written_although_the_transaction_is_already_broken(writer):
    with pytest.raises(Boom), transaction.atomic():
        with pytest.raises(Exception, match="division"), connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")
        emit(REFUSED, target="kept")
        raise Boom
    assert stored() == {"tests.thing.refused:kept"}


@pytest.mark.django_db(transaction=True)
def test_nested_scopes_write_when_the_outer_one_ends(writer):
    with deferred_events():
        with deferred_events():
            emit(REFUSED, target="inner")
        assert stored() == set()
    assert stored() == {"tests.thing.refused:inner"}


@pytest.mark.django_db(transaction=True)
def test_a_broken_listener_never_poisons_the_caller(connected, writer, caplog):
    def broken(event):
        ContentType.objects.create(app_label="tests", model="half")
        raise Boom

    connected(listener(broken))
    with transaction.atomic():
        emit(DONE, target="kept")
    assert stored() == {"tests.thing.done:kept"}
    assert "failed on tests.thing.done" in caplog.text


@pytest.mark.django_db
def test_a_listener_that_writes_nothing_costs_no_statements(django_assert_num_queries):
    heard = []
    receive = listener(heard.append, writes=False)
    event = emit(DONE)
    with transaction.atomic(), django_assert_num_queries(0):
        receive(event=event)
    assert heard == [event]


@pytest.mark.django_db
def test_a_listener_of_some_kinds_hears_no_others_and_costs_them_no_statements(
    django_assert_num_queries,
):
    heard = []
    receive = listener(heard.append, kinds=[REFUSED.name])
    other, meant = emit(DONE), emit(REFUSED)
    with transaction.atomic(), django_assert_num_queries(0):
        receive(event=other)
    with transaction.atomic(), django_assert_num_queries(2):  # its savepoint
        receive(event=meant)
    assert heard == [meant]


@pytest.mark.django_db(transaction=True)
def test_where_recording_is_required_an_unrecorded_success_is_refused(connected, caplog):
    def broken(event):
        raise Boom

    connected(listener(broken, must_record=lambda: True))
    with pytest.raises(EventNotRecorded), transaction.atomic():
        ContentType.objects.create(app_label="tests", model="change")
        emit(DONE)
    assert stored() == set()
    assert emit(REFUSED).kind is REFUSED  # a refusal stands whether or not it was recorded


@pytest.mark.django_db
def test_the_actor_is_a_snapshot(connected, django_user_model):
    seen = []
    connected(lambda event, **_: seen.append(event))
    user = django_user_model.objects.create_user(email="kim@example.com", password=None)
    emit(DONE, actor=user, data={"a": 1})
    assert (seen[0].actor_id, seen[0].actor_label) == (str(user.pk), "kim@example.com")


def test_a_kind_is_named_once_and_well():
    with pytest.raises(ConfigurationError, match="past_participle"):
        EventKind("login", Severity.INFO, "Nameless.")
    with pytest.raises(ConfigurationError, match="twice"):
        EventKind("tests.thing.done", Severity.HIGH, "Another meaning.")
    assert events.KINDS.origin("tests.thing.done") == __name__


def test_the_usual_delivery_follows_from_the_outcome_and_a_failure_says_its_own():
    assert (DONE.delivery, REFUSED.delivery) == (Delivery.WITH_CHANGE, Delivery.AFTER_ROLLBACK)
    assert (BROKEN.outcome, BROKEN.delivery) == (Outcome.FAILURE, Delivery.WITH_CHANGE)
    with pytest.raises(ConfigurationError, match="add delivery="):
        EventKind("tests.thing.unclear", Severity.HIGH, "It broke.", Outcome.FAILURE)
    assert "tests.thing.unclear" not in events.kinds()


@pytest.mark.django_db(transaction=True)
def test_a_failure_with_its_change_is_rolled_back_and_must_be_recorded(writer, connected):
    with pytest.raises(Boom), transaction.atomic():
        emit(BROKEN, target="lost")
        raise Boom
    assert stored() == set()

    def broken(event):
        raise Boom

    connected(listener(broken, must_record=lambda: True))
    with pytest.raises(EventNotRecorded):
        emit(BROKEN)


def test_django_in_debug_mode_connects_a_listener(settings):
    settings.DEBUG = True  # then it looks for **kwargs of the receiver
    receive = listener(write_row)
    events.security_event.connect(receive)
    assert events.security_event.disconnect(receive)
    assert receive.__qualname__ == "write_row"


@pytest.fixture
def referred(monkeypatch):
    """Forget, after the test, what it referred to."""
    monkeypatch.setattr(events, "_referred", {})


def test_a_name_that_an_installed_app_does_not_declare_is_an_error_with_the_likeliest(referred):
    listener(write_row, kinds=["tests.thing.refsued", "elsewhere.thing.done", "tests.thing.done"])
    events.kind_name("test.thing.done", used_by="tests.somewhere")
    errors = {error.msg: error.hint for error in checks.check_kind_names(None)}
    assert len(errors) == 2
    one, other = sorted(errors)
    assert one.startswith(f"{__name__} names the event kind 'tests.thing.refsued'")
    assert "tests.thing.refused" in errors[one]
    assert other.startswith("tests.somewhere names the event kind 'test.thing.done'")


def test_every_name_in_this_house_is_declared():
    assert {"accounts.panels", "encryption.receivers"} <= set().union(*events.referred().values())
    assert checks.check_kind_names(None) == []


def test_a_figure_that_links_nowhere_is_a_warning(monkeypatch):
    assert checks.check_links(None) == []
    links = {"a": "admin:audit_securityevent_changelist", "b": "admin:nowhere", "c": "gone:page"}
    figures = [
        panels.Figure(name, name, "", lambda _: 0, link=link) for name, link in links.items()
    ]
    monkeypatch.setattr(panels, "figures", lambda: figures)
    (warning,) = checks.check_links(None)
    assert "admin:nowhere" in warning.msg
