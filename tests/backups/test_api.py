"""By API: who may, and what is answered."""

import uuid

import pytest
from rest_framework.test import APIClient

from backups import tasks
from backups.models import Backup
from tests.backups.conftest import engines
from tests.backups.people import api, person, refuse

pytestmark = pytest.mark.parametrize("engine", engines()[:1], indirect=True)


def test_the_api_lists_asks_and_verifies(site, sent):
    backup = site.back_up()
    client = api(person("view_backup", "add_backup", "verify_backup"))
    listed = client.get("/api/backups")
    assert listed.status_code == 200
    assert [row["id"] for row in listed.json()["results"]] == [str(backup.pk)]
    shown = client.get(f"/api/backups/{backup.pk}").json()
    assert shown["copies"][0]["state"] == "good"
    assert "parts" not in shown
    asked = client.post("/api/backups", {"content": "database"}, format="json")
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    verified = client.post(f"/api/backups/{backup.pk}/verify")
    assert verified.status_code == 202
    assert sent == ["work_off", f"verify {backup.pk}"]
    tasks.work_off.run()
    tasks.verify.run(str(backup.pk))
    assert client.get(f"/api/backups/{asked.json()['id']}").json()["state"] == "good"
    assert client.get(f"/api/backups/{backup.pk}").json()["verified_at"]


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [
        ("view_backup", {"list", "show"}),
        ("add_backup", {"ask"}),
        ("verify_backup", {"verify"}),
        ("", set()),
    ],
)
def test_each_permission_opens_its_own_door(site, sent, permission, allowed):
    backup = site.back_up()
    client = api(person(permission))
    answers = {
        "list": client.get("/api/backups"),
        "show": client.get(f"/api/backups/{backup.pk}"),
        "ask": client.post("/api/backups", {}, format="json"),
        "verify": client.post(f"/api/backups/{backup.pk}/verify"),
    }
    assert {name for name, answer in answers.items() if answer.status_code < 300} == allowed
    assert {a.status_code for n, a in answers.items() if n not in allowed} <= {403}


def test_strangers_are_turned_away(site):
    client = APIClient()
    for answer in (client.get("/api/backups"), client.post("/api/backups", {}, format="json")):
        assert answer.status_code in {401, 403}


@pytest.mark.parametrize(
    "body", [{"x": 1}, {"content": "everything"}, {"content": None}, {"content": ["all"]}, []]
)
def test_a_body_that_is_not_understood_is_refused(site, sent, body):
    client = api(person("add_backup"))
    assert client.post("/api/backups", body, format="json").status_code == 400
    assert Backup.objects.count() == 0
    assert sent == []


def test_an_unknown_backup_is_not_found_and_an_unfinished_one_not_verified(site, sent):
    client = api(person("view_backup", "add_backup", "verify_backup"))
    assert client.get(f"/api/backups/{uuid.uuid4()}").status_code == 404
    assert client.post(f"/api/backups/{uuid.uuid4()}/verify").status_code == 404
    assert client.get("/api/backups/not-a-uuid").status_code == 404
    queued = client.post("/api/backups", {}, format="json").json()["id"]
    answer = client.post(f"/api/backups/{queued}/verify")
    assert (answer.status_code, answer.json()["code"]) == (409, "backup_not_good")
    assert sent == ["work_off"]


def test_asking_needs_a_fresh_session_and_looking_does_not(site, sent):
    site.settings.BACKUPS_REQUIRE_FRESH = f"{__name__}.refuse"
    import sys

    sys.modules.setdefault(__name__, sys.modules[refuse.__module__])
    client = api(person("view_backup", "add_backup"))
    client.raise_request_exception = False
    assert client.get("/api/backups").status_code == 200
    assert client.post("/api/backups", {}, format="json").status_code >= 400
    assert Backup.objects.count() == 0
