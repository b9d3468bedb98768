"""A store that stops harms neither the web process that sends a task nor the worker."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config import celery
from config.starter import keys
from config.starter.valkey import EmbeddedValkey

ROOT = Path(__file__).resolve().parents[2]
PROBE = """
import pathlib, sys, time
from config.celery import app

@app.task(name="probe.touch")
def touch(path):
    pathlib.Path(path).touch()

if __name__ == "__main__":
    for line in sys.stdin:
        began = time.monotonic()
        try:
            touch.delay(line.strip())
            said = "sent"
        except Exception as refusal:
            said = type(refusal).__name__
        print(said, round(time.monotonic() - began, 2), flush=True)
"""


class Sender:
    """A process that sends tasks as a web process does: many times over one connection."""

    def __init__(self, environment, folder):
        self.process = subprocess.Popen(
            [sys.executable, folder / "probe.py"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, path):
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        said, seconds = self.process.stdout.readline().split()
        return said, float(seconds)


def appears(path, seconds=30):
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.slow
def test_a_store_that_hangs_or_dies_is_told_at_once_and_the_worker_comes_back(tmp_path):
    valkey = EmbeddedValkey(tmp_path / "var")
    (tmp_path / "probe.py").write_text(PROBE)
    environment = {
        **keys.generate().variables,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
        "GARRISON_ENV_FILE": os.devnull,
        "DATABASE_URL": "sqlite://:memory:",
        "REDIS_URL": valkey.start(),
        "VAR_DIR": str(tmp_path / "var"),
    }
    command = [sys.executable, "-m", "celery", "-A", "probe", "worker", "--pool", "solo"]
    log = (tmp_path / "worker.log").open("w")
    worker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    sender = Sender(environment, tmp_path)
    try:
        assert sender.send(tmp_path / "first")[0] == "sent"
        assert appears(tmp_path / "first"), (tmp_path / "worker.log").read_text()

        os.kill(valkey.process.pid, signal.SIGSTOP)
        said, seconds = sender.send(tmp_path / "hanging")
        os.kill(valkey.process.pid, signal.SIGCONT)
        assert said == "OperationalError"
        assert seconds < 4

        os.kill(valkey.process.pid, signal.SIGKILL)
        valkey.process.wait()
        said, seconds = sender.send(tmp_path / "dead")
        assert said == "OperationalError"
        assert seconds < 2
        assert worker.poll() is None

        valkey.start()
        assert sender.send(tmp_path / "second")[0] == "sent"
        assert appears(tmp_path / "second"), (tmp_path / "worker.log").read_text()
        assert worker.poll() is None
    finally:
        for process in (worker, sender.process):
            process.kill()
            process.wait()
        sender.process.stdin.close()
        sender.process.stdout.close()
        log.close()
        valkey.destroy()


@pytest.mark.django_db  # SQLite is asked what it can do
def test_every_scheduled_task_exists_and_is_scheduled_under_its_apps_name():
    celery.app.loader.import_default_modules()
    celery.app.finalize()  # as beat does
    schedule = celery.beat_schedule()
    assert schedule
    assert celery.app.conf.beat_schedule == schedule
    for name, entry in schedule.items():
        assert entry["task"] in celery.app.tasks, name
        assert name.split(".")[0] == entry["task"].split(".")[0], name
