"""The same on SQLite, which is one file with one writer, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_fifty_half_done_sign_ins_on_sqlite_are_refunded_one_by_one():
    ran = subprocess.run(
        [sys.executable, "-m", "tests.accounts.half_done_host"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)
    assert found["half-done"] == 50
    assert (found["one"], found["after one"]) == ("started", 49)
    assert found["ten"] == ["started"] * 10
    assert found["the same"] == ["expired"] * 4 + ["started"]
    assert found["after all"] == 38
    assert found["sessions"] == 12
