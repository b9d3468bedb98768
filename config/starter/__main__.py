"""``python -m config.starter``: start the whole site, and stop it with one Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from config.starter import (
    disk,
    env_file,
    interruption,
    plan,
    private_files,
    runs,
    site,
    unprivileged,
)
from config.starter.failure import StartFailure
from config.starter.postgresql import EmbeddedPostgreSQL
from config.starter.supervisor import Supervisor
from config.starter.valkey import EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.starter.plan import Plan

PRIVATE = 0o077  # mail holds codes, logs hold addresses: nobody else's business


def main() -> int:
    """Run until a Ctrl-C (0), or until something fails (1)."""
    os.umask(PRIVATE)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # shown as it happens
    interruption.listen()
    supervisor = Supervisor()
    try:
        run(plan.read(), supervisor)
    except StartFailure as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except interruption.Interrupted:
        return 0
    return 0


def run(chosen: Plan, supervisor: Supervisor) -> None:
    """Start everything, tell where it is, and keep it running."""
    with disk.named(chosen.var_dir, unprivileged.home_for(chosen.var_dir)), _only_one_run(chosen):
        worker, beat, web = site.children(chosen)
        for child in (web, beat, worker):
            if child.stop_survivor():
                print(f"Stopped the {child.name} of an earlier run.")
        runs.require_free_port(chosen)
        if env_file.write_if_missing(chosen):
            print(f"Wrote fresh keys to {chosen.env_file}.")
        try:
            addresses = _start_servers(chosen, supervisor)
            environment = site.environment_for(chosen, addresses)
            told = site.prepare(chosen, environment)
            # At once: whatever fails from here on must not swallow a password shown only once.
            _show_administrator(told["administrator"])
            for child in (worker, beat, web):
                supervisor.add(child)
                child.start(site.for_serving(environment), working_folder=plan.BASE_DIR)
            site.wait_until_ready(chosen, told["host_name"], look=supervisor.look)
            _show(chosen)
            supervisor.watch()
        except interruption.Interrupted:
            print("\nStopping …")
            raise
        finally:
            supervisor.stop()
            env_file.remove_servers(chosen)


@contextmanager
def _only_one_run(chosen: Plan) -> Iterator[None]:
    """Refuse a second run on the same folder; the lock goes with the process that holds it."""
    private_files.make_folder(chosen.var_dir)
    private_files.make_folder(chosen.var_dir / "run")
    path = chosen.var_dir / "run" / "lock"
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, private_files.ONLY_OWNER), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            raise StartFailure(
                f"Another `make run` is using {chosen.var_dir}. Stop it with Ctrl-C in its "
                "terminal, or give this one a folder of its own: VAR_DIR=var-2 PORT=8001 make run"
            ) from taken
        yield


def _start_servers(chosen: Plan, supervisor: Supervisor) -> dict[str, str]:
    """Start what the environment does not name; give the addresses of what was started."""
    addresses: dict[str, str] = {}
    if not chosen.brings_database:
        postgresql = EmbeddedPostgreSQL(chosen.var_dir)
        supervisor.add(postgresql)
        addresses["DATABASE_URL"] = postgresql.start()
        print(f"PostgreSQL runs on port {postgresql.port}, its data in {postgresql.home()}.")
    if not chosen.brings_store:
        valkey = EmbeddedValkey(chosen.var_dir)
        supervisor.add(valkey)
        addresses["REDIS_URL"] = valkey.start()
        print(f"Valkey runs on port {valkey.port}.")
    env_file.write_servers(chosen, addresses)
    return addresses


def _show_administrator(administrator: dict[str, str] | None) -> None:
    if administrator is None:
        return
    print(f"Administrator: {administrator['email']}")
    if "password" in administrator:
        print(f"Password:      {administrator['password']}   (shown this once)")
    if "warning" in administrator:
        print(f"Warning:       {administrator['warning']}")


def _show(chosen: Plan) -> None:
    print(f"\nDjango Garrison runs on {chosen.address} ({chosen.kind}).")
    print(f"  Dashboard      {chosen.address}/admin/")
    print(f"  API            {chosen.address}/api/docs")
    print(f"  Mail and logs  {chosen.var_dir / 'mail'}, {chosen.var_dir / 'log'}")
    print("Ctrl-C stops everything.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
