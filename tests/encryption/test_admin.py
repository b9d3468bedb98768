"""Encrypted values in the admin."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.admin.sites import AdminSite
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import RequestFactory
from django.urls import path

from encryption.admin import MASK, MaskedFieldsMixin
from encryption.checks import W008, check_admin
from encryption.errors import DecryptionFailed
from tests.encryption.clinic.models import Patient, Plain
from tests.encryption.test_tampering import put, said  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
site = AdminSite()


class PatientAdmin(MaskedFieldsMixin, admin.ModelAdmin):
    list_display = ("name", "note")
    fields = ("name", "email", "note", "diary")
    readonly_fields = ("diary",)


site.register(Patient, PatientAdmin)
plain = AdminSite("plain")
plain.register(Patient, list_display=("name", "note", "email_index"), search_fields=("note",))
urlpatterns = [path("admin/", site.urls), path("plain/", plain.urls)]


@pytest.fixture(autouse=True)
def _urls(settings):
    settings.ROOT_URLCONF = __name__
    settings.CSRF_USE_SESSIONS = False


def user(*names):
    """Somebody of the staff with exactly these permissions."""
    model = get_user_model()
    login = {model.USERNAME_FIELD: f"u{model.objects.count()}@example.org"}
    made = model(**login, is_staff=True, is_active=True)
    made.save()
    made.user_permissions.set(Permission.objects.filter(codename__in=names))
    return model.objects.get(pk=made.pk)


@pytest.fixture
def permissions():
    """Permissions for the clinic, which has no migrations to make them."""
    from django.apps import apps
    from django.contrib.auth.management import create_permissions

    create_permissions(apps.get_app_config("clinic"), verbosity=0)


@pytest.fixture
def patient(permissions, keys):
    return Patient.objects.create(
        name="Ann", email="ann@example.org", note="the diagnosis", diary="the diary"
    )


def ask(view, who, method="get", data=None, **arguments):
    request = getattr(RequestFactory(), method)("/admin/", data or {})
    request.user = who
    request.session = {}
    request._messages = FallbackStorage(request)
    request._dont_enforce_csrf_checks = True
    request.csp_nonce = "nonce"  # what the policy's middleware gives
    response = view(request, **arguments)
    return response.render() if hasattr(response, "render") else response


def model_admin():
    return site._registry[Patient]


EDIT = ("view_patient", "change_patient")


def test_lists_and_forms_show_masks_and_decrypt_nothing(patient, said):  # noqa: F811
    for column in ("note", "email", "diary"):  # whatever is opened now fails, and that is said
        put(Patient, column, patient.pk, b"\x01" + bytes(60))
    who = user(*EDIT, "reveal_values")

    page = ask(model_admin().changelist_view, who).content.decode()
    assert MASK in page
    form = ask(model_admin().change_view, who, object_id=str(patient.pk)).content.decode()
    assert MASK in form
    assert "/reveal/note/" in form
    assert 'name="note"' in form
    assert 'name="diary"' not in form
    assert "encryption.value.unreadable" not in {event.kind.name for event in said}
    with pytest.raises(DecryptionFailed):
        _ = Patient.objects.get().note


def test_somebody_who_may_only_view_sees_masks(patient):
    page = ask(model_admin().change_view, user("view_patient"), object_id=str(patient.pk))

    text = page.content.decode()
    assert "the diagnosis" not in text
    assert "ann@example.org" not in text
    assert "the diary" not in text
    assert text.count(MASK) == 3


@pytest.mark.parametrize("sought", ["o=1", "o=-1", "note__contains=d", "note=d", "q=d"])
def test_what_a_client_may_not_sort_or_look_for_by_is_no_error_of_the_server(
    patient, client, sought
):
    """A plain ModelAdmin links to whatever it lists."""
    client.force_login(user("view_patient"))
    assert client.get("/plain/clinic/patient/?o=0").status_code == 200
    assert client.get(f"/plain/clinic/patient/?{sought}").status_code in {302, 400}


def change(patient, **values):
    data = {"name": "Ann", "email": "", "note": "", **values}
    return ask(model_admin().change_view, user(*EDIT), "post", data, object_id=str(patient.pk))


def test_an_empty_input_keeps_the_value_and_a_filled_one_replaces_it(patient):
    assert change(patient, name="Anna").status_code == 302
    again = Patient.objects.get()
    assert (again.name, again.email, again.note) == ("Anna", "ann@example.org", "the diagnosis")

    assert change(patient, note="changed", email="new@example.org").status_code == 302
    again = Patient.objects.get(email_index="new@example.org")
    assert (again.note, again.diary) == ("changed", "the diary")


def test_wrong_and_doubled_values_are_said_beside_their_input(patient):
    Patient.objects.create(email="bob@example.org")

    assert "Enter a valid email" in change(patient, email="nothing").content.decode()
    doubled = change(patient, email="BOB@example.org").content.decode()
    assert "already exists" in doubled
    assert Patient.objects.get(pk=patient.pk).email == "ann@example.org"


def test_a_new_row_asks_for_the_values(permissions, keys):
    who = user("add_patient", *EDIT)
    data = {"name": "New", "email": "new@example.org", "note": "n"}

    assert ask(model_admin().add_view, who, "post", data).status_code == 302
    assert Patient.objects.get().note == "n"
    missing = ask(model_admin().add_view, who, "post", {"name": "x"}).content.decode()
    assert "This field is required" in missing


def reveal(who, patient, method="post", field="note"):
    return ask(model_admin().reveal_view, who, method, object_id=str(patient.pk), field=field)


def test_whoever_may_see_a_value_is_asked_first_and_it_is_recorded(patient, said):  # noqa: F811
    who = user("view_patient", "reveal_values")

    before = reveal(who, patient, "get").content.decode()
    assert "the diagnosis" not in before
    assert "recorded" in before
    assert [e for e in said if e.kind.name == "encryption.value.revealed"] == []

    assert "the diagnosis" in reveal(who, patient).content.decode()
    [event] = [e for e in said if e.kind.name == "encryption.value.revealed"]
    assert event.target == f"clinic.patient:{patient.pk}"
    assert event.data == {"field": "note"}
    assert event.actor_id == str(who.pk)


def test_without_the_permission_the_value_stays_hidden_and_that_is_recorded(patient, said):  # noqa: F811
    with pytest.raises(PermissionDenied):
        reveal(user("view_patient"), patient)
    assert "encryption.reveal.refused" in [event.kind.name for event in said]
    with pytest.raises(PermissionDenied):
        reveal(user("reveal_values"), patient)
    with pytest.raises(PermissionDenied):
        reveal(user("reveal_values"), patient, "get")
    with pytest.raises(Http404):
        reveal(user("view_patient", "reveal_values"), patient, field="name")


def test_the_field_policy_has_its_say(patient, settings):
    settings.GARRISON_FIELD_POLICY = f"{__name__}.SeesNames"
    with pytest.raises(PermissionDenied):
        reveal(user("view_patient", "reveal_values"), patient)


class SeesNames:
    def visible_fields(self, user, model):
        return frozenset({"name"})

    def writable_fields(self, user, model):
        return frozenset()


def test_a_value_that_cannot_be_read_says_so(patient, keys):
    keys("k2")
    page = reveal(user("view_patient", "reveal_values"), patient).content.decode()
    assert "A stored value cannot be read" in page


def test_an_admin_that_would_show_values_is_found_by_a_check():
    admin.site.register(Plain)
    try:
        assert [m.id for m in check_admin(None) if "clinic.Plain" in m.msg] == [W008]
    finally:
        admin.site.unregister(Plain)
