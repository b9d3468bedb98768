"""A host with stock REST framework settings answers as our own project does."""

import base64
import json
import os
import secrets
import subprocess
import sys

import pytest

from tests.architecture.house import ROOT


def walked(settings_module, var):
    (var / "static").mkdir()
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.projects.walk"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "VAR_DIR": str(var),
            "DJANGO_SETTINGS_MODULE": settings_module,
            "GARRISON_ENV": "production",
            "GARRISON_ENV_FILE": os.devnull,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "JWT_SECRET": secrets.token_urlsafe(50),
            "ENCRYPTION_KEY": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "DATABASE_URL": "sqlite://:memory:",
            "REDIS_URL": os.environ["REDIS_URL"],
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    return walked("tests.projects.stock_drf", tmp_path_factory.mktemp("there"))


def test_the_walk_gives_the_same_answers_there_as_here(there, tmp_path):
    here = walked("config.settings", tmp_path)
    assert [step["step"] for step in there] == [step["step"] for step in here]
    for ours, theirs in zip(here, there, strict=True):
        assert theirs == ours


def test_a_replica_that_lags_decides_nothing(there, tmp_path):
    """It holds no table at all, so whoever reads from it fails."""
    assert walked("tests.projects.replicated", tmp_path) == there


def test_the_walk_goes_where_the_readme_says(there):
    answered = {}
    for step in there:
        body = step["body"]
        answered.setdefault(step["step"], []).append(
            (step["status"], body.get("code") if isinstance(body, dict) else None)
        )
    assert answered["POST /api/auth/register"] == [(202, None)]
    assert answered["POST /api/auth/verify-email"] == [(400, "code_invalid"), (204, None)]
    assert answered["POST /api/auth/login"] == [
        (401, "invalid_credentials"),
        (400, "validation_failed"),
        (400, "invalid_json"),
        (415, "unsupported_media_type"),
        (200, None),
        (200, None),
    ]
    assert answered["GET /api/sessions"] == [
        (406, "not_acceptable"),
        (401, "not_authenticated"),
        (401, "token_invalid"),
        (200, None),
    ]
    assert answered["GET /api/security/metrics"] == [(403, "permission_denied")]
    assert answered["POST /api/auth/logout"] == [(204, None)]
    assert answered["GET /api/auth/me"] == [(200, None), (401, "session_ended")]
    assert answered["POST /api/auth/refresh"] == [(200, None), (401, "session_ended")]
    assert answered["GET /api/backups"] == [(403, "permission_denied"), (200, None)]


def test_every_error_is_a_problem_and_nothing_is_kept(there):
    for step in there:
        if step["status"] >= 400:
            assert step["headers"]["Content-Type"] == "application/problem+json", step
        assert "no-store" in step["headers"]["Cache-Control"], step
