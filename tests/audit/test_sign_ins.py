"""Stock Django's sign-ins are events of audit, unless an app reports its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def events(**environment):
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.audit.plain_host"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("app", ["audit", "sessions_tracking"])
@pytest.mark.parametrize("user_model", [{}, {"GARRISON_FOREIGN": "1"}], ids=["stock", "foreign"])
def test_audit_alone_hears_stock_sign_ins(app, user_model):
    rows = events(GARRISON_APP=app, **user_model)
    *failed, succeeded, ended = rows
    assert {(row["kind"], row["outcome"]) for row in failed} == {("audit.login.failed", "refused")}
    assert [row["target"] for row in failed] == [False, True, False, False]
    assert failed[1]["data"].pop("account") == "ada@example.org"
    prints = [row["data"].pop("name_fingerprint") for row in failed]
    assert prints[2] == prints[3]
    assert len(set(prints)) == 3
    assert [row["data"] for row in failed] == [{}] * 4, "what was typed is nowhere"
    assert (succeeded["kind"], ended["kind"]) == ("audit.login.succeeded", "audit.logout.completed")
    for row in (succeeded, ended):
        assert (row["outcome"], row["actor"], row["target"]) == ("success", True, True)


def test_no_sign_in_is_two_events_where_an_app_reports_its_own():
    found = {row["kind"] for row in events(GARRISON_APP="accounts")}
    assert found
    assert not {kind for kind in found if kind.startswith("audit.")}
