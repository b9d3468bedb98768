"""Every address of the project, asked for by everybody: ``urls_by_role.txt`` says who gets what.

An address without a line there fails: whoever adds one writes down who may ask for it.
"""

import re
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import lockout
from sessions_tracking.services import start_token_session

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

TABLE = Path(__file__).with_name("urls_by_role.txt")
PEOPLE = ("anonymous", "user", "support", "operator", "auditor", "security officer", "superuser")
APP = re.compile(r"\^\(\?P<app_label>[^)]*\)/\$")
ANOTHER = "another@example.org"
METHODS = ("get", "post", "patch", "delete")


def patterns(found=None, before=""):
    """Return each address of the resolver with its view."""
    for pattern in found or get_resolver().url_patterns:
        route = before + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from patterns(pattern.url_patterns, route)
        else:
            yield route, pattern.callback


def operations():
    """Return each method and address of the API, and each page."""
    for route, view in patterns():
        methods = [m.upper() for m in METHODS if hasattr(getattr(view, "cls", None), m)]
        for method in methods or ["page"]:
            yield f"{method} {re.sub(APP, '<app_label>/', route)}"


def address(route):
    """Fill in what an address names: a row there is, or else one there is not."""
    model = re.match(r"admin/(\w+)/(\w+)/<", route)
    row = example_of(apps.get_model(*model.groups())) if model else None
    key = str(row.pk if row else uuid.UUID(int=0))
    for pattern, value in {
        r"<(path:object_)?id>": key,
        r"<uuid:\w+>": str(uuid.UUID(int=0)),
        r"<path:\w+>": "1",
        r"<app_label>": "accounts",
        re.escape("(?P<url>.*)$"): "nowhere",
    }.items():
        route = re.sub(pattern, value, route)
    return f"/{route}"


def example_of(model):
    """Return a row; of the users the one who is never the asking person."""
    rows = model._default_manager.all()
    return (rows.filter(email=ANOTHER) if model is get_user_model() else rows).first()


def status(operation, person):
    """Ask as a program where the address is the API's, and as a browser for a page."""
    method, route = operation.split(" ", 1)
    if method == "page":
        browser = Client(raise_request_exception=False)
        if person:
            browser.force_login(person)
        seen = browser.get(address(route), secure=True).status_code
        return seen if seen != 405 else browser.post(address(route), secure=True).status_code
    program = APIClient(raise_request_exception=False)
    if person:
        pair = start_token_session(user=person, amr=["pwd"])
        program.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access}")
    body = {"format": "json"} if method in {"POST", "PATCH"} else {}
    asked = getattr(program, method.lower())
    return asked(address(route), secure=True, **body).status_code


@pytest.mark.parametrize("who", PEOPLE)
def test_everybody_gets_what_the_table_says_of_every_address(who, settings):
    settings.RATE_LIMITS = {scope: [] for scope in ("auth", "api", "exports", "uploads", "reports")}
    call_command("create_roles", verbosity=0)
    lockout.reserve(
        buckets=[lockout.Bucket("account:x", 5)], now=timezone.now(), window=timedelta(minutes=15)
    )
    person = somebody(who)
    head, *lines = (line.split("\t") for line in TABLE.read_text().splitlines())
    told = {line[0]: line[head.index(who)] for line in lines}
    assert {operation: str(status(operation, person)) for operation in operations()} == told


def somebody(who):
    """Return a person in the group of a role, the one who may do everything, or nobody."""
    users = get_user_model().objects
    users.create_superuser(email=ANOTHER)  # so that there is always one left
    if who == "anonymous":
        return None
    if who == "superuser":
        return users.create_superuser(email="root@example.org")
    found = users.create_user(email="x@example.org", is_staff=who != "user")
    found.groups.add(Group.objects.get(name=who))
    return found
