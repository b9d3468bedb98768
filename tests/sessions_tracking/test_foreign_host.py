"""The app works alone, beside Django's own users, without REST framework in INSTALLED_APPS."""

import os
import subprocess
import sys

from tests.architecture.house import ROOT


def test_a_host_with_its_own_users_issues_rotates_and_ends_tokens():
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.sessions_tracking.foreign_host"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
