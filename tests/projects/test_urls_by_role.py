"""Every address of the project, asked for by everybody: ``urls_by_role.txt`` says who gets what.

A new address without a line there fails. ``python -m tests.projects.test_urls_by_role`` cannot
make the lines: whoever adds an address writes down who may ask for it.
"""

import re
import uuid
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver
from rest_framework.test import APIClient

from accounts import lockout
from sessions_tracking.services import start_token_session

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

TABLE = Path(__file__).with_name("urls_by_role.txt")
ROLES = ("user", "support", "operator", "auditor", "security officer")
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
    """Return each method and address; of the admin's pages, and of plain views, the GET."""
    for route, view in patterns():
        offered = [m for m in METHODS if hasattr(getattr(view, "cls", None), m)]
        for method in offered or ["get"]:
            yield f"{method.upper()} {route}"


def address(route):
    """Fill in what an address names: a row there is, or else one there is not."""
    model = re.match(r"admin/(\w+)/(\w+)/<", route)
    row = apps.get_model(*model.groups())._default_manager.first() if model else None
    key = str(row.pk if row else uuid.UUID(int=0))
    route = re.sub(r"<(path:object_)?id>", key, route)
    route = re.sub(r"<uuid:\w+>", str(uuid.UUID(int=0)), route)
    route = re.sub(r"<path:\w+>", "1", route)
    route = route.replace("^(?P<app_label>", "").split("|")[0].replace("(?P<url>.*)$", "nowhere")
    return f"/{route}" + ("/" if model is None and route.count("/") == 1 and "|" in route else "")


@pytest.fixture
def people(db, settings):
    """Return everybody: each role's group, whoever has none, and whoever may do everything."""
    settings.RATE_LIMITS = {scope: [] for scope in ("auth", "api", "exports", "uploads", "reports")}
    call_command("create_roles", verbosity=0)
    users = get_user_model().objects
    found = {"anonymous": None}
    for number, role in enumerate(ROLES):
        found[role] = users.create_user(
            email=f"{number}@example.org",
            is_staff=role != "user",
            email_verified_at="2026-01-01T00:00Z",
        )
        found[role].groups.add(Group.objects.get(name=role))
    found["superuser"] = users.create_superuser(email="root@example.org")
    lockout.reserve(
        buckets=[lockout.Bucket("k", 5)], now=found["superuser"].joined_at, window=lockout_window()
    )
    return found


def lockout_window():
    from datetime import timedelta

    return timedelta(minutes=15)


def status(operation, person):
    """Ask as a program where the address is the API's, and as a browser elsewhere."""
    method, route = operation.split(" ", 1)
    if not route.startswith("api/"):
        browser = Client(raise_request_exception=False)
        if person:
            browser.force_login(person)
        return browser.generic(method, address(route), secure=True).status_code
    program = APIClient(raise_request_exception=False)
    if person:
        pair = start_token_session(user=person, amr=["pwd"])
        program.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access}")
    body = {} if method in {"POST", "PATCH"} else None
    return program.generic(
        method,
        address(route),
        *(["{}", "application/json"] if body is not None else []),
        secure=True,
    ).status_code


def test_everybody_gets_what_the_table_says_of_every_address(people):
    head, *lines = TABLE.read_text().splitlines()
    assert head.split("\t")[1:] == list(people)
    told = {name: row for name, *row in (line.split("\t") for line in lines)}
    found = {
        operation: [str(status(operation, person)) for person in people.values()]
        for operation in operations()
    }
    (Path("/tmp") / "roles-table.txt").write_text(
        "\n".join(
            ["\t".join(["operation", *people]), *("\t".join([k, *v]) for k, v in found.items())]
        )
        + "\n"
    )
    assert found == told
