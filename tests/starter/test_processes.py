"""Which process is ours, and how it is ended."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.starter import processes
from config.starter.child import Child

READY = "print(1, flush=True); import time; time.sleep(60)"


@pytest.fixture
def spawn():
    """Start Python programs that say when they are ready; none outlives the test."""
    running = []

    def start(code=READY):
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
        )
        process.stdout.readline()
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(params=["proc", "ps"])
def way(request, monkeypatch):
    """Look at processes both ways: by /proc, and by ps where there is none."""
    if request.param == "ps":
        if shutil.which("ps") is None:
            pytest.skip("ps is not installed")
        monkeypatch.setattr(processes, "PROC", Path("/there-is-no-proc"))
    return request.param


def test_a_process_keeps_its_birth_and_shows_its_arguments(way, spawn):
    process = spawn()
    assert processes.birth(process.pid)
    assert processes.birth(process.pid) == processes.birth(process.pid)
    assert processes.command_line(process.pid)[:2] == [sys.executable, "-c"]


def test_a_process_that_is_gone_has_neither(way, spawn):
    process = spawn()
    process.kill()
    process.wait()
    assert processes.birth(process.pid) == ""
    assert processes.command_line(process.pid) == []


def test_two_processes_have_two_births(spawn):
    assert processes.birth(spawn().pid) != processes.birth(os.getpid())


def test_a_zombie_counts_as_dead(spawn):
    process = spawn()
    os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while processes.birth(process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes.birth(process.pid) == ""
    assert Path(f"/proc/{process.pid}").exists()  # nobody has waited for it yet


def test_a_process_that_listens_goes_by_itself(spawn):
    process = spawn()
    processes.end(process.pid, ask_with=signal.SIGTERM, patience_seconds=5)
    assert process.wait() == -signal.SIGTERM


STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}"


def test_a_process_that_does_not_listen_is_killed(spawn):
    process = spawn(STUBBORN)
    processes.end(process.pid, ask_with=signal.SIGTERM, patience_seconds=0.3)
    assert process.wait() == -signal.SIGKILL


def test_a_second_request_waits_for_nothing(spawn):
    process = spawn(STUBBORN)
    began = time.monotonic()
    processes.end(process.pid, ask_with=signal.SIGTERM, patience_seconds=30, hurry=lambda: True)
    assert time.monotonic() - began < 5
    assert process.wait() == -signal.SIGKILL


def child(tmp_path, code):
    made = Child(name="child", slug="child", var_dir=tmp_path, command=[sys.executable, "-c", code])
    made.start(os.environ, working_folder=tmp_path)
    return made


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


GRANDCHILD = f"""
import subprocess, sys, pathlib
grandchild = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], stdout=subprocess.PIPE)
grandchild.stdout.readline()
pathlib.Path("grandchild").write_text(str(grandchild.pid))
"""


@pytest.mark.parametrize("then", ["import time; time.sleep(60)", "raise SystemExit(3)"])
def test_nothing_that_a_child_has_started_outlives_it(tmp_path, then):
    made = child(tmp_path, GRANDCHILD + then)
    wait_for(lambda: (tmp_path / "grandchild").exists() and (tmp_path / "grandchild").read_text())
    pid = int((tmp_path / "grandchild").read_text())
    assert processes.birth(pid)
    if "exit" in then.lower():
        wait_for(lambda: made.poll() == 3)
    made.stop()
    wait_for(lambda: not processes.birth(pid))
    assert not made.record_path.exists()


def test_what_a_killed_run_left_behind_is_ended(tmp_path):
    left = child(tmp_path, READY)
    found = Child(name="child", slug="child", var_dir=tmp_path, command=["unused"])
    assert found.stop_survivor()
    assert left.process.wait() == -signal.SIGTERM
    assert not found.stop_survivor()


def test_another_process_that_was_given_the_pid_is_left_alone(tmp_path, spawn):
    stranger = spawn()
    found = Child(name="child", slug="child", var_dir=tmp_path, command=["unused"])
    found.record_path.parent.mkdir()
    found.record_path.write_text(f'{{"pid": {stranger.pid}, "birth": "an earlier boot:1"}}')
    assert not found.stop_survivor()
    assert stranger.poll() is None


@pytest.mark.parametrize(
    "record", ["", "[]", "{}", '{"pid": 1, "birth": "x"}', '{"pid": "1"}', "\0"]
)
def test_an_illegible_record_is_nobody(tmp_path, record):
    found = Child(name="child", slug="child", var_dir=tmp_path, command=["unused"])
    found.record_path.parent.mkdir()
    found.record_path.write_text(record)
    assert not found.stop_survivor()


def test_a_child_gets_only_the_environment_it_is_given(tmp_path):
    code = "import os; print(sorted(os.environ)); os.getsid(0) == os.getpid() or exit(9)"
    made = Child(name="child", slug="child", var_dir=tmp_path, command=[sys.executable, "-c", code])
    made.start({"ONLY": "this", "LC_CTYPE": "C.UTF-8"}, working_folder=tmp_path)
    assert made.process.wait() == 0
    assert "['LC_CTYPE', 'ONLY']" in made.log_tail()
    made.stop()
