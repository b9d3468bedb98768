"""PostgreSQL and Valkey for one run of the suite, gone with it however it ends.

The servers are held by a process of their own (this file, run as a script), which lives as long
as a pipe from the test run is open. The end of the run closes the pipe, be it the ordinary end,
Ctrl-C or a kill -9; the holder then stops the servers and deletes their data.
"""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import sys
from pathlib import Path

START_SECONDS = 120
STOP_SECONDS = 60
FOR_SPEED = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "max_connections": "400",  # the tests of races open many at once, in each worker
}


def start_embedded(scratch: Path) -> tuple[str, str]:
    """Start both in ``scratch``, which is deleted with them; give (database_url, redis_url)."""
    holder = subprocess.Popen(
        [sys.executable, __file__, str(scratch)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        start_new_session=True,  # a Ctrl-C must not reach it before the tests have ended
    )
    answer = holder.stdout.readline()
    if not answer:
        holder.wait(timeout=START_SECONDS)
        sys.exit("The servers for the tests did not start; the reason stands above.")
    atexit.register(_release, holder)
    addresses = json.loads(answer)
    return addresses["database"], addresses["redis"]


def _release(holder: subprocess.Popen[str]) -> None:
    holder.stdin.close()
    holder.wait(timeout=STOP_SECONDS)


def _hold(scratch: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from config.starter.failure import StartFailure
    from config.starter.postgresql import EmbeddedPostgreSQL
    from config.starter.valkey import EmbeddedValkey

    postgresql = EmbeddedPostgreSQL(scratch / "servers", options=FOR_SPEED)
    valkey = EmbeddedValkey(scratch / "servers")
    try:
        addresses = {"database": postgresql.start(), "redis": valkey.start()}
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    except StartFailure as failure:
        sys.exit(str(failure))
    finally:
        valkey.destroy()
        postgresql.destroy()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    _hold(Path(sys.argv[1]))
