"""Whatever changes data is killed at random moments: no value is ever wrong, nothing half done.

``BACKUPS_KILLS=500`` is the whole number; the ordinary run does a few.
"""

import json
import os
import secrets
import subprocess
import sys
from base64 import b64encode

import pytest

from tests.backups import hosting

KILLS = int(os.environ.get("BACKUPS_KILLS", "15"))


def new_key(name):
    return f"{name}:{b64encode(secrets.token_bytes(32)).decode()}"


@pytest.fixture
def host(new_host, tmp_path):
    keys = f"{new_key('one')} {new_key('two')}"
    made = new_host(HOST_APPS="encryption wards", HOST_ENCRYPTION_KEY=keys)
    (tmp_path / "media").mkdir()
    for number in range(20):
        (tmp_path / "media" / f"{number}.txt").write_text(f"file {number}" * 5000)
    return made


@pytest.mark.slow
def test_killed_at_any_moment_no_value_is_wrong_and_nothing_is_half_done(host):
    driver = hosting.ROOT / "tests/backups/host/killing.py"
    done = subprocess.run(
        [sys.executable, driver, str(KILLS), os.environ.get("BACKUPS_KILLS_SEED", "7")],
        env=host.environment(HOST_DATABASE_NAME=hosting.database_of(host)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    killed = json.loads(done.stdout.splitlines()[-1])
    assert sum(killed.values()) == KILLS
