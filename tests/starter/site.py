"""A site of a test's own, started as ``make run`` starts it."""

import http.client
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from config.starter import ports, unprivileged

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 45


class Site:
    """A site of the test's own: folder, port, and what its runs said."""

    def __init__(self, folder):
        self.folder = folder
        self.var = folder / "var"
        self.port = ports.free_port()
        self.runs = []

    def environment(self):
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return kept | {
            "GARRISON_ENV_FILE": str(self.folder / ".env"),
            "VAR_DIR": str(self.var),
            "PORT": str(self.port),
            "WEB_WORKERS": "1",
        }

    def run(self, **told):
        """Begin a run in a session of its own, as a terminal would."""
        run = subprocess.Popen(
            [sys.executable, "-m", "config.starter"],
            cwd=ROOT,
            env=self.environment() | told,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.runs.append(run)
        return run

    def started(self, **told):
        """Run, and read until the site is up; returns the run and what it has said."""
        run = self.run(**told)
        said = []
        for line in run.stdout:
            said.append(line)
            if "Ctrl-C stops everything" in line:
                return run, "".join(said)
        pytest.fail("The site did not start:\n" + "".join(said))

    def get(self, path):
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as line:
            line.request("GET", path, headers={"Host": "localhost"})
            answer = line.getresponse()
            return answer.status, answer.read()

    def pid(self, slug):
        return json.loads((self.var / "run" / f"{slug}.json").read_text())["pid"]

    def processes(self):
        """Return every living process that works for this site, found by what was told to it."""
        traces = (str(self.var), str(unprivileged.home_for(self.var)))
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                is_zombie = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if not is_zombie and any(os.fsencode(trace) in known for trace in traces):
                found[int(entry.name)] = known.partition(b"\0")[0].decode()
        return found

    def clear(self):
        """Leave nothing of any run."""
        for run in self.runs:
            run.kill()
            run.wait()
            run.stdout.close()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        subprocess.run(["rm", "-rf", str(unprivileged.home_for(self.var))], check=True)


def interrupt(run):
    """Press Ctrl-C: the terminal sends it to the whole foreground group."""
    os.killpg(run.pid, signal.SIGINT)
    said = run.stdout.read()
    return run.wait(timeout=STOP_SECONDS), said
