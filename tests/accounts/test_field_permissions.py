"""One declared field, and every road on which it is seen or written."""

import json

import pytest
from django.apps.registry import Apps
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db.models.functions import Lower
from django.test import Client
from django.urls import reverse
from rest_framework.serializers import ModelSerializer
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.viewsets import ModelViewSet

from accounts import checks
from accounts.api.fields import FieldsGuarded
from accounts.field_permissions import DECLARATIONS, FieldPermissions, declare, may_see
from accounts.models import LockoutBucket, User
from garrison.errors import ConfigurationError
from garrison.field_policy import visible_values

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_rate_limits")]

SECRET = "Ada Lovelace of the Engine"
USERS = reverse("admin:accounts_user_changelist")
MODEL = ("view_user", "change_user")
SEE, WRITE = "view_personal_user", "change_personal_user"


class Person(FieldsGuarded, ModelSerializer):
    class Meta:
        model = User
        fields = ("email", "name")


class People(ModelViewSet):
    queryset = User.objects.order_by("email")
    serializer_class = Person
    permission_classes = ()


def holding(*codenames):
    """Return somebody of the staff who has just these permissions."""
    user = User.objects.create_user(
        email=f"{len(codenames)}@example.org", is_staff=True, email_verified_at="2026-01-01T00:00Z"
    )
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def subject(db):
    return User.objects.create_user(email="zz@example.org", name=SECRET)


@pytest.fixture
def full_admin(monkeypatch):
    """Have the admin show the name wherever an admin can, and in each spelling of it."""
    found = admin.site.get_model_admin(User)

    class ByName(admin.SimpleListFilter):
        title = parameter_name = "name"

        def lookups(self, request, model_admin):
            return [(SECRET, SECRET)]

        def queryset(self, request, queryset):
            return queryset.filter(name=self.value()) if self.value() else queryset

    @admin.display(ordering=Lower("name").desc())
    def shouted(user):
        return user.name.upper()

    monkeypatch.setattr(found, "list_display", ("email", "name", shouted))
    monkeypatch.setattr(found, "list_filter", ("is_active", "name", ByName))
    monkeypatch.setattr(found, "list_editable", ("name",))
    monkeypatch.setattr(found, "ordering", (Lower("name"),))
    monkeypatch.setattr(found, "search_fields", ("email__startswith", "name__icontains"))


class Roads:
    """Whether the field is met on a road: each is asked as the same person."""

    def __init__(self, user, subject):
        self.user, self.subject = user, subject
        self.browser = Client()
        self.browser.force_login(user)
        self.page = reverse("admin:accounts_user_change", args=[subject.pk])

    def api(self, method, data=None, action="retrieve"):
        asked = getattr(APIRequestFactory(), method)("/", data, format="json")
        force_authenticate(asked, user=User.objects.get(pk=self.user.pk))
        detail = {} if action == "list" else {"pk": self.subject.pk}
        return People.as_view({method: action})(asked, **detail)

    def shown(self, address, **query):
        answer = self.browser.get(address, query, secure=True)
        assert answer.status_code in {200, 302}, answer.status_code
        return answer.content.decode()

    def written(self, data, address=None):
        self.browser.post(address or self.page, {"email": self.subject.email, **data}, secure=True)
        return User.objects.get(pk=self.subject.pk).name == "Mallory"

    def met(self):
        """Return each road's answer to whether the field is seen there."""
        by_name = {"name__startswith": SECRET[:3]}
        LogEntry.objects.create(
            user=self.user,
            content_type=ContentType.objects.get_for_model(User),
            object_id=self.subject.pk,
            object_repr="x",
            action_flag=CHANGE,
            change_message=json.dumps([{"changed": {"fields": ["Name", "Active"]}}]),
        )
        history = self.shown(reverse("admin:accounts_user_history", args=[self.subject.pk]))
        assert "Active" in history
        rows = self.shown(USERS)
        assert "zz@example.org" in rows
        return {
            "API, one": "name" in self.api("get").data,
            "API, list": SECRET in str(self.api("get", action="list").data),
            "admin, page": SECRET in self.shown(self.page),
            "admin, column": SECRET in rows,
            "admin, computed column": SECRET.upper() in rows,
            "admin, filter": "By name" in rows.replace("\n", " "),
            "admin, order": "name" in str(self.order()),
            "admin, search": "zz@example.org" in self.shown(USERS, q="lovelace"),
            "admin, address": self.browser.get(USERS, by_name, secure=True).status_code == 200,
            "admin, history": "Name" in history,
            "export": "name" in visible_values(**self.of(), values={"name": 1, "email": 2}),
            "object history": "name" in visible_values(**self.of(), values={"name": ("a", "b")}),
        }

    def order(self):
        return self.browser.get(USERS, secure=True).context["cl"].queryset.query.order_by

    def of(self):
        return {"user": User.objects.get(pk=self.user.pk), "model": User}

    def taken(self):
        """Return each road's answer to whether the field is written there."""
        found = {}
        patched = self.api("patch", {"name": "Mallory"}, action="partial_update")
        found["API"] = patched.status_code == 200 and self.renamed()
        found["admin, form"] = self.written({"name": "Mallory", "is_active": "on"})
        self.renamed()
        form = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 2, "_save": "1"}
        for n, row in enumerate((self.user, self.subject)):
            form |= {f"form-{n}-id": row.pk, f"form-{n}-name": "Mallory"}
        found["admin, list"] = self.written(form, USERS)
        return found

    def renamed(self):
        was = User.objects.get(pk=self.subject.pk).name
        User.objects.filter(pk=self.subject.pk).update(name=SECRET)
        return was == "Mallory"


@pytest.mark.usefixtures("full_admin")
@pytest.mark.parametrize(
    ("held", "sees", "writes"),
    [
        ((), False, False),
        ((SEE,), True, False),
        ((WRITE,), False, False),
        ((SEE, WRITE), True, True),
    ],
)
def test_a_declared_field_is_met_on_every_road_or_on_none(subject, held, sees, writes):
    roads = Roads(holding(*MODEL, *held), subject)
    met, taken = roads.met(), roads.taken()
    assert met == dict.fromkeys(met, sees)
    # Lists are edited by superusers alone (accounts.admin.guard).
    assert taken == dict.fromkeys(taken, writes) | {"admin, list": False}


@pytest.mark.usefixtures("full_admin")
def test_a_superuser_meets_it_everywhere(subject, admin_user):
    roads = Roads(admin_user, subject)
    met, taken = roads.met(), roads.taken()
    assert met | taken == dict.fromkeys(met | taken, True)


def test_what_is_given_or_taken_counts_from_the_next_request(subject):
    user = holding(*MODEL)
    roads, may = Roads(user, subject), Permission.objects.get(codename=SEE)
    for act, expected in ((user.user_permissions.add, True), (user.user_permissions.remove, False)):
        act(may)
        assert (SECRET in roads.shown(roads.page)) is expected


def test_writing_what_may_not_be_written_is_refused_with_the_field(subject):
    roads = Roads(holding(*MODEL), subject)
    answer = roads.api("patch", {"name": "Mallory", "email": "zz@example.org"}, "partial_update")
    assert (answer.status_code, list(answer.data)) == (400, ["name"])


def test_without_anybody_who_asks_nothing_is_shown(subject):
    assert Person(subject).data == {}


def test_permissions_are_asked_for_once_whatever_is_looked_at(subject, django_assert_num_queries):
    user = User.objects.get(pk=holding(*MODEL, SEE).pk)
    with django_assert_num_queries(2):  # a user's own, and those of the groups
        for _ in range(3):
            assert may_see(user=user, model=User, path="name")
            assert not may_see(user=user, model=LockoutBucket, path="user__name")


@pytest.mark.parametrize(
    "fields", [{"personal": ["nmae"]}, {"personal": ["id"]}, {"A b": ["name"]}]
)
def test_a_declaration_that_protects_nothing_is_refused(fields):
    with DECLARATIONS.temporarily(), pytest.raises(ConfigurationError):
        declare(User, **fields)


def test_a_proxy_hides_what_its_model_hides():
    options = type("Meta", (), {"proxy": True, "app_label": "accounts", "apps": Apps()})
    proxy = type("Pensioner", (User,), {"__module__": __name__, "Meta": options})
    user = holding("view_user")
    user.user_permissions.add(
        Permission.objects.create(
            codename="view_pensioner", content_type=ContentType.objects.get_for_model(User)
        )
    )
    seen = FieldPermissions().visible_fields(User.objects.get(pk=user.pk), proxy)
    assert ("email" in seen, "name" in seen) == (True, False)


def test_the_permissions_are_rows_made_by_migrating_once():
    Permission.objects.filter(codename=SEE).delete()
    for _ in range(2):
        call_command("migrate", verbosity=0)
    assert Permission.objects.filter(codename__in=(SEE, WRITE)).count() == 2


def test_a_policy_that_does_not_know_declarations_is_reported(settings):
    settings.GARRISON_FIELD_POLICY = "garrison.field_policy.DjangoPermissions"
    assert [found.id for found in checks.check_field_policy(None)] == []
    with DECLARATIONS.temporarily():
        declare(Permission, personal=["name"])
        assert [found.id for found in checks.check_field_policy(None)] == [checks.W050]
        settings.GARRISON_FIELD_POLICY = "accounts.field_permissions.FieldPermissions"
        assert checks.check_field_policy(None) == []
