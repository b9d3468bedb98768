"""A host with its own user model signs in, locks out and unlocks; what it lacks is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_host_with_a_user_model_of_its_own_has_every_door_but_registering():
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.accounts.foreign_host"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = json.loads(ran.stdout)
    me = said.pop("me")
    assert (me["email"], me["name"], me["id"]) == ("ada@example.org", "", "2")
    assert (me["email_verified"], me["is_staff"]) == (True, True)
    assert me["joined_at"]
    assert said == {
        "login": 200,
        "patch": 405,
        "trusted": 200,
        "namesake": "small@example.org",
        "history": ["success"],
        "wrong": [401, 401, 401, 401, 401, 429],
        "unlocked": 200,
        "register": 404,
        "admin": 302,
        "users in the admin": 404,
        "deleted": 302,
        "their sessions": 0,
        "told": 1,
        "deletes themselves": "/admin/foreign/person/2/change/",
        "buckets in the admin": 200,
        "checks": ["accounts.I006"],
    }
