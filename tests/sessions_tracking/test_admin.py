"""Staff look at sessions, end them where they may, and change nothing else."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from sessions_tracking import services
from sessions_tracking.models import Session

LIST = "/admin/sessions_tracking/session/"

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.sessions_tracking.views")]


@pytest.fixture(autouse=True)
def _plain_backend(settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]


@pytest.fixture
def staff_with(make_user):
    def give(*permissions):
        officer = make_user("officer@example.org", is_staff=True)
        officer.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(officer)
        return client

    return give


def end(client, *sessions):
    keys = [str(session.pk) for session in sessions]
    return client.post(LIST, {"action": "end_selected", "_selected_action": keys}, follow=True)


def test_the_list_is_read_without_a_count_of_the_whole_table(pair, staff_with, statements):
    client = staff_with("view_session")
    with statements() as asked:
        page = client.get(LIST).content.decode()
    assert "ada@example.org" in page
    assert "End selected sessions" not in page
    assert asked.count("sessions") == 1  # the capped count
    assert len(asked) < 12


def test_whoever_may_not_look_sees_nothing(pair, staff_with):
    assert staff_with().get(LIST).status_code == 403


def test_a_session_can_be_looked_at_and_not_changed(pair, staff_with):
    client = staff_with("view_session", "end_session")
    address = f"{LIST}{pair.session.pk}/change/"
    page = client.get(address).content.decode()
    assert "sealed" not in page
    assert 'name="_save"' not in page
    assert client.post(address, {"counter": 9}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{pair.session.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Session.objects.get(pk=pair.session.pk).counter == 0


def test_staff_with_the_permission_end_sessions(user, staff_with, events_of):
    first, second = (services.start_token_session(user=user, amr=["pwd"]) for _ in range(2))
    client = staff_with("view_session", "end_session")
    page = end(client, first.session, second.session).content.decode()
    assert "2 sessions were ended." in page
    assert set(Session.objects.of_user(user).values_list("end_reason", flat=True)) == {
        "ended_by_staff"
    }
    officer = str(Session.objects.get(kind="cookie").user_id)
    assert {event.actor_id for event in events_of("sessions.session.ended")} == {officer}


def test_staff_without_the_permission_do_not(pair, staff_with):
    end(staff_with("view_session"), pair.session)
    assert Session.objects.get(pk=pair.session.pk).ended_at is None


def test_staff_who_end_their_own_session_are_signed_out(staff_with):
    client = staff_with("view_session", "end_session")
    answer = end(client, Session.objects.get(kind="cookie"))
    assert answer.redirect_chain[-1][0].startswith("/admin/login/")


@pytest.mark.parametrize("term", ["ada@example.org", "ADA@example.org"])
def test_a_login_name_finds_its_sessions(pair, make_user, staff_with, term):
    services.start_token_session(user=make_user("bob@example.org"), amr=["pwd"])
    page = staff_with("view_session").get(LIST, {"q": term}).content.decode()
    assert "1 session" in page
    assert "bob@example.org" not in page


@pytest.mark.parametrize("term", ["nobody", "%", "'", "x" * 3000])
def test_a_term_that_names_nobody_finds_nothing(pair, staff_with, term):
    answer = staff_with("view_session").get(LIST, {"q": term})
    assert answer.status_code == 200
    assert "ada@example.org" not in answer.content.decode()


def test_an_id_finds_its_session(pair, staff_with):
    page = staff_with("view_session").get(LIST, {"q": str(pair.session.pk)}).content.decode()
    assert "1 session" in page


def test_states_are_filtered(user, staff_with):
    living, over, stolen = (services.start_token_session(user=user, amr=["pwd"]) for _ in range(3))
    services.end_session(session_id=over.session.pk, reason="test")
    services.end_stolen_session(
        session_id=stolen.session.pk, reason="refresh_reused", now=timezone.now()
    )
    client = staff_with("view_session")
    for state, expected in (
        ("alive", {living}),
        ("over", {over, stolen}),
        ("stolen", {stolen}),
    ):
        page = client.get(LIST, {"state": state}).content.decode()
        shown = {p for p in (living, over, stolen) if str(p.session.pk) in page}
        assert {p.session.pk for p in shown} == {p.session.pk for p in expected}, state
