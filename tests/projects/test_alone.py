"""Each app installs on its own, beside Django's or a host's own user model."""

import os
import subprocess
import sys

import pytest

from tests.architecture.house import APPS, ROOT


def run_alone(app, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tests.projects.run_alone"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "GARRISON_APP": app, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("app", ["garrison", *APPS])
def test_an_app_checks_and_migrates_alone(app):
    ran = run_alone(app)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("app", APPS)
def test_an_app_checks_and_migrates_beside_a_foreign_user_model(app):
    ran = run_alone(app, GARRISON_FOREIGN="1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
