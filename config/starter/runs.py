"""Which runs of ``make run`` this checkout has, so that ``manage.py`` finds them by any VAR_DIR."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from config.starter import ports, private_files
from config.starter.failure import StartFailure
from config.starter.plan import BASE_DIR

if TYPE_CHECKING:
    from config.starter.plan import Plan

FOLDER = BASE_DIR / ".runs"
SERVERS = "servers.env"  # in VAR_DIR, as long as its run goes on, or has been killed


@dataclass(frozen=True, slots=True)
class Run:
    """A run, by what it was told."""

    var_dir: Path
    env_file: Path
    port: int


def note(plan: Plan) -> None:
    """Remember a run; a checkout that cannot be written to has none to be found by."""
    with suppress(StartFailure):
        private_files.make_folder(FOLDER)
        told = {"var_dir": str(plan.var_dir), "env_file": str(plan.env_file), "port": plan.port}
        private_files.write_state(_path(plan.var_dir), told)


def forget(plan: Plan) -> None:
    """Forget a run that has ended, and those that have left nothing."""
    gone = set(FOLDER.glob("*.json")) - {_path(run.var_dir) for run in found()}
    for path in {_path(plan.var_dir), *gone}:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def found() -> list[Run]:
    """Return the runs whose servers may be there."""
    runs = []
    for path in sorted(FOLDER.glob("*.json")):
        with suppress(StartFailure, KeyError):
            told = private_files.read_state(path)
            run = Run(Path(told["var_dir"]), Path(told["env_file"]), told["port"])
            if (run.var_dir / SERVERS).exists():
                runs.append(run)
    return runs


def require_free_port(plan: Plan) -> None:
    """Refuse a port that is taken, and say by which run where it is one of this checkout's."""
    for run in found():
        if run.port == plan.port and not ports.is_free(plan.port, host=plan.host):
            raise StartFailure(
                f"Port {plan.port} on {plan.host} is taken by the run in {run.var_dir}. Stop that "
                "with Ctrl-C in its terminal; if it was killed, the same VAR_DIR takes up what it "
                f"has left: VAR_DIR={run.var_dir} make run. Or choose another port with PORT."
            )
    ports.require_free(host=plan.host, port=plan.port)


def _path(var_dir: Path) -> Path:
    return FOLDER / f"{hashlib.sha256(os.fsencode(var_dir)).hexdigest()[:16]}.json"
