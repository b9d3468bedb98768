"""The processes that serve the site, and the one before them that makes it ready."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from config.starter import logs, processes
from config.starter.child import Child
from config.starter.failure import StartFailure
from config.starter.plan import BASE_DIR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from config.starter.plan import Plan

READY_SECONDS = 60
PREPARE_SECONDS = 600  # migrations of a large database
ONLY_FOR_PREPARING = ("GARRISON_ADMIN_EMAIL", "GARRISON_ADMIN_PASSWORD")


def prepare(plan: Plan, environment: Mapping[str, str]) -> dict[str, Any]:
    """Migrate, collect static files, make the first administrator; give what is to be shown."""
    log_path = logs.path_for(plan.var_dir, "prepare")
    with logs.open_new(log_path) as log:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "config.starter.prepare"],
                cwd=BASE_DIR,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                check=False,
                timeout=PREPARE_SECONDS,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as slow:
            raise StartFailure(f"Migrating took too long. {logs.tail(log_path)}") from slow
    try:
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise StartFailure(f"The site could not be prepared. {logs.tail(log_path)}") from None
    if "refused" in told:
        raise StartFailure(told["refused"])
    return told


def children(plan: Plan) -> tuple[Child, Child, Child]:
    """Describe worker, beat and web server, in the order in which they start."""
    celery = [sys.executable, "-m", "celery", "-A", "config"]
    granian = [sys.executable, "-m", "granian", "--interface", "rsgi", "--no-ws"]
    worker = [*celery, "worker", "--loglevel", "INFO", "--concurrency", "2", "--without-gossip"]
    beat = [*celery, "beat", "--loglevel", "INFO", "--pidfile="]
    beat += ["--schedule", str(plan.var_dir / "run" / "beat-schedule")]
    web = [*granian, "--host", plan.host, "--port", str(plan.port)]
    web += ["--workers", str(plan.web_workers), "config.rsgi:application"]
    return (
        Child(name="worker", slug="worker", var_dir=plan.var_dir, command=worker),
        Child(name="beat", slug="beat", var_dir=plan.var_dir, command=beat),
        Child(name="web server", slug="web", var_dir=plan.var_dir, command=web),
    )


def environment_for(plan: Plan, addresses: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of every process of the site."""
    return {
        **os.environ,
        **addresses,
        "GARRISON_ENV": plan.kind,
        "VAR_DIR": str(plan.var_dir),
        "GARRISON_ENV_FILE": str(plan.env_file),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONUNBUFFERED": "1",
    }


def for_serving(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave the administrator's password out, which only the preparation needs."""
    return {n: value for n, value in environment.items() if n not in ONLY_FOR_PREPARING}


def wait_until_ready(plan: Plan, host_name: str, *, look: Callable[[], None]) -> None:
    """Wait for ``/health/ready`` to answer 200; ``look`` raises when a process has ended."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        status, body = ask_health(plan, host_name)
        if status == http.HTTPStatus.OK:
            return
        look()
        if time.monotonic() > deadline:
            found = f"{status}: {body[:500]}" if status else "no answer"
            raise StartFailure(
                f"{plan.address}/health/ready is not well after {READY_SECONDS} seconds ({found}). "
                f"{logs.tail(logs.path_for(plan.var_dir, 'web'))}"
            )
        time.sleep(processes.POLL_SECONDS * 2)


def ask_health(plan: Plan, host_name: str) -> tuple[int, str]:
    """Ask once; ``(0, "")`` when nobody answers."""
    with closing(http.client.HTTPConnection(plan.browser_host, plan.port, timeout=5)) as line:
        try:
            line.request("GET", "/health/ready", headers={"Host": host_name})
            answer = line.getresponse()
            return answer.status, answer.read(4096).decode("utf-8", errors="replace")
        except (OSError, http.client.HTTPException):
            return 0, ""
